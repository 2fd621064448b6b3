package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/msgserver/msgserver/bench/result"
)

// scenario is who is there, and what an arrival does.
type scenario interface {
	// prepare connects who is there before the load begins, and makes what is needed.
	prepare(ctx context.Context) error
	// lanes is among how many drivers the load can be divided; in a closed loop there is one for each. 0: no load.
	lanes() int
	// arrivals is after how many arrivals the load ends, if it is not by time.
	arrivals() int64
	// arrival makes the function for one of several drivers.
	arrival(driver, drivers int, random *rand.Rand) arrive
}

// A scenario may also have these methods:
//
//	measuring(context.Context)  called on a goroutine of its own when what counts begins
//	memory() *result.Memory     what it found out about memory

const unlimited = math.MaxInt64

// Description is a scenario for people.
type Description struct {
	Name   string
	Models string // what of the real world
	Omits  string // what of it not
	Sync   string // what its sync latency is; "" without one
}

// kind is how a scenario is made.
type kind struct {
	Description
	defaults result.Spec // of what depends on the scenario; zero fields are those of Defaults
	begins   int         // the latency that begins when an arrival is due
	build    func(*run) scenario
}

// kindsInOrder are all scenarios, in the order in which they are shown.
var kindsInOrder = []kind{
	connectStormKind, idleKind, directKind, groupKind, offlineDrainKind, historyKind, slowConsumerKind,
	reconnectStormKind, receiptsKind, mixedKind,
}

func kindOf(name string) (kind, error) {
	var names []string
	for _, k := range kindsInOrder {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return kind{}, fmt.Errorf("there is no scenario %q: they are %s", name, strings.Join(names, ", "))
}

// Scenarios describes all of them.
func Scenarios() []Description {
	var all []Description
	for _, k := range kindsInOrder {
		all = append(all, k.Description)
	}
	return all
}

package bench

import (
	"context"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

var idleKind = kind{
	Description: Description{
		Name:   "idle",
		Models: "clients that are connected and silent but for heartbeats; what counts is the memory that each takes, in the server and in the kernel",
		Omits:  "buffers that grow with traffic: a connection that has carried a burst takes more for a while",
	},
	defaults: result.Spec{Users: 5000, Ramp: 5 * time.Second},
	begins:   kindConnect,
	build:    func(r *run) scenario { return &idle{run: r} },
}

// idle is connections without a load.
type idle struct {
	run    *run
	before footprint
	conns  int
}

func (i *idle) prepare(ctx context.Context) error {
	all := i.run.enlist(i.run.spec.Users, i.run.spec.Conns)
	i.conns = len(all)
	debug.FreeOSMemory()
	i.before = takeFootprint()
	defer debug.FreeOSMemory() // what dialling took and nobody holds any more
	return i.run.openAll(ctx, all)
}

func (i *idle) lanes() int                          { return 0 }
func (i *idle) arrivals() int64                     { return unlimited }
func (i *idle) arrival(int, int, *rand.Rand) arrive { return nil }

// memory is what the connections took in this process and in this machine's kernel.
func (i *idle) memory() *result.Memory {
	now := takeFootprint()
	m := &result.Memory{Conns: i.conns, ClientPerConn: (now.resident - i.before.resident) / int64(i.conns)}
	if sockets := now.sockets - i.before.sockets; sockets > 0 {
		m.KernelPerSocket = (now.slab - i.before.slab) / sockets
	}
	return m
}

// footprint is memory at a moment: of this process, and of the machine's kernel with the sockets that it holds.
type footprint struct{ resident, slab, sockets int64 }

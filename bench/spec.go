package bench

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// Complete fills what a spec leaves open with the defaults of its scenario, and says what is wrong with it.
func Complete(s result.Spec) (result.Spec, error) {
	k, err := kindOf(s.Scenario)
	if err != nil {
		return s, err
	}
	d := k.defaults
	s.Addr = cmp.Or(s.Addr, "127.0.0.1:3005")
	s.Format = cmp.Or(s.Format, "json")
	s.Users = cmp.Or(s.Users, max(d.Users, s.Members))
	s.Members = cmp.Or(s.Members, d.Members)
	s.Backlog = cmp.Or(s.Backlog, d.Backlog)
	s.Slow = cmp.Or(s.Slow, d.Slow)
	s.Payload = cmp.Or(s.Payload, d.Payload, 200)
	s.Duration = cmp.Or(s.Duration, 30*time.Second)
	s.Seed = cmp.Or(s.Seed, 1)
	s.Workers = cmp.Or(s.Workers, 1)
	if s.Arrivals == "constant" {
		s.Arrivals = result.Constant
	}
	if len(s.Stages) > 0 {
		s.Duration = 0
		for _, stage := range s.Stages {
			s.Duration += stage.Duration
		}
	}
	if s.Window == 0 && len(s.Stages) == 0 {
		s.Rate = cmp.Or(s.Rate, d.Rate)
	}
	if s.Conns == 0 {
		s.Conns = s.Users
		if s.Scenario == mixedKind.Name {
			s.Conns = 2 * s.Users
		}
	}
	if len(s.Mix) == 0 {
		s.Mix = d.Mix
	}
	if s.Ramp == 0 {
		s.Ramp = cmp.Or(d.Ramp, max(time.Second, time.Duration(s.Conns)*time.Second/perSecond))
	}
	if s.Scenario == offlineDrainKind.Name {
		s.Warmup = 0 // everyone comes once
	}
	return s, check(s, d)
}

// perSecond is how many connections are opened a second if nothing is said.
const perSecond = 2000

// Bounds of what can be asked for: what is beyond is a slip, or somebody who wants a worker to break.
const (
	MaxRate    = 10_000_000 // arrivals a second
	maxTime    = 7 * 24 * time.Hour
	maxBacklog = 1_000_000
	maxSlow    = 100_000
	maxWorkers = 256
	maxSources = 1000
	maxStages  = 1000
)

// check says what is wrong with a spec that is complete.
func check(s, defaults result.Spec) error {
	for _, wrong := range []struct {
		is   bool
		what string
	}{
		{s.Format != "json" && s.Format != "msgpack", fmt.Sprintf("the format %q is neither json nor msgpack", s.Format)},
		{!(s.Rate >= 0 && s.Rate <= MaxRate), fmt.Sprintf("the rate %v is not above 0 and at most %d", s.Rate, MaxRate)},
		{s.Window < 0, fmt.Sprintf("the window of %d is not within 1 and %d", s.Window, window)},
		{s.Warmup < 0 || s.Duration < 0 || s.Ramp < 0, "a duration is negative"},
		{s.Warmup > maxTime || s.Duration > maxTime || s.Ramp > maxTime, fmt.Sprintf("a duration is over %s", maxTime)},
		{s.Backlog > maxBacklog, fmt.Sprintf("a backlog of %d messages is over %d", s.Backlog, maxBacklog)},
		{s.Slow > maxSlow, fmt.Sprintf("%d slow clients are over %d", s.Slow, maxSlow)},
		{s.Workers > maxWorkers, fmt.Sprintf("%d workers are over %d", s.Workers, maxWorkers)},
		{s.Peak() > 0 && s.Window > 0, "a rate is an open loop and a window a closed one: give one of them"},
		{s.Window > window, fmt.Sprintf("the window of %d is over %d, which is what the server allows a connection", s.Window, window)},
		{s.Arrivals != result.Constant && s.Arrivals != result.Poisson, fmt.Sprintf("the arrivals %q are neither constant nor poisson", s.Arrivals)},
		{s.Arrivals == result.Poisson && s.Window > 0, "a closed loop has no arrivals by chance"},
		{len(s.Stages) > 0 && s.Peak() == 0, "no stage has a rate"},
		{defaults.Rate == 0 && (s.Peak() > 0 || s.Window > 0), s.Scenario + " has no load: neither a rate nor a window"},
		{defaults.Members == 0 && s.Members > 0, s.Scenario + " has no groups, so no members"},
		{defaults.Backlog == 0 && s.Backlog > 0, s.Scenario + " has no backlog"},
		{defaults.Slow == 0 && s.Slow > 0, s.Scenario + " has no slow clients"},
		{len(defaults.Mix) == 0 && len(s.Mix) > 0, s.Scenario + " has no mix"},
		{s.Payload < stampLen || s.Payload > 1<<20, fmt.Sprintf("the payload of %d bytes is not within %d and 1 MiB", s.Payload, stampLen)},
		{s.Users < 2*s.Workers, fmt.Sprintf("%d users are too few: each worker needs two", s.Users)},
		{s.Users >= 1<<20, fmt.Sprintf("%d users are too many: a run has room for %d", s.Users, 1<<20-1)},
		{s.Conns < s.Users, fmt.Sprintf("%d connections are fewer than the %d users", s.Conns, s.Users)},
		{s.Conns > s.Users && s.Conns%s.Users != 0, fmt.Sprintf("%d connections cannot be spread evenly over %d users", s.Conns, s.Users)},
		{s.Conns > 8*s.Users, fmt.Sprintf("%d connections are more than 8 for each of %d users", s.Conns, s.Users)},
		{s.Members > 0 && (s.Members < 2 || s.Members*s.Workers > s.Users), fmt.Sprintf("%d users cannot make a group of %d for each worker", s.Users, s.Members)},
		{s.Slow < 0 || s.Backlog < 0 || s.Members < 0, "--slow, --backlog or --members is negative"},
		{defaults.Backlog > 0 && s.Conns > s.Users, s.Scenario + " has one device for each user"},
	} {
		if wrong.is {
			return errors.New(wrong.what)
		}
	}
	if len(s.Stages) > maxStages {
		return fmt.Errorf("%d stages are over %d", len(s.Stages), maxStages)
	}
	for _, stage := range s.Stages {
		if !(stage.Rate >= 0 && stage.Rate <= MaxRate) || stage.Duration <= 0 {
			return fmt.Errorf("the stage %s: its duration is above 0, and its rate at least 0 and at most %d", stage, MaxRate)
		}
	}
	if len(s.Sources) > maxSources {
		return fmt.Errorf("%d source addresses are over %d", len(s.Sources), maxSources)
	}
	for _, ip := range s.Sources {
		if net.ParseIP(ip) == nil {
			return fmt.Errorf("the source %q is not an IP address", ip)
		}
	}
	if s.Scenario == mixedKind.Name {
		return checkMixed(s)
	}
	return nil
}

func checkMixed(s result.Spec) error {
	if s.Conns < 2*s.Users {
		return fmt.Errorf("mixed needs two devices for each user, so %d connections", 2*s.Users)
	}
	if s.Users%s.Workers != 0 || s.Users/s.Workers%s.Members != 0 || s.Users/s.Workers%2 != 0 {
		return fmt.Errorf("mixed needs a partner and a group of %d for each of %d users: make it an even multiple", s.Members, s.Users/s.Workers)
	}
	return checkMix(s.Mix)
}

// part is the spec of worker i: its share of the users and of the load.
func part(s result.Spec, i int) result.Spec {
	n := s.Workers
	perUser := s.Conns / s.Users
	s.Users = sharePlain(s.Users, i, n)
	s.Conns = perUser * s.Users
	s.Slow = sharePlain(s.Slow, i, n)
	s.Rate /= float64(n)
	s.Stages = slices.Clone(s.Stages)
	for i := range s.Stages {
		s.Stages[i].Rate /= float64(n)
	}
	s.Seed += uint64(i) << 32
	return s
}

// sharePlain is the part of count that falls to i of n.
func sharePlain(count, i, n int) int { return (count + n - 1 - i) / n }

// Leaves is about how many messages a run leaves on the server; known is false in a closed loop, where it is as many as go through.
func Leaves(s result.Spec) (messages int64, known bool) {
	if s.Backlog > 0 {
		messages = int64(s.Backlog) * int64(s.Users/2)
	}
	share := 0.0
	switch s.Scenario {
	case directKind.Name, groupKind.Name, slowConsumerKind.Name, reconnectStormKind.Name, receiptsKind.Name:
		share = 1
	case mixedKind.Name:
		var sum float64
		for _, m := range s.Mix {
			sum += m.Weight
			if m.Action == "direct" || m.Action == "group" {
				share += m.Weight
			}
		}
		share /= sum
	}
	if share > 0 && s.Closed() {
		return messages, false
	}
	return messages + int64(share*s.Arriving()), true
}

// ParseStages reads stages, for example 1m:1000,5m:5000: within a minute to 1,000 a second, and within five more to 5,000.
func ParseStages(s string) ([]result.Stage, error) {
	var all []result.Stage
	for part := range strings.SplitSeq(s, ",") {
		long, rate, found := strings.Cut(strings.TrimSpace(part), ":")
		d, err := time.ParseDuration(long)
		r, rateErr := strconv.ParseFloat(rate, 64)
		if !found || err != nil || rateErr != nil {
			return nil, fmt.Errorf("the stage %q is no duration with a rate: write for example 1m:1000,5m:5000", part)
		}
		all = append(all, result.Stage{Duration: d, Rate: r})
	}
	return all, nil
}

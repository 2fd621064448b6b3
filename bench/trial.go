package bench

import (
	"fmt"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// eventNames are the events, for progress.
var eventNames = [events]string{"connects", "sent", "acked", "delivered", "synced", "entries", "unanswered"}

// trial makes the result of what was gathered.
func (c *conductor) trial(outcomes []*outcome, interrupted bool) *result.Trial {
	t := &result.Trial{Began: c.began, Interrupted: interrupted, Latency: map[result.Kind]*result.Histogram{}}
	t.Generator = result.Generator{Version: c.opts.Version, Machine: thisMachine(), Lag: result.NewHistogram()}
	t.Counts.Errors = map[string]int64{}
	var cpu float64
	var before *sample
	for i, s := range c.seconds {
		c.fold(s)
		c.add(t, s)
		if s.Phase == Measuring {
			t.Seconds += s.Length.Seconds()
			cpu += s.CPU
		}
		if s.Phase == Warming || s.Phase == Measuring {
			t.Series = append(t.Series, point(s, c.sampleBefore(i)))
		}
		if s.Phase < Measuring {
			before = s.server
		}
	}
	for name, h := range c.total.Hist {
		t.Latency[result.Kind(name)] = h
	}
	if lag := t.Latency[lagName]; lag != nil {
		t.Generator.Lag = lag
		delete(t.Latency, lagName)
	}
	if t.Seconds > 0 {
		t.Generator.CPU = cpu / t.Seconds
	}
	for _, o := range outcomes {
		if o != nil {
			mergeOutcome(t, o)
		}
	}
	t.Generator.Lost = c.lost
	c.cost(t, before)
	if t.Memory != nil && c.server != nil {
		t.Memory.ServerPerConn = (c.heapAtEnd() - c.server.first.heap) / int64(t.Memory.Conns)
	}
	t.Generator.Limited = append(limits(c.spec, t), c.busy(outcomes)...)
	t.Generator.Limited = append(t.Generator.Limited, c.lost...)
	for _, o := range c.opts.SLO {
		t.SLO = append(t.SLO, o.Judge(t))
	}
	return t
}

// add adds the counts of a second. Errors count in every phase.
func (c *conductor) add(t *result.Trial, s *second) {
	for name, n := range s.Errors {
		if name == slowClosed {
			t.Counts.SlowClosed += n
			continue
		}
		t.Counts.Errors[name] += n
	}
	t.Counts.Unanswered += s.Counts[unanswered]
	if s.Phase >= Warming || c.idle() {
		t.Counts.Succeeded += s.Counts[connected] + s.Counts[acked] + s.Counts[synced]
	}
	if s.Phase != Measuring {
		return
	}
	t.Counts.Connects += s.Counts[connected]
	t.Counts.Sent += s.Counts[sent]
	t.Counts.Acked += s.Counts[acked]
	t.Counts.Delivered += s.Counts[delivered]
	t.Counts.Synced += s.Counts[synced]
	t.Counts.Entries += s.Counts[entries]
}

// heapAtEnd is the server's heap when the measurement ended.
func (c *conductor) heapAtEnd() int64 {
	heap := c.server.first.heap
	for _, s := range c.seconds {
		if s.Phase == Measuring && s.server != nil {
			heap = s.server.heap
		}
	}
	return heap
}

// sampleBefore is the server's numbers at the beginning of a second.
func (c *conductor) sampleBefore(i int) *sample {
	if i == 0 {
		return nil
	}
	return c.seconds[i-1].server
}

// point is a second for the charts.
func point(s *second, before *sample) result.Point {
	p := result.Point{
		Second: s.Second, Length: s.Length.Seconds(), Conns: s.Conns, Connects: s.Counts[connected], Sent: s.Counts[sent], Acked: s.Counts[acked],
		Delivered: s.Counts[delivered], Synced: s.Counts[synced], Latency: map[result.Kind]result.Quantiles{},
	}
	p.Errors = s.failed()
	for _, kind := range result.Kinds {
		if q, measured := s.quantiles[string(kind)]; measured {
			p.Latency[kind] = q
		}
	}
	p.LagMs = s.quantiles[lagName].Max
	if s.Length > 0 {
		p.CPU = s.CPU / s.Length.Seconds()
	}
	if s.server != nil {
		p.ServerRSS = s.server.rss
		if before != nil && s.server.at.After(before.at) && !s.server.restarted(before) {
			p.ServerCPU = (s.server.cpu - before.cpu) / s.server.at.Sub(before.at).Seconds()
		}
	}
	return p
}

func mergeOutcome(t *result.Trial, o *outcome) {
	a, b := &t.Check, o.Check
	a.Sent += b.Sent
	a.Acked += b.Acked
	a.Expected += b.Expected
	a.Delivered += b.Delivered
	a.Lost += b.Lost
	a.Duplicated += b.Duplicated
	a.Reordered += b.Reordered
	a.Unanswered += b.Unanswered
	a.Missed += b.Missed
	a.Notices += b.Notices
	a.Broken += b.Broken
	for _, v := range b.Violations {
		a.Note("%s", v)
	}
	t.Generator.RSSBytes += o.RSS
	if o.Memory == nil {
		return
	}
	if t.Memory == nil {
		t.Memory = &result.Memory{}
	}
	conns := t.Memory.Conns + o.Memory.Conns
	t.Memory.ClientPerConn = (t.Memory.ClientPerConn*int64(t.Memory.Conns) + o.Memory.ClientPerConn*int64(o.Memory.Conns)) / int64(conns)
	t.Memory.KernelPerSocket = max(t.Memory.KernelPerSocket, o.Memory.KernelPerSocket)
	t.Memory.Conns = conns
}

// cost is what the server used from before to the end of the measurement.
func (c *conductor) cost(t *result.Trial, before *sample) {
	if c.server == nil {
		return
	}
	t.Server = &c.server.about
	if before == nil {
		before = &c.server.first
	}
	cost, last := &result.Cost{}, before
	t.Cost = cost
	for _, s := range c.seconds {
		if s.Phase != Measuring || s.server == nil {
			continue
		}
		now := s.server
		cost.Restarted = cost.Restarted || now.restarted(last)
		last = now
		cost.RSSBytes, cost.MaxRSSBytes = now.rss, max(cost.MaxRSSBytes, now.rss)
		cost.CPUSeconds, cost.WrittenBytes = now.cpu-before.cpu, now.written-before.written
		cost.Commits, cost.Messages = now.commits-before.commits, now.messages-before.messages
	}
	if cost.Restarted {
		cost.CPUSeconds, cost.WrittenBytes, cost.Commits, cost.Messages = 0, 0, 0, 0
	}
}

// Bounds of what still counts as the server's numbers.
const (
	littleLag   = time.Millisecond
	lagOfAll    = 0.25 // the lag's share of the latency that it is a part of
	ownCPUShare = 0.5  // of the machine's cores
)

// limits says why the numbers are the generator's rather than the server's.
func limits(s result.Spec, t *result.Trial) []string {
	var why []string
	g := t.Generator
	if lag := g.Lag.Quantile(99); !s.Closed() && lag > littleLag {
		kind, p99 := scheduled(t)
		if float64(lag) > lagOfAll*float64(p99) {
			why = append(why, fmt.Sprintf("requests left late: p99 %s behind the schedule, which is in the %s p99 of %s",
				result.Latency(lag), kind, result.Latency(p99)))
		}
	}
	return why
}

// busy says which generators needed too much of their own machine.
func (c *conductor) busy(outcomes []*outcome) (why []string) {
	for i, o := range outcomes {
		if o == nil || o.CPU <= ownCPUShare*float64(o.Cores) {
			continue
		}
		who := "the generator"
		if len(c.opts.Workers) > 0 {
			who = "worker " + c.opts.Workers[i]
		}
		why = append(why, fmt.Sprintf("%s itself kept %s of its %d cores busy", who, result.Number(o.CPU), o.Cores))
	}
	return why
}

// scheduled is the 99th percentile of what the schedule is about.
func scheduled(t *result.Trial) (result.Kind, time.Duration) {
	for _, kind := range []result.Kind{result.Ack, result.Sync, result.Connect} {
		if h := t.Latency[kind]; h != nil && h.Count() > 0 {
			return kind, h.Quantile(99)
		}
	}
	return result.Ack, 0
}

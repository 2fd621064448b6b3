package result

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Outcome is that of the worst trial.
func (r *Result) Outcome() string {
	worst := "ok"
	order := []string{"ok", "slo", "interrupted", "failed"}
	for _, t := range r.Trials {
		if o := t.Outcome(); slices.Index(order, o) > slices.Index(order, worst) {
			worst = o
		}
	}
	return worst
}

// Text is the result for people: every trial, and before them, if there are several, all latencies together.
func (r *Result) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s%s\n", r.Spec.Scenario, r.Outcome(), r.success())
	fmt.Fprintf(&b, "  load       %s; %s\n", r.Spec.Loop(), r.Spec.who())
	if len(r.Trials) == 0 {
		return b.String()
	}
	if s := r.Trials[0].Server; s != nil {
		fmt.Fprintf(&b, "  server     %s on %s, %s; %s\n", s.Version, s.Machine.text(), s.FileSystem, s.Durability)
	}
	g, where := r.Trials[0].Generator, "the same machine"
	if s := r.Trials[0].Server; s == nil || s.Machine.Kernel != g.Machine.Kernel || s.Machine.CPU != g.Machine.CPU || s.Machine.Cores != g.Machine.Cores {
		where = g.Machine.text()
	}
	fmt.Fprintf(&b, "  generator  %s on %s\n", g.Version, where)
	var left int64
	for _, t := range r.Trials {
		left += t.Check.Acked
	}
	if left > 0 {
		fmt.Fprintf(&b, "  left       %s messages on the server, about %s\n", thousands(left), Bytes(r.Spec.Stored(left)))
	}
	if len(r.Trials) > 1 {
		fmt.Fprintf(&b, "\nall %d trials together\n", len(r.Trials))
		writeLatencies(&b, r.Merged())
	}
	for i, t := range r.Trials {
		if len(r.Trials) > 1 {
			fmt.Fprintf(&b, "\ntrial %d: %s\n", i+1, t.Outcome())
		} else {
			b.WriteString("\n")
		}
		t.write(&b)
	}
	return strings.TrimRight(b.String(), "\n")
}

// Asked adds up what was asked for in all trials, and what became of it.
func (r *Result) Asked() (all Counts) {
	all.Errors = map[string]int64{}
	for _, t := range r.Trials {
		all.Succeeded += t.Counts.Succeeded
		all.Unanswered += t.Counts.Unanswered
		for name, n := range t.Counts.Errors {
			all.Errors[name] += n
		}
	}
	return all
}

// success is how much was done of what was asked for, behind the outcome.
func (r *Result) success() string {
	all := r.Asked()
	failed := all.Failed()
	if failed+all.Succeeded == 0 {
		if len(r.Trials) == 0 {
			return ""
		}
		return ", nothing was asked for"
	}
	s := fmt.Sprintf(", %s of %s requests done", Percent(all.Success()), thousands(all.Succeeded+failed))
	if n := failed - all.Unanswered; n > 0 {
		s += fmt.Sprintf(", %s errors", thousands(n))
	}
	if all.Unanswered > 0 {
		s += fmt.Sprintf(", %s NEVER ANSWERED", thousands(all.Unanswered))
	}
	var missed int64
	for _, t := range r.Trials {
		missed += t.Check.Missed
	}
	if missed > 0 {
		s += fmt.Sprintf(", %s deliveries MISSED", thousands(missed))
	}
	return s
}

// who says who takes part.
func (s Spec) who() string {
	parts := []string{fmt.Sprintf("%s users", Number(float64(s.Users)))}
	if s.Conns != s.Users {
		parts = append(parts, fmt.Sprintf("%s connections", Number(float64(s.Conns))))
	}
	if s.Members > 0 {
		parts = append(parts, fmt.Sprintf("groups of %s", Number(float64(s.Members))))
	}
	if s.Backlog > 0 {
		parts = append(parts, fmt.Sprintf("%s messages before", Number(float64(s.Backlog))))
	}
	if s.Slow > 0 {
		parts = append(parts, fmt.Sprintf("%d who never read", s.Slow))
	}
	if s.Workers > 1 {
		parts = append(parts, fmt.Sprintf("%d worker processes", s.Workers))
	}
	parts = append(parts, fmt.Sprintf("%d bytes in %s", s.Payload, s.Format))
	return strings.Join(parts, ", ")
}

func (m Machine) text() string {
	parts := []string{fmt.Sprintf("%d cores", m.Cores)}
	for _, s := range []string{m.CPU, m.OS, m.Kernel, m.Go} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}

// Merged is the latencies of all trials together.
func (r *Result) Merged() map[Kind]*Histogram {
	all := map[Kind]*Histogram{}
	for _, t := range r.Trials {
		for kind, h := range t.Latency {
			if all[kind] == nil {
				all[kind] = NewHistogram()
			}
			all[kind].Merge(h)
		}
	}
	return all
}

func writeLatencies(b *strings.Builder, all map[Kind]*Histogram) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "  latency\tcount\tp50\tp90\tp99\tp99.9\tmax\t")
	for _, kind := range Kinds {
		h := all[kind]
		if h == nil || h.Count() == 0 {
			continue
		}
		fmt.Fprintf(w, "  %s\t%s\t", kind, thousands(h.Count()))
		for _, q := range []float64{50, 90, 99, 99.9, 100} {
			fmt.Fprintf(w, "%s\t", Latency(h.Quantile(q)))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

func (t *Trial) write(b *strings.Builder) {
	writeLatencies(b, t.Latency)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(b, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	if s := t.rates(); s != "" {
		line("a second", "%s; over %s s", s, Number(t.Seconds))
	}
	t.writeCheck(line)
	for _, name := range slices.Sorted(maps.Keys(t.Counts.Errors)) {
		line("error", "%s: %s times", name, thousands(t.Counts.Errors[name]))
	}
	if n := t.Counts.SlowClosed; n > 0 {
		line("slow", "the server closed clients that did not read %s times, as it should", thousands(n))
	}
	t.writeMemory(line)
	t.writeCost(line)
	lag := "none"
	if t.Generator.Lag != nil && t.Generator.Lag.Count() > 0 {
		lag = fmt.Sprintf("p50 %s, p99 %s, max %s", Latency(t.Generator.Lag.Quantile(50)), Latency(t.Generator.Lag.Quantile(99)), Latency(t.Generator.Lag.Max()))
	}
	line("generator", "%s of %d cores, %s; behind the schedule %s", Number(t.Generator.CPU), t.Generator.Machine.Cores, Bytes(t.Generator.RSSBytes), lag)
	for _, why := range t.Generator.Limited {
		line("CLIENT-LIMITED", "%s", why)
	}
	for _, v := range t.SLO {
		line("slo", "%s %s", v.Objective, v)
	}
	if t.Interrupted {
		line("note", "interrupted: these are the numbers until then")
	}
}

func (t *Trial) rates() string {
	var parts []string
	for _, r := range []struct {
		name string
		n    int64
	}{{"connects", t.Counts.Connects}, {"sent", t.Counts.Sent}, {"acked", t.Counts.Acked}, {"delivered", t.Counts.Delivered}, {"synced", t.Counts.Synced}} {
		if r.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", Number(t.PerSecond(r.n)), r.name))
		}
	}
	return strings.Join(parts, ", ")
}

func (t *Trial) writeCheck(line func(name, format string, args ...any)) {
	c := t.Check
	if c.Sent > 0 {
		line("check", "%s sent, %s acknowledged, %s of %s deliveries: %s lost, %s repeated, %s out of order",
			thousands(c.Sent), thousands(c.Acked), thousands(c.Delivered), thousands(c.Expected), thousands(c.Lost), thousands(c.Duplicated), thousands(c.Reordered))
	}
	if c.Missed+c.Notices > 0 {
		line("MISSED", "%s deliveries, whose pushes the server dropped (missedNoti, %s times): they were fetched after the load, and their latency is until then", thousands(c.Missed), thousands(c.Notices))
	}
	if c.Unanswered > 0 {
		line("UNANSWERED", "%s requests; the time that they waited is in the latencies", thousands(c.Unanswered))
	}
	for _, v := range c.Violations {
		line("VIOLATION", "%s", v)
	}
}

func (t *Trial) writeMemory(line func(name, format string, args ...any)) {
	m := t.Memory
	if m == nil {
		return
	}
	server := "unknown without --admin"
	if m.ServerPerConn != 0 {
		server = Bytes(m.ServerPerConn)
	}
	line("memory", "each of %s connections: server %s, kernel %s a socket, generator %s", thousands(int64(m.Conns)), server, Bytes(m.KernelPerSocket), Bytes(m.ClientPerConn))
}

func (t *Trial) writeCost(line func(name, format string, args ...any)) {
	c := t.Cost
	if c == nil {
		return
	}
	if c.Restarted {
		line("cost", "unknown: the server was restarted meanwhile; memory %s (at most %s)", Bytes(c.RSSBytes), Bytes(c.MaxRSSBytes))
		return
	}
	s := fmt.Sprintf("server %s cores, memory %s (at most %s)", Number(c.CPUSeconds/max(t.Seconds, 0.001)), Bytes(c.RSSBytes), Bytes(c.MaxRSSBytes))
	if c.Messages > 0 {
		us := float64(c.CPUPerMessage()) / float64(time.Microsecond)
		s += fmt.Sprintf("; for each message %s µs of CPU and %s written", Number(us), Bytes(c.WrittenBytes/c.Messages))
	}
	if c.Messages > 0 && t.Counts.Delivered > 2*c.Messages {
		s += fmt.Sprintf("; %s µs of CPU for each delivery", Number(c.CPUSeconds*1e6/float64(t.Counts.Delivered)))
	}
	if c.Commits > 0 {
		s += fmt.Sprintf("; %s commits", thousands(c.Commits))
	}
	if c.Commits > 0 && c.Messages > 0 {
		s += fmt.Sprintf(", %s messages each", Number(float64(c.Messages)/float64(c.Commits)))
	}
	line("cost", "%s", s)
}

// CPUPerMessage is the server's processor time for each acknowledged message; 0 without messages.
func (c *Cost) CPUPerMessage() time.Duration {
	if c.Messages == 0 {
		return 0
	}
	return time.Duration(c.CPUSeconds / float64(c.Messages) * float64(time.Second))
}

package result

import (
	"fmt"
	"strconv"
	"time"
)

// Schema is the version of the JSON of a Result. It grows when a reader of the older one would misunderstand.
const Schema = 2

// Result holds the trials of one scenario with one set of parameters.
type Result struct {
	Schema int     `json:"schema"`
	Spec   Spec    `json:"spec"`
	Trials []Trial `json:"trials"`
}

// Spec says what is run: the scenario, its load and where. Durations are nanoseconds in JSON.
type Spec struct {
	Scenario string        `json:"scenario"`
	Addr     string        `json:"addr"`
	Admin    string        `json:"admin,omitempty"` // host:port of the server's admin endpoints
	Format   string        `json:"format"`          // json or msgpack
	Users    int           `json:"users"`
	Conns    int           `json:"connections"`        // over all users; more than Users gives them several devices
	Rate     float64       `json:"rate,omitempty"`     // arrivals a second, open loop
	Arrivals Arrivals      `json:"arrivals,omitempty"` // how they are spread, open loop
	Stages   []Stage       `json:"stages,omitempty"`   // Rate is what they begin with; Duration is that of all
	Window   int           `json:"window,omitempty"`   // closed loop: requests of each sender that wait for their answer
	Ramp     time.Duration `json:"ramp"`               // over which connections are opened
	Warmup   time.Duration `json:"warmup"`
	Duration time.Duration `json:"duration"`
	Payload  int           `json:"payload"`           // bytes of a message's content
	Members  int           `json:"members,omitempty"` // of a group
	Backlog  int           `json:"backlog,omitempty"` // messages of a conversation before the measurement
	Slow     int           `json:"slow,omitempty"`    // clients that do not read
	Mix      []Share       `json:"mix,omitempty"`
	Sources  []string      `json:"sources,omitempty"` // local addresses to connect from
	Seed     uint64        `json:"seed"`
	Workers  int           `json:"workers"` // processes that made the load
}

// Arrivals is how arrivals are spread at a rate.
type Arrivals string

// The ways.
const (
	Constant Arrivals = ""        // evenly
	Poisson  Arrivals = "poisson" // by chance, as people come who know nothing of each other
)

// Stage is a part of a schedule, over which the rate goes evenly from the one before to its own.
type Stage struct {
	Duration time.Duration `json:"duration"`
	Rate     float64       `json:"rate"`
}

// String is the stage as --stages has it.
func (s Stage) String() string {
	return s.Duration.String() + ":" + strconv.FormatFloat(s.Rate, 'f', -1, 64)
}

// Peak is the highest rate of an open loop.
func (s Spec) Peak() float64 {
	peak := s.Rate
	for _, stage := range s.Stages {
		peak = max(peak, stage.Rate)
	}
	return peak
}

// Arriving is about how many arrivals there are until the end, warm-up included.
func (s Spec) Arriving() float64 {
	if len(s.Stages) == 0 {
		return s.Rate * (s.Warmup + s.Duration).Seconds()
	}
	n, rate := s.Rate*s.Warmup.Seconds(), s.Rate
	for _, stage := range s.Stages {
		n, rate = n+(rate+stage.Rate)/2*stage.Duration.Seconds(), stage.Rate
	}
	return n
}

// rates says how arrivals come, in words.
func (s Spec) rates() string {
	words := Number(s.Rate) + "/s"
	if len(s.Stages) > 0 {
		words = "from " + words
		for _, stage := range s.Stages {
			words += fmt.Sprintf(" to %s/s in %s", Number(stage.Rate), stage.Duration)
		}
	}
	if s.Arrivals == Poisson {
		words += ", Poisson arrivals"
	}
	return words
}

// Share is the weight of one action in a mix.
type Share struct {
	Action string  `json:"action"`
	Weight float64 `json:"weight"`
}

// Closed reports whether the next request waits for an answer, so that a slow server is asked less.
func (s Spec) Closed() bool { return s.Window > 0 }

// Loop says how the load arrives, in words that stand in every output.
func (s Spec) Loop() string {
	switch {
	case s.Closed():
		return fmt.Sprintf("closed loop, window %d: a slow server is asked less, its stalls are not in the latencies of what was not sent", s.Window)
	case s.Peak() > 0:
		return fmt.Sprintf("open loop, %s: latency from the scheduled time", s.rates())
	}
	return "no load"
}

// Kind is one of the four latencies. They are never mixed.
type Kind string

// The latencies. What Sync means in a scenario is said where the scenario is described.
const (
	Connect Kind = "connect" // from the scheduled time of a connection until it is bound
	Ack     Kind = "ack"     // from the scheduled time of a message until the server has it on its disk
	Deliver Kind = "deliver" // from the scheduled time of a message until a receiver has it
	Sync    Kind = "sync"    // from asking for what is there until all of it is here
)

// Kinds are all of them, in the order in which they are shown.
var Kinds = []Kind{Connect, Ack, Deliver, Sync}

// Trial is one run of the scenario.
type Trial struct {
	Began       time.Time           `json:"began"`
	Seconds     float64             `json:"seconds"`               // measured, without ramp and warm-up
	Interrupted bool                `json:"interrupted,omitempty"` // the numbers are those until then
	Latency     map[Kind]*Histogram `json:"latency"`               // of what was scheduled while measuring
	Counts      Counts              `json:"counts"`                // while measuring
	Check       Check               `json:"check"`
	Generator   Generator           `json:"generator"`
	Server      *Server             `json:"server,omitempty"` // with --admin
	Cost        *Cost               `json:"cost,omitempty"`   // with --admin
	Memory      *Memory             `json:"memory,omitempty"` // scenario idle
	Series      []Point             `json:"series"`
	SLO         []Verdict           `json:"slo,omitempty"`
}

// Counts are events between the beginning and the end of the measurement.
type Counts struct {
	Connects  int64            `json:"connects"`
	Sent      int64            `json:"sent"`             // messages and receipts
	Acked     int64            `json:"acked"`            // of messages and receipts
	Delivered int64            `json:"delivered"`        // messages that receivers got
	Synced    int64            `json:"synced"`           // pages, drains or catch-ups, as the scenario says
	Entries   int64            `json:"entries"`          // that came with them
	Errors    map[string]int64 `json:"errors,omitempty"` // warm-up and the end included

	SlowClosed int64 `json:"slowClosed,omitempty"` // clients that do not read, closed by the server

	Succeeded  int64 `json:"succeeded"`  // what was asked for and done: of the load, warm-up and the end included; of idle, its connections
	Unanswered int64 `json:"unanswered"` // what was asked for and never answered, warm-up and the end included
}

// Failed is the number of errors: refusals, lost connections and what got no answer in time.
func (c Counts) Failed() int64 {
	n := c.Unanswered
	for _, count := range c.Errors {
		n += count
	}
	return n
}

// Success is the share of what was asked for that was done; 0 when nothing was asked for.
func (c Counts) Success() float64 {
	return float64(c.Succeeded) / max(float64(c.Succeeded+c.Failed()), 1)
}

// Check is what became of every message of the trial, warm-up included.
type Check struct {
	Sent       int64    `json:"sent"`
	Acked      int64    `json:"acked"`
	Expected   int64    `json:"expected"`  // deliveries of acknowledged messages
	Delivered  int64    `json:"delivered"` // once, whichever way
	Lost       int64    `json:"lost"`
	Duplicated int64    `json:"duplicated"`
	Reordered  int64    `json:"reordered"`
	Unanswered int64    `json:"unanswered"`           // requests, of whatever kind, that no answer came to
	Missed     int64    `json:"missed"`               // deliveries whose push the server dropped, and that were fetched in the end
	Notices    int64    `json:"notices"`              // how often it said so (missedNoti)
	Broken     int64    `json:"broken"`               // other violations: what was refused and came, seqs out of order, …
	Violations []string `json:"violations,omitempty"` // the first ones of any kind, in words
}

// maxViolations is how many are told in words.
const maxViolations = 10

// Note adds a violation in words.
func (c *Check) Note(format string, args ...any) {
	if len(c.Violations) < maxViolations {
		c.Violations = append(c.Violations, fmt.Sprintf(format, args...))
	}
}

// OK reports whether everything was answered and each message arrived once and in order.
func (c Check) OK() bool { return c.Lost+c.Duplicated+c.Reordered+c.Unanswered+c.Broken == 0 }

// Machine is where a process ran.
type Machine struct {
	OS       string `json:"os"`
	Kernel   string `json:"kernel,omitempty"`
	CPU      string `json:"cpu,omitempty"`
	Cores    int    `json:"cores"`
	MemoryMB int64  `json:"memoryMB,omitempty"`
	Go       string `json:"go"`
}

// Generator is how the load generator itself fared.
type Generator struct {
	Version  string     `json:"version"`
	Machine  Machine    `json:"machine"`
	CPU      float64    `json:"cpuCores"`          // cores that it kept busy while measuring
	RSSBytes int64      `json:"rssBytes"`          // at the end, over all workers
	Lag      *Histogram `json:"lag"`               // how late requests left, through the generator's own fault
	Lost     []string   `json:"lost,omitempty"`    // workers that were lost with their share of the load
	Limited  []string   `json:"limited,omitempty"` // why the numbers are the generator's rather than the server's
}

// Server says what was measured.
type Server struct {
	Version    string  `json:"version"`
	Machine    Machine `json:"machine"`
	FileSystem string  `json:"fileSystem"`
	Durability string  `json:"durability"`
}

// Cost is what the server used while measuring.
type Cost struct {
	CPUSeconds   float64 `json:"cpuSeconds"`
	RSSBytes     int64   `json:"rssBytes"`    // at the end
	MaxRSSBytes  int64   `json:"maxRSSBytes"` // of the samples, one a second
	WrittenBytes int64   `json:"writtenBytes"`
	Commits      int64   `json:"commits"`
	Messages     int64   `json:"messages"` // that the server counted as acknowledged

	Restarted bool `json:"restarted,omitempty"` // while measuring: what was used until then is not known, nor so the sums
}

// Memory is what idle connections take.
type Memory struct {
	Conns           int   `json:"connections"`
	ServerPerConn   int64 `json:"serverBytesPerConnection"` // of the server's heap after a collection; 0 without --admin
	KernelPerSocket int64 `json:"kernelBytesPerSocket"`     // slab of the machine, over the sockets that it holds
	ClientPerConn   int64 `json:"clientBytesPerConnection"` // of the generator
}

// Point is one second of a trial.
type Point struct {
	Second    int                `json:"second"` // since the measurement began; below 0 is warm-up
	Length    float64            `json:"length"` // in seconds, usually 1; the counts are of so long
	Conns     int64              `json:"connections"`
	Connects  int64              `json:"connects"`
	Sent      int64              `json:"sent"`
	Acked     int64              `json:"acked"`
	Delivered int64              `json:"delivered"`
	Synced    int64              `json:"synced"`
	Errors    int64              `json:"errors"`
	Latency   map[Kind]Quantiles `json:"latency,omitempty"`
	LagMs     float64            `json:"lagMs"`    // the longest
	CPU       float64            `json:"cpuCores"` // of the generator
	ServerCPU float64            `json:"serverCpuCores,omitempty"`
	ServerRSS int64              `json:"serverRssBytes,omitempty"`
}

// Quantiles are those of one second, in milliseconds.
type Quantiles struct {
	P50 float64 `json:"p50Ms"`
	P99 float64 `json:"p99Ms"`
	Max float64 `json:"maxMs"`
}

// Outcome says in one word how a trial ended: ok, failed, slo (one is broken) or interrupted. Errors alone do not fail
// a trial, since an overloaded server refuses, unless there was nothing else: without one success it has failed.
func (t Trial) Outcome() string {
	c := t.Counts
	switch {
	case !t.Check.OK(), c.Succeeded == 0 && (c.Failed() > 0 || !t.Interrupted):
		return "failed"
	case t.Interrupted:
		return "interrupted"
	}
	for _, v := range t.SLO {
		if !v.OK {
			return "slo"
		}
	}
	return "ok"
}

// PerSecond is a count as a rate.
func (t Trial) PerSecond(n int64) float64 {
	if t.Seconds <= 0 {
		return 0
	}
	return float64(n) / t.Seconds
}

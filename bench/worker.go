package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// A worker makes a share of the load in a process of its own. Whoever conducts connects to it and both write JSON
// values, one after the other:
//
//	conductor   {"version": 1, "spec": …}      run this
//	worker      {"prepared": true}             everyone is connected
//	conductor   {"start": true}
//	worker      {"tick": …} …                  every second
//	conductor   {"stop": true}                 sometimes: end with what there is
//	worker      {"outcome": …} or {"error": …}
//
// A connection that breaks ends the run.

// workerVersion is that of what the two say; it grows when an older one would misunderstand.
const workerVersion = 1

// order is what a conductor says.
type order struct {
	Version int          `json:"version,omitempty"` // with the spec
	Spec    *result.Spec `json:"spec,omitempty"`
	Start   bool         `json:"start,omitempty"`
	Stop    bool         `json:"stop,omitempty"`
}

// report is what a worker says.
type report struct {
	Prepared bool     `json:"prepared,omitempty"`
	Tick     *tally   `json:"tick,omitempty"`
	Outcome  *outcome `json:"outcome,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// Serve makes load for conductors that connect to l, one at a time, until ctx ends. Whoever can connect can
// have load made against any address: l belongs on loopback or a trusted network. said, if not nil, is told what
// happens.
func Serve(ctx context.Context, l net.Listener, said func(string)) error {
	if said == nil {
		said = func(string) {}
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	place := make(chan struct{}, 1)
	var runs sync.WaitGroup
	defer runs.Wait()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a conductor: %w", err)
		}
		runs.Go(func() {
			defer c.Close()
			select {
			case place <- struct{}{}:
			case <-time.After(windDown):
				_ = json.NewEncoder(c).Encode(report{Error: "it is busy with another run"})
				return
			}
			defer func() { <-place }()
			said("a run for " + c.RemoteAddr().String())
			if err := work(ctx, c); err != nil {
				said("it failed: " + err.Error())
			} else {
				said("it is done")
			}
		})
	}
}

// windDown is how long the end of a run that was given up may take, before the next conductor is sent away.
const windDown = 10 * time.Second

// work runs one spec for a conductor.
func work(ctx context.Context, c net.Conn) error {
	w := &worker{enc: json.NewEncoder(c), started: make(chan struct{})}
	dec := json.NewDecoder(c)
	var first order
	_ = c.SetReadDeadline(time.Now().Add(requestTimeout))
	if err := dec.Decode(&first); err != nil {
		return fmt.Errorf("read the spec: %w", err)
	}
	switch {
	case first.Spec == nil:
		return w.fail(errors.New("the first thing a conductor says must be the spec"))
	case first.Version != workerVersion:
		return w.fail(fmt.Errorf("it speaks version %d and was asked in version %d: use the same program for both", workerVersion, first.Version))
	}
	_ = c.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go w.listen(dec, cancel)
	if _, err := Complete(*first.Spec); err != nil {
		return w.fail(err)
	}
	out, err := generate(ctx, *first.Spec, w.prepared, func(t *tally) { w.say(report{Tick: t}) })
	if err != nil {
		return w.fail(err)
	}
	return w.say(report{Outcome: out})
}

// worker is one run for a conductor.
type worker struct {
	start   sync.Once
	started chan struct{} // closed when the load may begin

	mu  sync.Mutex
	enc *json.Encoder // guarded by mu
}

func (w *worker) say(r report) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.enc.Encode(r)
}

func (w *worker) fail(err error) error {
	_ = w.say(report{Error: err.Error()})
	return err
}

// listen hears when to start and when to stop; a conductor that is gone stops, too.
func (w *worker) listen(dec *json.Decoder, stop context.CancelFunc) {
	defer stop()
	for {
		var o order
		if dec.Decode(&o) != nil || o.Stop {
			return
		}
		if o.Start {
			w.start.Do(func() { close(w.started) })
		}
	}
}

// prepared says so, and waits for the others.
func (w *worker) prepared(ctx context.Context) error {
	if err := w.say(report{Prepared: true}); err != nil {
		return err
	}
	select {
	case <-w.started:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// remote is a worker, as its conductor sees it.
type remote struct{ addr string }

func (g remote) generate(ctx context.Context, spec result.Spec, start func(context.Context) error, tick func(*tally)) (*outcome, error) {
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", g.addr)
	if err != nil {
		return nil, fmt.Errorf("worker %s: %w", g.addr, err)
	}
	defer c.Close()
	enc := json.NewEncoder(c)
	spec.Workers = 1 // its share is all that it knows of
	if err := enc.Encode(order{Version: workerVersion, Spec: &spec}); err != nil {
		return nil, fmt.Errorf("worker %s: %w", g.addr, err)
	}
	var writing sync.Mutex
	say := func(o order) error {
		writing.Lock()
		defer writing.Unlock()
		return enc.Encode(o)
	}
	defer context.AfterFunc(ctx, func() { _ = say(order{Stop: true}) })()
	return g.follow(ctx, c, say, start, tick)
}

// deadWorker is how long a worker may be silent: it says something every second.
const deadWorker = time.Minute

// follow hears what the worker says until it is done.
func (g remote) follow(ctx context.Context, c net.Conn, say func(order) error, start func(context.Context) error, tick func(*tally)) (*outcome, error) {
	dec := json.NewDecoder(c)
	for {
		var r report
		_ = c.SetReadDeadline(time.Now().Add(deadWorker))
		if err := dec.Decode(&r); err != nil {
			return nil, fmt.Errorf("worker %s is gone: %w", g.addr, err)
		}
		switch {
		case r.Error != "":
			return nil, fmt.Errorf("worker %s: %s", g.addr, r.Error)
		case r.Outcome != nil:
			return r.Outcome, nil
		case r.Tick != nil:
			tick(r.Tick)
		case r.Prepared:
			if err := start(ctx); err != nil {
				return nil, err
			}
			if err := say(order{Start: true}); err != nil {
				return nil, fmt.Errorf("worker %s: %w", g.addr, err)
			}
		}
	}
}

package bench

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// A worker makes a share of the load in a process of its own. Whoever conducts connects to it and both write JSON
// values, one after the other:
//
//	conductor   {"version": 2, "token": …, "spec": …}  run this
//	worker      {"prepared": true}             everyone is connected
//	conductor   {"wait": true} …               every two seconds: others are not
//	conductor   {"start": true}
//	worker      {"tick": …} …                  every second
//	conductor   {"stop": true}                 sometimes: end with what there is
//	worker      {"outcome": …} or {"error": …}
//
// A worker whose connection breaks before the load has begun ends the run; later it costs its share.

// workerVersion is that of what the two say; it grows when an older one would misunderstand.
const workerVersion = 2

// order is what a conductor says.
type order struct {
	Version int          `json:"version,omitempty"` // with the spec
	Token   string       `json:"token,omitempty"`   // with the spec
	Spec    *result.Spec `json:"spec,omitempty"`
	Wait    bool         `json:"wait,omitempty"`
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

// WorkerOptions says whom a worker works for.
type WorkerOptions struct {
	Targets []string     // the servers that it loads, host:port; no other
	Token   string       // that a conductor must know; "" for none
	Said    func(string) // told what happens; nil for nobody
}

// Serve makes load for conductors that connect to l, one at a time, until ctx ends.
func Serve(ctx context.Context, l net.Listener, opts WorkerOptions) error {
	if opts.Said == nil {
		opts.Said = func(string) {}
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
			w := &worker{opts: opts, conn: c, enc: json.NewEncoder(c), started: make(chan struct{}), waits: make(chan struct{}, 1)}
			dec, spec, err := w.hear()
			if err != nil {
				opts.Said("refused " + c.RemoteAddr().String() + ": " + w.fail(err).Error())
				return
			}
			select {
			case place <- struct{}{}:
			case <-time.After(windDown):
				_ = w.fail(errors.New("it is busy with another run"))
				return
			}
			defer func() { <-place }()
			opts.Said("a run for " + c.RemoteAddr().String())
			if err := w.work(ctx, dec, spec); err != nil {
				opts.Said("it failed: " + err.Error())
			} else {
				opts.Said("it is done")
			}
		})
	}
}

// windDown is how long the end of a run that was given up may take, before the next conductor is sent away.
const windDown = 10 * time.Second

// Bounds of what a conductor may do.
const (
	helloTime = 10 * time.Second // from the connection to the spec
	maxOrders = 1 << 20          // bytes of all that it says
	startTime = 10 * time.Second // from being prepared until it lets the load begin, or says that others are not prepared yet
)

// worker is one run for a conductor.
type worker struct {
	// Static.
	opts    WorkerOptions
	conn    net.Conn
	start   sync.Once
	started chan struct{} // closed when the load may begin
	waits   chan struct{} // others are not prepared yet

	mu  sync.Mutex
	enc *json.Encoder // guarded by mu
}

// hear reads what the conductor wants, and whether it may.
func (w *worker) hear() (*json.Decoder, result.Spec, error) {
	dec := json.NewDecoder(io.LimitReader(w.conn, maxOrders))
	var first order
	_ = w.conn.SetReadDeadline(time.Now().Add(helloTime))
	if err := dec.Decode(&first); err != nil {
		return nil, result.Spec{}, fmt.Errorf("read the spec: %w", err)
	}
	_ = w.conn.SetReadDeadline(time.Time{})
	switch {
	case subtle.ConstantTimeCompare([]byte(first.Token), []byte(w.opts.Token)) != 1:
		return nil, result.Spec{}, errors.New("the token is wrong: give both the same --token-file")
	case first.Spec == nil:
		return nil, result.Spec{}, errors.New("the first thing a conductor says must be the spec")
	case first.Version != workerVersion:
		return nil, result.Spec{}, fmt.Errorf("it speaks version %d and was asked in version %d: use the same program for both", workerVersion, first.Version)
	case first.Spec.Workers != 1:
		return nil, result.Spec{}, errors.New("its share is not that of one worker")
	case !slices.Contains(w.opts.Targets, first.Spec.Addr):
		return nil, result.Spec{}, fmt.Errorf("it loads %s and not %s: name that when you start it", strings.Join(w.opts.Targets, ", "), first.Spec.Addr)
	}
	spec, err := Complete(*first.Spec)
	return dec, spec, err
}

// work runs a spec for the conductor.
func (w *worker) work(ctx context.Context, dec *json.Decoder, spec result.Spec) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go w.listen(dec, cancel)
	out, err := generate(ctx, spec, w.prepared, func(t *tally) { _ = w.say(report{Tick: t}) })
	if err != nil {
		return w.fail(err)
	}
	return w.say(report{Outcome: out})
}

func (w *worker) say(r report) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.conn.SetWriteDeadline(time.Now().Add(deadWorker))
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
		if o.Wait {
			select {
			case w.waits <- struct{}{}:
			default:
			}
		}
		if o.Start {
			w.start.Do(func() { close(w.started) })
		}
	}
}

// prepared says so, and waits for the others, as long as the conductor says that it does.
func (w *worker) prepared(ctx context.Context) error {
	if err := w.say(report{Prepared: true}); err != nil {
		return err
	}
	for {
		late := time.NewTimer(startTime)
		select {
		case <-w.started:
			return nil
		case <-w.waits:
			late.Stop()
		case <-late.C:
			return fmt.Errorf("the conductor has not let the load begin within %s", startTime)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// remote is a worker, as its conductor sees it.
type remote struct{ addr, token string }

func (g remote) generate(ctx context.Context, spec result.Spec, start func(context.Context) error, tick func(*tally)) (*outcome, error) {
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", g.addr)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrWorker, g.addr, err)
	}
	defer c.Close()
	enc := json.NewEncoder(c)
	spec.Workers = 1 // its share is all that it knows of
	if err := enc.Encode(order{Version: workerVersion, Token: g.token, Spec: &spec}); err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrWorker, g.addr, err)
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

// maxReport bounds what a worker says at once: a tick has a dozen histograms.
const maxReport = 64 << 20

// errShare says that a worker was lost while it made its load.
var errShare = errors.New("its share is lost")

// follow hears what the worker says until it is done.
func (g remote) follow(ctx context.Context, c net.Conn, say func(order) error, start func(context.Context) error, tick func(*tally)) (*outcome, error) {
	in := &io.LimitedReader{R: c}
	dec := json.NewDecoder(in)
	begun := false
	for {
		var r report
		in.N = maxReport
		_ = c.SetReadDeadline(time.Now().Add(deadWorker))
		if err := dec.Decode(&r); err != nil {
			err = fmt.Errorf("%w %s is gone: %w", ErrWorker, g.addr, err)
			if begun {
				err = fmt.Errorf("%w: %w", errShare, err)
			}
			return nil, err
		}
		switch {
		case r.Error != "":
			return nil, fmt.Errorf("%w %s: %s", ErrWorker, g.addr, r.Error)
		case r.Outcome != nil:
			return r.Outcome, nil
		case r.Tick != nil:
			tick(r.Tick)
		case r.Prepared:
			if err := g.meanwhile(ctx, say, start); err != nil {
				return nil, err
			}
			begun = true
			if err := say(order{Start: true}); err != nil {
				return nil, fmt.Errorf("%w: %w %s: %w", errShare, ErrWorker, g.addr, err)
			}
		}
	}
}

// meanwhile waits for the others, and says so.
func (g remote) meanwhile(ctx context.Context, say func(order) error, start func(context.Context) error) error {
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-time.After(startTime / 5):
				_ = say(order{Wait: true}) // follow notices a connection that has ended
			case <-done:
				return
			}
		}
	}()
	return start(ctx)
}

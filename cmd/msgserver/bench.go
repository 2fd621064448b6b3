package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msgserver/msgserver/bench"
	"github.com/msgserver/msgserver/bench/report"
	"github.com/msgserver/msgserver/bench/result"
)

// Exit codes of bench, beside the others.
const (
	exitBroken      = 99  // an SLO is broken, or something got worse
	exitInterrupted = 130 // as shells count SIGINT
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a server under a known load",
		Long: fmt.Sprintf(`Measure a server under a known load, and check that nothing is lost, repeated or out of order.

Start here:
  %[1]s bench quick                                a minute of everything, with a server of its own
  %[1]s bench run direct --rate 1000               one scenario against a server that runs`, selfCommand()),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(newBenchRun(), newBenchQuick(), newBenchCompare(), newBenchCapacity(), newBenchReport(), newBenchWorker())
	return cmd
}

// benchLoad is what commands that make a load have as flags.
type benchLoad struct {
	spec    result.Spec
	mix     string
	slo     string
	workers []string
	token   string
	stages  string
	given   *pflag.FlagSet
}

// flags makes them; the values that l already has for some are their defaults.
func (l *benchLoad) flags(c *cobra.Command) {
	f, s := c.Flags(), &l.spec
	l.given = f
	f.StringVar(&s.Addr, "addr", "127.0.0.1:3005", "address of the server")
	f.StringVar(&s.Admin, "admin", "", "admin address of the server, to learn what the run costs it")
	f.IntVar(&s.Users, "users", 0, "users (default depends on the scenario)")
	f.IntVar(&s.Conns, "connections", 0, "connections, at least one for each user; more are further devices (default one for each user, in mixed two)")
	f.Float64Var(&s.Rate, "rate", 0, "arrivals a second, open loop: latency counts from the scheduled time (default depends on the scenario)")
	f.StringVar((*string)(&s.Arrivals), "arrivals", "constant", "how arrivals are spread at that rate: constant, or poisson for as by chance")
	f.StringVar(&l.stages, "stages", "", "rates to go to instead of --duration, each evenly within its time from the one before, the first from --rate or 0: for example 1m:1000,5m:5000")
	f.IntVar(&s.Window, "window", 0, "closed loop instead: so many requests of each sender wait for their answer")
	f.DurationVar(&s.Ramp, "ramp", 0, "time over which connections are opened, or come back (default 1s, longer for many)")
	f.DurationVar(&s.Warmup, "warmup", s.Warmup, "load before what counts begins")
	f.DurationVar(&s.Duration, "duration", s.Duration, "load that counts")
	f.IntVar(&s.Payload, "payload", 0, "bytes of a message's content (default 200, in slow-consumer 4096)")
	f.StringVar(&s.Format, "format", "json", "format of the bodies: json or msgpack")
	f.IntVar(&s.Members, "members", 0, "members of a group (default 100, in mixed 20)")
	f.IntVar(&s.Backlog, "backlog", 0, "messages that wait, or that a conversation has (default 200, in history 500)")
	f.IntVar(&s.Slow, "slow", 0, "clients that never read (default 10)")
	f.StringVar(&l.mix, "mix", "", `file with the weights of mixed, for example {"direct": 60, "group": 15, "history": 10, "sessions": 12, "reconnect": 3}`)
	f.StringSliceVar(&s.Sources, "source", nil, "local addresses to connect from, for more connections than one address has ports")
	f.Uint64Var(&s.Seed, "seed", 1, "of the random choices")
	f.StringVar(&l.slo, "slo", l.slo, "what must hold, for example 'deliver.p99<50ms,loss==0'")
	f.StringSliceVar(&l.workers, "workers", nil, "addresses of 'bench worker' processes that make the load instead of this one")
	f.StringVar(&l.token, "token-file", "", "file with the token that the workers want")
}

// complete gives the spec and the options that the flags and the scenario say.
func (l *benchLoad) complete(scenario string) (result.Spec, bench.Options, error) {
	opts := bench.Options{Version: buildVersion().Version, Workers: l.workers}
	spec := l.spec
	spec.Scenario, spec.Workers = scenario, max(1, len(l.workers))
	err := l.possible()
	if err != nil {
		return spec, opts, err
	}
	if l.stages != "" {
		if l.given.Changed("duration") {
			return spec, opts, usageError("--duration: --stages say how long the load is")
		}
		if spec.Stages, err = bench.ParseStages(l.stages); err != nil {
			return spec, opts, usageError("--stages: %v", err)
		}
	}
	if opts.Token, err = readToken(l.token); err != nil {
		return spec, opts, err
	}
	if opts.SLO, err = result.ParseSLO(l.slo); err != nil {
		return spec, opts, usageError("--slo: %v", err)
	}
	if l.mix != "" {
		f, err := os.Open(l.mix)
		if err != nil {
			return spec, opts, usageError("--mix: %v", err)
		}
		defer f.Close()
		if spec.Mix, err = bench.ReadMix(f); err != nil {
			return spec, opts, usageError("--mix %s: %v", l.mix, err)
		}
	}
	if spec, err = bench.Complete(spec); err != nil {
		return spec, opts, usageError("%v", err)
	}
	return spec, opts, nil
}

// possible refuses numbers that were given and mean nothing: a zero would be taken for the default.
func (l *benchLoad) possible() error {
	s := l.spec
	for _, n := range []struct {
		flag  string
		wrong bool
		want  string
	}{
		{"users", s.Users < 2, "at least 2"}, {"connections", s.Conns < 2, "at least 2"},
		{"rate", !(s.Rate > 0 && s.Rate <= bench.MaxRate), fmt.Sprintf("above 0 and at most %d", bench.MaxRate)},
		{"window", s.Window < 1, "at least 1"}, {"members", s.Members < 2, "at least 2"}, {"backlog", s.Backlog < 1, "at least 1"},
		{"slow", s.Slow < 1, "at least 1"}, {"payload", s.Payload < 16, "at least 16 bytes"},
		{"duration", s.Duration <= 0, "above 0"}, {"warmup", s.Warmup < 0, "0 or more"}, {"ramp", s.Ramp <= 0, "above 0"},
	} {
		if f := l.given.Lookup(n.flag); f != nil && f.Changed && n.wrong {
			return usageError("--%s %s: it is %s", n.flag, f.Value, n.want)
		}
	}
	return nil
}

// readToken reads a token from a file; "" without one.
func readToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", usageError("--token-file: %v", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", usageError("--token-file %s is empty", file)
	}
	return token, nil
}

// warn says before a run what it will leave on the server.
func (l *benchLoad) warn(w io.Writer, spec result.Spec, trials int) {
	n, known := bench.Leaves(spec)
	n *= int64(trials)
	switch {
	case !known:
		fmt.Fprintf(w, "This leaves every message that goes through on the server at %s, of users of its own. Use one whose data can go.\n", spec.Addr)
	case n > 0:
		fmt.Fprintf(w, "This leaves about %s messages, %s, on the server at %s, of users of its own. Use one whose data can go.\n",
			result.Number(float64(n)), result.Bytes(spec.Stored(n)), spec.Addr)
	}
}

// freshDir refuses a directory that holds results already.
func freshDir(dir string, force bool, taken bool) error {
	if taken && !force {
		return usageError("--out %s holds a result already: name another directory, or replace it with --force", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return usageError("--out: %v", err)
	}
	return nil
}

// scenarioArg wants one scenario.
func scenarioArg(c *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return usageError("%s wants one scenario: %s", c.CommandPath(), scenarioNames())
}

func scenarioNames() string {
	var names []string
	for _, d := range bench.Scenarios() {
		names = append(names, d.Name)
	}
	return strings.Join(names, ", ")
}

// scenarioHelp describes every scenario.
func scenarioHelp() string {
	var b strings.Builder
	for _, d := range bench.Scenarios() {
		fmt.Fprintf(&b, "\n%s\n%s", d.Name, paragraph("models "+d.Models+"."))
		b.WriteString(paragraph("It leaves out " + d.Omits + "."))
		if d.Sync != "" {
			b.WriteString(paragraph("Its sync latency is " + d.Sync + "."))
		}
	}
	return b.String()
}

// paragraph is text in lines of about a hundred characters.
func paragraph(text string) string {
	var b strings.Builder
	width := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			b.WriteString("  ")
		case width+len(word) > 100:
			b.WriteString("\n  ")
			width = 0
		default:
			b.WriteByte(' ')
		}
		b.WriteString(word)
		width += len(word) + 1
	}
	b.WriteByte('\n')
	return b.String()
}

// interruptible is a context that the first SIGINT or SIGTERM ends; the second one ends the process.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// showProgress is a bench.Options.Progress for a terminal.
func showProgress(p *progress) func(bench.Progress) {
	return func(now bench.Progress) {
		var b strings.Builder
		b.WriteString(now.Phase.String())
		if now.Left > 0 {
			fmt.Fprintf(&b, ", %s left", now.Left.Round(time.Second))
		}
		fmt.Fprintf(&b, " | %s connections", result.Number(float64(now.Conns)))
		for _, name := range []string{"connects", "sent", "acked", "delivered", "synced"} {
			if rate := now.Rates[name]; rate > 0 {
				fmt.Fprintf(&b, " | %s %s/s", name, result.Number(rate))
			}
		}
		for _, kind := range result.Kinds {
			if h := now.Latency[kind]; h != nil && now.Phase >= bench.Warming {
				fmt.Fprintf(&b, " | %s p99 %s", kind, result.Latency(h.Quantile(99)))
			}
		}
		fmt.Fprintf(&b, " | %d errors", now.Errors)
		p.show("%s", b.String())
	}
}

// benchError gives an error of a run its exit code.
func benchError(ctx context.Context, addr string, err error) error {
	var op *net.OpError
	switch {
	case ctx.Err() != nil:
		return &codedError{exitInterrupted, errors.New("interrupted before anything was measured")}
	case errors.Is(err, bench.ErrDescriptors), errors.Is(err, syscall.EMFILE):
		return usageError("%v: raise the limit with 'ulimit -n', or spread the connections over several processes with --workers", err)
	case errors.Is(err, bench.ErrAdmin):
		return &codedError{exitUnreachable, fmt.Errorf("%w: name the server's --admin address with --admin, or leave it out", err)}
	case errors.As(err, &op) && op.Op == "dial" && errors.Is(err, bench.ErrWorker):
		return &codedError{exitUnreachable, fmt.Errorf("no worker answers at %s: start one with '%s bench worker', or name another with --workers: %w", op.Addr, selfCommand(), err)}
	case errors.Is(err, bench.ErrProtocol):
		return &codedError{exitUnreachable, fmt.Errorf("%s: %w: name the address of a msgserver with --addr", addr, err)}
	case errors.As(err, &op) && op.Op == "dial":
		return &codedError{exitUnreachable, fmt.Errorf("nothing answers at %s: start a server with '%s serve', or name another with --addr: %w", op.Addr, selfCommand(), err)}
	}
	return fmt.Errorf("bench against %s: %w", addr, err)
}

// verdict is the exit code of results.
func verdict(all ...*result.Result) error {
	for _, want := range []struct {
		outcome string
		code    int
		text    string
	}{
		{"failed", exitFailed, "the server failed the check, or answered nothing: see VIOLATION and error"},
		{"interrupted", exitInterrupted, "interrupted: the results are those until then"},
		{"slo", exitBroken, "an objective was not met"},
	} {
		for _, r := range all {
			if r.Outcome() == want.outcome {
				return &codedError{want.code, errors.New(want.text)}
			}
		}
	}
	return nil
}

// keep writes a result and its report into a directory.
func keep(dir string, r *result.Result) error {
	if err := r.Write(dir); err != nil {
		return err
	}
	return writeReport(filepath.Join(dir, reportFile), report.Named{Name: filepath.Base(dir), Result: r})
}

// reportFile is the report in a directory of results.
const reportFile = "report.html"

// benchOutput is the -o flag of bench: text, json or csv.
type benchOutput struct{ format string }

func (o *benchOutput) flags(c *cobra.Command) {
	c.Flags().StringVarP(&o.format, "output", "o", "text", "text, json or csv")
}

func (o *benchOutput) check() error {
	switch o.format {
	case "text", "json", "csv":
		return nil
	}
	return usageError("-o %s: it is text, json or csv", o.format)
}

func (o *benchOutput) print(w io.Writer, r *result.Result) error {
	switch o.format {
	case "json":
		return r.WriteJSON(w)
	case "csv":
		return r.WriteCSV(w)
	}
	_, err := fmt.Fprintln(w, r.Text())
	return err
}

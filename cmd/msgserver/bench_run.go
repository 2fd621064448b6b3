package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/bench"
	"github.com/msgserver/msgserver/bench/result"
)

// benchRun is bench run with what it was told.
type benchRun struct {
	load   benchLoad
	trials int
	dir    string
	out    benchOutput
}

func newBenchRun() *cobra.Command {
	b := &benchRun{load: benchLoad{spec: result.Spec{Warmup: 5 * time.Second, Duration: 30 * time.Second}}}
	cmd := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Run a scenario against a server",
		Long: "Run a scenario against a server, and check that every message arrived once and in order.\n\nExit codes: 0; 1 the server failed the check, or the run did;" +
			" 2 wrong usage; 3 no server there; 99 an objective of --slo\nwas not met; 130 interrupted (the results until then are printed and kept).\n\nThe scenarios:\n" + scenarioHelp(),
		Args: scenarioArg,
		RunE: func(c *cobra.Command, args []string) error { return b.run(c.Context(), args[0], c.OutOrStdout()) },
	}
	b.load.flags(cmd)
	b.out.flags(cmd)
	cmd.Flags().IntVar(&b.trials, "trials", 1, "how often; bench compare wants three or more, with --max-regress four or more")
	cmd.Flags().StringVar(&b.dir, "out", "", "directory for result.json, series.csv, the .hgrm files and report.html")
	return cmd
}

func (b *benchRun) run(ctx context.Context, scenario string, w io.Writer) error {
	if err := b.out.check(); err != nil {
		return err
	}
	if b.trials < 1 {
		return usageError("--trials %d: it is at least 1", b.trials)
	}
	spec, opts, err := b.load.complete(scenario)
	if err != nil {
		return err
	}
	if b.dir != "" {
		if err := os.MkdirAll(b.dir, 0o777); err != nil {
			return usageError("--out: %v", err)
		}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	r, err := b.all(ctx, spec, opts)
	if len(r.Trials) == 0 {
		return benchError(ctx, spec.Addr, err)
	}
	if err := b.out.print(w, r); err != nil {
		return err
	}
	if b.dir != "" && b.out.format == "text" {
		fmt.Fprintf(w, "\nThe charts are in %s/%s.\n", b.dir, reportFile)
	}
	if err != nil && ctx.Err() == nil {
		return benchError(ctx, spec.Addr, err)
	}
	return verdict(r)
}

// all runs the trials and keeps what there is after each. The result holds those that ended before an error.
func (b *benchRun) all(ctx context.Context, spec result.Spec, opts bench.Options) (*result.Result, error) {
	r := &result.Result{Schema: result.Schema, Spec: spec}
	for i := range b.trials {
		t, err := b.trial(ctx, i, spec, opts)
		if err != nil {
			return r, err
		}
		r.Trials = append(r.Trials, *t)
		if b.dir != "" {
			if err := keep(b.dir, r); err != nil {
				return r, fmt.Errorf("keep the results: %w", err)
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return r, nil
}

// trial runs the scenario once.
func (b *benchRun) trial(ctx context.Context, i int, spec result.Spec, opts bench.Options) (*result.Trial, error) {
	name := spec.Scenario
	if b.trials > 1 {
		name = fmt.Sprintf("%s %d/%d", name, i+1, b.trials)
	}
	p := newProgress(name + ":")
	defer p.clear()
	opts.Progress = showProgress(p)
	return bench.Run(ctx, spec, opts)
}

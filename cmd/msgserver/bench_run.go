package main

import (
	"context"
	"fmt"
	"io"
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
	force  bool
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
		RunE: func(c *cobra.Command, args []string) error {
			return b.run(c.Context(), args[0], c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	b.load.flags(cmd)
	b.out.flags(cmd)
	cmd.Flags().IntVar(&b.trials, "trials", 1, "how often; bench compare wants three or more, with --max-regress four or more")
	cmd.Flags().StringVar(&b.dir, "out", "", "directory for result.json, series.csv, the .hgrm files and report.html")
	cmd.Flags().BoolVar(&b.force, "force", false, "replace the result that --out already holds")
	return cmd
}

const maxTrials = 1000

func (b *benchRun) run(ctx context.Context, scenario string, w, errOut io.Writer) error {
	if err := b.out.check(); err != nil {
		return err
	}
	if b.trials < 1 || b.trials > maxTrials {
		return usageError("--trials %d: it is within 1 and %d", b.trials, maxTrials)
	}
	spec, opts, err := b.load.complete(scenario)
	if err != nil {
		return err
	}
	if b.dir != "" {
		if err := freshDir(b.dir, b.force, result.Exists(b.dir)); err != nil {
			return err
		}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	b.load.warn(errOut, spec, b.trials)
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

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/bench"
	"github.com/msgserver/msgserver/bench/report"
	"github.com/msgserver/msgserver/bench/result"
)

// benchCapacity is bench capacity with what it was told.
type benchCapacity struct {
	load  benchLoad
	climb bench.Climb
	dir   string
	force bool
	out   output
}

// defaultSLO is what a rate must meet if nothing else is said.
const defaultSLO = "ack.p99<50ms,loss==0,duplicates==0,reordered==0"

func newBenchCapacity() *cobra.Command {
	b := &benchCapacity{load: benchLoad{spec: result.Spec{Warmup: 2 * time.Second, Duration: 10 * time.Second}, slo: defaultSLO}}
	cmd := &cobra.Command{
		Use:   "capacity SCENARIO",
		Short: "Find the highest rate that meets the objectives",
		Long: `Find the highest rate that meets the objectives of --slo: from --rate it doubles until one is not met, and then halves
what lies between. A rate also has to be kept up, without errors.`,
		Args: scenarioArg,
		RunE: func(c *cobra.Command, args []string) error {
			return b.run(c.Context(), args[0], c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	b.load.flags(cmd)
	b.out.flags(cmd)
	f := cmd.Flags()
	f.Float64Var(&b.climb.Max, "max-rate", 0, "no rate above it is tried; 0: no bound")
	f.StringVar(&b.dir, "out", "", "directory for capacity.json, and report.html with every attempt")
	f.BoolVar(&b.force, "force", false, "replace the result that --out already holds")
	f.Float64Var(&b.climb.Precision, "precision", 0.05, "how far below the lowest rate that fails the answer may be")
	return cmd
}

func (b *benchCapacity) run(ctx context.Context, scenario string, w, errOut io.Writer) error {
	if err := b.out.check(); err != nil {
		return err
	}
	if b.climb.Precision <= 0 || b.climb.Precision >= 1 {
		return usageError("--precision %v: it is between 0 and 1", b.climb.Precision)
	}
	if !(b.climb.Max >= 0 && b.climb.Max <= bench.MaxRate) {
		return usageError("--max-rate %v: it is at least 0 and at most %d", b.climb.Max, bench.MaxRate)
	}
	spec, opts, err := b.load.complete(scenario)
	if err != nil {
		return err
	}
	if spec.Closed() || spec.Rate == 0 || len(spec.Stages) > 0 {
		return usageError("capacity is about rates: %s with these flags has no single one", scenario)
	}
	if b.dir != "" {
		_, err := os.Stat(filepath.Join(b.dir, capacityFile))
		if err := freshDir(b.dir, b.force, err == nil || result.Exists(b.dir)); err != nil {
			return err
		}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	fmt.Fprintf(errOut, "This leaves every message of every attempt on the server at %s, of users of its own. Use one whose data can go.\n", spec.Addr)
	p := newProgress("capacity of " + scenario + ":")
	opts.Progress = showProgress(p)
	if b.out.format == "text" {
		fmt.Fprintf(w, "the highest rate of %s with %s\n", scenario, b.load.slo)
	}
	found, err := bench.FindCapacity(ctx, spec, &b.climb, opts, func(a bench.Attempt) {
		p.clear()
		if b.out.format == "text" {
			fmt.Fprintln(w, attemptText(a))
		}
	})
	p.clear()
	switch {
	case ctx.Err() != nil:
		err = &codedError{exitInterrupted, errors.New("interrupted: the highest rate until then is what is printed")}
	case err != nil:
		return benchError(ctx, spec.Addr, err)
	case found.Rate == 0:
		err = &codedError{exitBroken, errors.New("no rate meets the objectives")}
	}
	return errors.Join(b.print(w, found), b.keep(found), err)
}

// capacityFile is the answer in a directory of results.
const capacityFile = "capacity.json"

// keep writes what was found, and its attempts as a page, into the directory of --out.
func (b *benchCapacity) keep(found *bench.Capacity) error {
	if b.dir == "" {
		return nil
	}
	if err := writeJSON(filepath.Join(b.dir, capacityFile), found); err != nil {
		return fmt.Errorf("keep the results: %w", err)
	}
	c := report.Capacity{Spec: found.Spec, Rate: found.Rate, ClientLimited: found.ClientLimited, Objectives: b.load.slo}
	for _, a := range found.Attempts {
		c.Attempts = append(c.Attempts, report.Attempt{Rate: a.Rate, Why: a.Why, Trial: a.Trial})
	}
	return writePage(filepath.Join(b.dir, reportFile), func(w io.Writer) error { return report.CapacityHTML(w, c) })
}

// writeJSON writes a value into a file.
func writeJSON(file string, v any) error {
	return writePage(file, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	})
}

func (b *benchCapacity) print(w io.Writer, found *bench.Capacity) error {
	if b.out.format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(found)
	}
	text := fmt.Sprintf("\n%s: %s/s", found.Spec.Scenario, result.Number(found.Rate))
	if found.ClientLimited {
		text += ", beyond which the generator itself was late: another machine for it may show more"
	}
	if b.dir != "" {
		text += fmt.Sprintf("\nThe attempts are drawn in %s/%s.", b.dir, reportFile)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// attemptText is a line about one rate.
func attemptText(a bench.Attempt) string {
	var b strings.Builder
	verdict := "passed"
	if !a.Passed {
		verdict = "failed"
	}
	fmt.Fprintf(&b, "%12s/s  %s", result.Number(a.Rate), verdict)
	for _, kind := range result.Kinds {
		if h := a.Trial.Latency[kind]; h != nil && h.Count() > 0 {
			fmt.Fprintf(&b, "  %s p99 %s", kind, result.Latency(h.Quantile(99).Round(time.Microsecond)))
		}
	}
	if len(a.Why) > 0 {
		fmt.Fprintf(&b, "  by %s", strings.Join(a.Why, "; "))
	}
	if len(a.Trial.Generator.Limited) > 0 {
		b.WriteString("  (client-limited)")
	}
	return b.String()
}

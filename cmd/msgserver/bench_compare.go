package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/bench/report"
	"github.com/msgserver/msgserver/bench/result"
)

// benchCompare is bench compare with what it was told.
type benchCompare struct {
	opts       result.CompareOptions
	maxRegress percentFlag
	report     string
	out        output
}

func newBenchCompare() *cobra.Command {
	b := &benchCompare{}
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Say what is different between two results, and what is noise",
		Long: `Say what is different between two results that bench run --out has kept, and what is noise, by the Mann-Whitney test over
their trials: three at least, five or more tell more. Both must be of the same scenario and load.

--max-regress calls something worse only when it is so beyond the limit, and with confidence over all metrics together: two results of
the same server end with 99 in at most one of twenty cases, whatever their number of trials. It wants four trials of each at least.
What one of the two lacks ends with 99 as well.

Exit codes: 0; 2 the results cannot be compared; 99 something got worse by more than --max-regress.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError("%s wants two directories that bench run --out has made", c.CommandPath())
			}
			return nil
		},
		RunE: b.run,
	}
	f := cmd.Flags()
	b.out.flags(cmd)
	f.Float64Var(&b.opts.Alpha, "alpha", 0.05, "p below which a difference is no noise")
	f.Var(&b.maxRegress, "max-regress", "how much worse a metric may get, for example 5%")
	f.StringVar(&b.report, "report", "", "write the comparison with charts to this HTML file")
	return cmd
}

func (b *benchCompare) run(c *cobra.Command, dirs []string) error {
	if err := b.out.check(); err != nil {
		return err
	}
	if !(b.opts.Alpha > 0 && b.opts.Alpha < 1) {
		return usageError("--alpha %v: it is between 0 and 1", b.opts.Alpha)
	}
	all, err := readResults(dirs)
	if err != nil {
		return err
	}
	b.opts.NameA, b.opts.NameB, b.opts.MaxRegress = all[0].Name, all[1].Name, float64(b.maxRegress)
	b.opts.Gate = c.Flags().Changed("max-regress")
	compared, err := result.Compare(all[0].Result, all[1].Result, b.opts)
	if err != nil {
		return &codedError{exitUsage, err}
	}
	if err := b.out.print(c, compared, compared.Text); err != nil {
		return err
	}
	if b.report != "" {
		if err := writeReport(b.report, all...); err != nil {
			return err
		}
	}
	if err := compared.Err(); err != nil {
		return &codedError{exitBroken, err}
	}
	return nil
}

// writeReport writes results and their charts into a file.
func writeReport(file string, results ...report.Named) error {
	return writePage(file, func(w io.Writer) error { return report.HTML(w, results...) })
}

// writePage makes a file.
func writePage(file string, write func(io.Writer) error) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// percentFlag is a share, given as 5% or 0.05.
type percentFlag float64

// String, Set and Type are pflag.Value's.
func (p *percentFlag) String() string {
	return strconv.FormatFloat(100*float64(*p), 'f', -1, 64) + "%"
}

func (p *percentFlag) Set(s string) error {
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v >= 0) {
		return fmt.Errorf("%q is no share: write 5%% or 0.05", s)
	}
	if percent {
		v /= 100
	}
	*p = percentFlag(v)
	return nil
}

func (p *percentFlag) Type() string { return "percent" }

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/bench"
	"github.com/msgserver/msgserver/bench/report"
	"github.com/msgserver/msgserver/bench/result"
)

// benchQuick is bench quick with what it was told.
type benchQuick struct {
	dir     string
	force   bool
	seconds time.Duration // of each scenario
	out     benchOutput
}

// quickSpecs are the main scenarios, as small as tells something.
var quickSpecs = []result.Spec{
	{Scenario: "connect-storm", Rate: 500, Users: 1000},
	{Scenario: "idle", Users: 2000, Ramp: time.Second},
	{Scenario: "direct", Rate: 1000},
	{Scenario: "direct", Window: 64},
	{Scenario: "group", Members: 100, Users: 100, Rate: 50},
	{Scenario: "group", Members: 1000, Users: 1000, Rate: 20},
	{Scenario: "offline-drain", Rate: 50, Users: 400},
	{Scenario: "history"},
	{Scenario: "receipts"},
	{Scenario: "mixed"},
}

func newBenchQuick() *cobra.Command {
	b := &benchQuick{}
	cmd := &cobra.Command{
		Use:   "quick",
		Short: "Start a server of its own, run a minute of the main scenarios, print one table",
		Long: `Start a server of its own on a temporary directory, run a minute of the main scenarios and print one table. The directory is
made where TMPDIR says: on a tmpfs the figures are without a disk.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return b.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr()) },
	}
	b.out.flags(cmd)
	cmd.Flags().StringVar(&b.dir, "out", "", "directory for the results of each scenario, and index.html")
	cmd.Flags().BoolVar(&b.force, "force", false, "replace the results that --out already holds")
	cmd.Flags().DurationVar(&b.seconds, "duration", 5*time.Second, "load that counts, in each scenario")
	return cmd
}

func (b *benchQuick) run(ctx context.Context, w, errOut io.Writer) error {
	if err := b.out.check(); err != nil {
		return err
	}
	if b.seconds <= 0 {
		return usageError("--duration %s: it is above 0", b.seconds)
	}
	if b.dir != "" {
		_, err := os.Stat(filepath.Join(b.dir, indexFile))
		if err := freshDir(b.dir, b.force, err == nil || result.Exists(b.dir)); err != nil {
			return err
		}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	srv, err := startServer(errOut)
	if err != nil {
		return fmt.Errorf("start a server: %w", err)
	}
	defer srv.stop()
	all, err := b.all(ctx, srv)
	if err != nil && ctx.Err() == nil {
		return err
	}
	if len(all) == 0 {
		return benchError(ctx, srv.Listen, err)
	}
	if err := b.print(w, all); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return &codedError{exitInterrupted, errors.New("interrupted: the results are those until then")}
	}
	return verdict(all...)
}

// all runs the scenarios one after the other.
func (b *benchQuick) all(ctx context.Context, srv *ownServer) ([]*result.Result, error) {
	var all []*result.Result
	for i, spec := range quickSpecs {
		spec.Addr, spec.Admin = srv.Listen, srv.Admin
		spec.Warmup, spec.Duration = time.Second, b.seconds
		spec, err := bench.Complete(spec)
		if err != nil {
			return all, err
		}
		p := newProgress(fmt.Sprintf("%d/%d %s:", i+1, len(quickSpecs), spec.Scenario))
		t, err := bench.Run(ctx, spec, bench.Options{Version: buildVersion().Version, Progress: showProgress(p)})
		p.clear()
		if err != nil {
			return all, fmt.Errorf("%s: %w", spec.Scenario, err)
		}
		r := &result.Result{Schema: result.Schema, Spec: spec, Trials: []result.Trial{*t}}
		all = append(all, r)
		if b.dir != "" {
			if err := b.keep(i, r, all); err != nil {
				return all, fmt.Errorf("keep the results: %w", err)
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return all, nil
}

// indexFile is the page of all reports.
const indexFile = "index.html"

// keep writes a result beside those before it, and the page that leads to all of them.
func (b *benchQuick) keep(i int, r *result.Result, all []*result.Result) error {
	if err := keep(b.folder(i, r), r); err != nil {
		return err
	}
	var links []report.Link
	for i, r := range all {
		links = append(links, report.Link{To: filepath.Base(b.folder(i, r)) + "/" + reportFile, Named: report.Named{Name: r.Spec.Scenario, Result: r}})
	}
	return writePage(filepath.Join(b.dir, indexFile), func(w io.Writer) error { return report.Index(w, links) })
}

// folder is where the i-th result is kept.
func (b *benchQuick) folder(i int, r *result.Result) string {
	return filepath.Join(b.dir, fmt.Sprintf("%02d-%s", i+1, r.Spec.Scenario))
}

func (b *benchQuick) print(w io.Writer, all []*result.Result) error {
	switch b.out.format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	case "csv":
		for _, r := range all {
			if err := r.WriteCSV(w); err != nil {
				return err
			}
		}
		return nil
	}
	s := all[0].Trials[0].Server
	fmt.Fprintf(w, "%s on %d cores, %s; %s\n\n%s\n", s.Version, s.Machine.Cores, s.FileSystem, s.Durability, result.Table(all))
	fmt.Fprintf(w, "\nThe server and the generator share the machine. Where it says client-limited the figures are the generator's rather than the server's.\n")
	self := selfCommand()
	if b.dir != "" {
		fmt.Fprintf(w, "Charts: %s leads to the report of each.\n", filepath.Join(b.dir, indexFile))
	}
	_, err := fmt.Fprintf(w, "\nNext:\n  %s serve\n  %s bench run direct --rate 1000 --admin 127.0.0.1:3007 --trials 5 --out before\n", self, self)
	return err
}

// ownServer is a server process of this program on a temporary directory.
type ownServer struct {
	Listen string `json:"listen"`
	Admin  string `json:"admin"`

	cmd  *exec.Cmd
	data string
}

// startServer starts one and waits until it is ready. It is a process of its own, so that what it costs can be told.
func startServer(errOut io.Writer) (*ownServer, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp("", "msgserver-bench-")
	if err != nil {
		return nil, err
	}
	s := &ownServer{data: data, cmd: exec.Command(exe, "serve", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")}
	s.cmd.SysProcAttr = childAttr()
	log, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		os.RemoveAll(data)
		return nil, err
	}
	r := bufio.NewReader(log)
	if err := s.waitReady(r, errOut); err != nil {
		s.stop()
		return nil, err
	}
	go passOn(errOut, r)
	return s, nil
}

// passOn shows what goes wrong later.
func passOn(w io.Writer, log *bufio.Reader) {
	for {
		line, err := log.ReadBytes('\n')
		if err != nil {
			return
		}
		if !bytes.Contains(line, []byte(`"level":"info"`)) {
			w.Write(line)
		}
	}
}

// waitReady reads the log until the line that says so.
func (s *ownServer) waitReady(log *bufio.Reader, errOut io.Writer) error {
	for {
		line, err := log.ReadBytes('\n')
		if err != nil {
			return errors.New("it ended before it was ready: its log is above")
		}
		var entry struct {
			Msg string `json:"msg"`
			*ownServer
		}
		entry.ownServer = s
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "ready" {
			return nil
		}
		errOut.Write(line)
	}
}

// stop ends the server and removes its data.
func (s *ownServer) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.data)
}

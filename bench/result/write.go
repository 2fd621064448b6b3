package result

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// The files of a directory that Write makes.
const (
	resultFile = "result.json"
	seriesFile = "series.csv"
)

// Write keeps a result in a directory, which it makes if need be. What an earlier Write left there is replaced.
func (r *Result) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.hgrm"))
	if err != nil {
		return err
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	if err := writeFile(filepath.Join(dir, resultFile), r.WriteJSON); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, seriesFile), r.writeSeries); err != nil {
		return err
	}
	for i, t := range r.Trials {
		for kind, h := range t.Latency {
			name := fmt.Sprintf("%d-%s.hgrm", i+1, kind)
			if err := writeFile(filepath.Join(dir, name), h.WriteHgrm); err != nil {
				return err
			}
		}
	}
	return nil
}

// Exists reports whether a directory holds a result.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, resultFile))
	return err == nil
}

// writeFile writes a file that is there whole or not at all.
func writeFile(name string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	part := name + ".part"
	if err := os.WriteFile(part, b.Bytes(), 0o666); err != nil {
		return err
	}
	return os.Rename(part, name)
}

// WriteJSON writes all of it.
func (r *Result) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// Read reads what Write left: a directory, or its result.json.
func Read(path string) (*Result, error) {
	file := path
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		file = filepath.Join(path, resultFile)
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no result: make one with bench run … --out %s", path, path)
	}
	if err != nil {
		return nil, err
	}
	var head struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("%s is not a result: %w", file, err)
	}
	if head.Schema != Schema {
		return nil, fmt.Errorf("%s has schema %d, and this program reads schema %d: use the version that wrote it", file, head.Schema, Schema)
	}
	var r Result
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s is not a result: %w", file, err)
	}
	return &r, nil
}

// writeSeries writes a line for each second of each trial.
func (r *Result) writeSeries(w io.Writer) error {
	c := csv.NewWriter(w)
	head := []string{"trial", "second", "length_s", "connections", "connects", "sent", "acked", "delivered", "synced", "errors"}
	for _, kind := range Kinds {
		head = append(head, string(kind)+"_p50_ms", string(kind)+"_p99_ms", string(kind)+"_max_ms")
	}
	head = append(head, "lag_max_ms", "generator_cores", "server_cores", "server_rss_bytes")
	_ = c.Write(head) // c.Error tells
	for i, t := range r.Trials {
		for _, p := range t.Series {
			_ = c.Write(p.csv(i + 1))
		}
	}
	c.Flush()
	return c.Error()
}

func (p Point) csv(trial int) []string {
	line := []string{strconv.Itoa(trial), strconv.Itoa(p.Second), decimal(p.Length)}
	for _, n := range []int64{p.Conns, p.Connects, p.Sent, p.Acked, p.Delivered, p.Synced, p.Errors} {
		line = append(line, strconv.FormatInt(n, 10))
	}
	for _, kind := range Kinds {
		q, measured := p.Latency[kind]
		if !measured {
			line = append(line, "", "", "")
			continue
		}
		line = append(line, decimal(q.P50), decimal(q.P99), decimal(q.Max))
	}
	return append(line, decimal(p.LagMs), decimal(p.CPU), decimal(p.ServerCPU), strconv.FormatInt(p.ServerRSS, 10))
}

// WriteCSV writes a line for each latency of each trial, for spreadsheets.
func (r *Result) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"scenario", "loop", "rate_per_s", "window", "trial", "outcome", "latency", "count", "min_ms", "mean_ms", "p50_ms", "p90_ms",
		"p99_ms", "p99.9_ms", "max_ms", "sent_per_s", "acked_per_s", "delivered_per_s", "synced_per_s", "lost", "duplicated", "reordered", "unanswered", "errors", "success", "client_limited"})
	for i, t := range r.Trials {
		for _, kind := range Kinds {
			if h := t.Latency[kind]; h != nil {
				_ = c.Write(r.csv(i+1, &t, kind, h))
			}
		}
	}
	c.Flush()
	return c.Error()
}

func (r *Result) csv(trial int, t *Trial, kind Kind, h *Histogram) []string {
	loop := "open"
	if r.Spec.Closed() {
		loop = "closed"
	}
	line := []string{r.Spec.Scenario, loop, decimal(r.Spec.Rate), strconv.Itoa(r.Spec.Window), strconv.Itoa(trial), t.Outcome(), string(kind),
		strconv.FormatInt(h.Count(), 10), decimal(Millis(h.Min())), decimal(Millis(h.Mean()))}
	for _, q := range []float64{50, 90, 99, 99.9, 100} {
		line = append(line, decimal(Millis(h.Quantile(q))))
	}
	for _, n := range []int64{t.Counts.Sent, t.Counts.Acked, t.Counts.Delivered, t.Counts.Synced} {
		line = append(line, decimal(t.PerSecond(n)))
	}
	for _, n := range []int64{t.Check.Lost, t.Check.Duplicated, t.Check.Reordered, t.Check.Unanswered, t.Counts.Failed()} {
		line = append(line, strconv.FormatInt(n, 10))
	}
	return append(line, decimal(t.Counts.Success()), strconv.FormatBool(len(t.Generator.Limited) > 0))
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

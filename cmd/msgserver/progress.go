package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress shows how far long work is, on a terminal only.
type progress struct {
	what string
	out  io.Writer // nil shows nothing
	last time.Time
}

func newProgress(what string) *progress {
	p := &progress{what: what}
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		p.out = os.Stderr
	}
	return p
}

func (p *progress) show(format string, args ...any) {
	if p.out == nil || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	fmt.Fprintf(p.out, "\r\033[K%s %s", p.what, fmt.Sprintf(format, args...))
}

// ratio is a storage.Progress.
func (p *progress) ratio(done, total int64) {
	if total > 0 {
		p.show("%d%%", 100*done/total)
	}
}

// Write counts bytes that go by.
func (p *progressWriter) Write(b []byte) (int, error) {
	p.bytes += int64(len(b))
	p.show("%s", size(p.bytes))
	return len(b), nil
}

type progressWriter struct {
	*progress
	bytes int64
}

// clear takes the line away.
func (p *progress) clear() {
	if p.out != nil && !p.last.IsZero() {
		fmt.Fprint(p.out, "\r\033[K")
	}
}

// size is bytes for people.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
}

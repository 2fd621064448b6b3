package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// admin reads the server's own numbers. A nil admin knows nothing.
type admin struct {
	base  string // http://host:port
	about result.Server
	first sample
}

// sample is the server's numbers at a moment.
type sample struct {
	at       time.Time
	cpu      float64 // seconds
	rss      int64
	heap     int64
	written  int64
	commits  int64
	messages int64
}

// restarted reports whether the numbers began anew since another sample: none of them ever falls in one process.
func (s *sample) restarted(since *sample) bool {
	return s.cpu < since.cpu || s.written < since.written || s.commits < since.commits || s.messages < since.messages
}

// statsBody is the part of /stats that is of interest.
type statsBody struct {
	Server struct {
		Messages int64 `json:"messages"`
	} `json:"server"`
	Store struct {
		Commits int64 `json:"commits"`
	} `json:"store"`
	Process struct {
		CPUSeconds   float64 `json:"cpuSeconds"`
		RSSBytes     int64   `json:"rssBytes"`
		HeapBytes    int64   `json:"heapBytes"`
		WrittenBytes int64   `json:"writtenBytes"`
	} `json:"process"`
	Machine result.Machine `json:"machine"`
	About   struct {
		Version    string `json:"version"`
		Durability string `json:"durability"`
		FileSystem string `json:"fileSystem"`
	} `json:"about"`
}

// openAdmin asks for the first time.
func openAdmin(ctx context.Context, addr string, collect bool) (*admin, error) {
	a := &admin{base: "http://" + addr}
	body, err := a.ask(ctx, collect)
	if err != nil {
		return nil, err
	}
	a.about = result.Server{
		Version: body.About.Version, Durability: body.About.Durability, FileSystem: body.About.FileSystem, Machine: body.Machine,
	}
	a.first = body.sample()
	return a, nil
}

func (b *statsBody) sample() sample {
	return sample{
		at: time.Now(), cpu: b.Process.CPUSeconds, rss: b.Process.RSSBytes, heap: b.Process.HeapBytes,
		written: b.Process.WrittenBytes,
		commits: b.Store.Commits, messages: b.Server.Messages,
	}
}

// askTimeout bounds a question to a server that may be busy.
const askTimeout = 2 * time.Second

// ask asks. With collect the server first collects its garbage, so that heaps can be compared.
func (a *admin) ask(ctx context.Context, collect bool) (*statsBody, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if collect {
		if err := a.get(ctx, "/debug/pprof/heap?gc=1", func(io.Reader) error { return nil }); err != nil {
			return nil, err
		}
	}
	var body statsBody
	err := a.get(ctx, "/stats", func(r io.Reader) error { return json.NewDecoder(r).Decode(&body) })
	return &body, err
}

// maxAnswer bounds what the server says.
const maxAnswer = 1 << 20

// get reads an answer.
func (a *admin) get(ctx context.Context, path string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, res.Status)
	}
	if err := read(io.LimitReader(res.Body, maxAnswer)); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// take asks for a sample; a server that does not answer leaves the last one.
func (a *admin) take(ctx context.Context, last *sample, collect bool) *sample {
	if a == nil {
		return nil
	}
	body, err := a.ask(context.WithoutCancel(ctx), collect)
	if err != nil {
		return last
	}
	s := body.sample()
	return &s
}

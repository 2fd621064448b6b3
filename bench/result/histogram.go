package result

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of a histogram, in microseconds: what is above the highest counts as it, and Over says how often.
const (
	lowest  = 1
	highest = 120_000_000
	digits  = 3
)

// Histogram counts latencies between 1 µs and 120 s with three significant digits. Histograms are merged, never
// averaged. It is not safe for concurrent use.
type Histogram struct {
	hdr  *hdrhistogram.Histogram
	over int64 // latencies above highest
}

// NewHistogram makes an empty one.
func NewHistogram() *Histogram { return &Histogram{hdr: hdrhistogram.New(lowest, highest, digits)} }

// Record counts a latency. What is below zero, which only a clock that was set back makes, counts as zero.
func (h *Histogram) Record(d time.Duration) {
	us := max(d.Microseconds(), 0)
	if us > highest {
		us = highest
		h.over++
	}
	_ = h.hdr.RecordValue(us) // cannot fail: it is in range
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other *Histogram) {
	h.hdr.Merge(other.hdr)
	h.over += other.over
}

// Reset empties it.
func (h *Histogram) Reset() {
	h.hdr.Reset()
	h.over = 0
}

// Count is how many latencies were recorded.
func (h *Histogram) Count() int64 { return h.hdr.TotalCount() }

// Over is how many of them were above the highest that can be told apart.
func (h *Histogram) Over() int64 { return h.over }

// Quantile is the latency that percent of all are not above, for example 99.9.
func (h *Histogram) Quantile(percent float64) time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return micros(h.hdr.ValueAtPercentile(percent))
}

// Mean, Min and Max are those of all latencies; 0 of none.
func (h *Histogram) Mean() time.Duration {
	return time.Duration(h.hdr.Mean() * float64(time.Microsecond))
}

// Min is the shortest latency.
func (h *Histogram) Min() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return micros(h.hdr.Min())
}

// Max is the longest latency.
func (h *Histogram) Max() time.Duration { return micros(h.hdr.Max()) }

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// Step is a point of the distribution: Percent of all latencies are not above Latency.
type Step struct {
	Percent float64
	Latency time.Duration
}

// Steps are points for a chart by percentile, ever closer towards 100.
func (h *Histogram) Steps() []Step {
	var steps []Step
	if h.Count() == 0 {
		return steps
	}
	for _, b := range h.hdr.CumulativeDistributionWithTicks(5) {
		steps = append(steps, Step{b.Quantile, micros(b.ValueAt)})
	}
	return steps
}

// WriteHgrm writes the distribution in milliseconds, in the format of HdrHistogram's plotter.
func (h *Histogram) WriteHgrm(w io.Writer) error {
	_, err := h.hdr.PercentilesPrint(w, 5, 1000)
	return err
}

// histogramJSON is a histogram in a file: the usual percentiles to read, and everything, to merge and to draw, in
// HdrHistogram's compressed V2 encoding (base64, microseconds).
type histogramJSON struct {
	Count int64   `json:"count"`
	Over  int64   `json:"over,omitempty"`
	Min   float64 `json:"minMs"`
	Mean  float64 `json:"meanMs"`
	P50   float64 `json:"p50Ms"`
	P90   float64 `json:"p90Ms"`
	P99   float64 `json:"p99Ms"`
	P999  float64 `json:"p999Ms"`
	Max   float64 `json:"maxMs"`
	HDR   string  `json:"hdr"`
}

// MarshalJSON writes the usual percentiles in milliseconds beside the whole.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	enc, err := h.hdr.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode histogram: %w", err)
	}
	return json.Marshal(histogramJSON{
		Count: h.Count(), Over: h.over, Min: Millis(h.Min()), Mean: Millis(h.Mean()), P50: Millis(h.Quantile(50)),
		P90: Millis(h.Quantile(90)), P99: Millis(h.Quantile(99)), P999: Millis(h.Quantile(99.9)), Max: Millis(h.Max()), HDR: string(enc),
	})
}

// UnmarshalJSON reads the whole; the percentiles follow from it.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var j histogramJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	hdr, err := hdrhistogram.Decode([]byte(j.HDR))
	if err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	*h = *NewHistogram()
	if dropped := h.hdr.Merge(hdr); dropped > 0 {
		return fmt.Errorf("decode histogram: %d latencies are out of range", dropped)
	}
	h.over = j.Over
	return nil
}

// Millis is a duration in milliseconds.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

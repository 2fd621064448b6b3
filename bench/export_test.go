package bench

import (
	"math/rand/v2"
	"time"
)

// What the tests of this package's parts reach into.

// Spans is spans.
type Spans = spans

// Add, Remove, Has, Count and Overlap are its methods.
func (s *spans) Add(lo, hi int64) bool    { return s.add(lo, hi) }
func (s *spans) Remove(n int64) bool      { return s.remove(n) }
func (s spans) Has(n int64) bool          { return s.has(n) }
func (s spans) Count() int64              { return s.count() }
func (s spans) Overlap(other spans) int64 { return s.overlap(other) }

// Reading is reading.
type Reading = reading

// Take notes that a number came.
func (r *reading) Take(n int64) bool { return r.take(n) }

// Verdict judges a reading of a flow of which sent messages were sent.
func (r *reading) Verdict(sent int64) (lost, duplicated, reordered int64) {
	missing := r.lacks(&flow{sent: sent})
	return missing.count(), r.duplicated, r.reordered
}

// MsgID is the ledger's msgID.
func MsgID(run string, flowIndex int, n int64) string {
	return (&ledger{run: run}).msgID(&flow{index: flowIndex}, n)
}

// ParseMsgID is the ledger's parse.
func ParseMsgID(run, id string) (flow int, n int64, ok bool) { return (&ledger{run: run}).parse(id) }

// PoissonTimes are the first arrivals of a timetable by chance.
func PoissonTimes(p Pacer, seed uint64, n int) []time.Duration {
	t := &timetable{pacer: p, random: rand.New(rand.NewPCG(seed, 1))}
	var all []time.Duration
	for range n {
		all = append(all, t.next())
	}
	return all
}

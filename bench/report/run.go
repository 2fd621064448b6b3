package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/msgserver/msgserver/bench/result"
)

// run is a result with its place in the report.
type run struct {
	*result.Result
	Name   string
	Letter string // A, B, … where several are compared, else empty
	Class  string // of its colour, and what its legend entry toggles
	merged map[result.Kind]*result.Histogram
}

// palette is the number of colours for results in style.css.
const palette = 6

func newRuns(results []Named) []run {
	var runs []run
	for i, n := range results {
		r := run{Result: n.Result, Name: n.Name, Class: fmt.Sprintf("r%d", i%palette), merged: map[result.Kind]*result.Histogram{}}
		if len(results) > 1 {
			r.Letter = letter(i)
		}
		for _, k := range result.Kinds {
			r.merged[k] = merge(r.Trials, func(t *result.Trial) *result.Histogram { return t.Latency[k] })
		}
		runs = append(runs, r)
	}
	return runs
}

func letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return fmt.Sprintf("%d", i+1)
}

// merge adds up a histogram of each trial. The trials keep theirs as they are.
func merge(trials []result.Trial, of func(*result.Trial) *result.Histogram) *result.Histogram {
	all := result.NewHistogram()
	for i := range trials {
		if h := of(&trials[i]); h != nil {
			all.Merge(h)
		}
	}
	return all
}

// outcomes are the words for what a trial can end as, the worst first.
var outcomes = []struct{ name, words string }{
	{"failed", "nothing was answered, or messages were lost, duplicated or reordered, or another promise was broken"},
	{"interrupted", "stopped early: the numbers are those until then"},
	{"slo", "an objective was not met"},
	{"ok", "every message arrived once and in order"},
}

// Outcome is the worst of its trials.
func (r run) Outcome() string {
	for _, o := range outcomes {
		if slices.ContainsFunc(r.Trials, func(t result.Trial) bool { return t.Outcome() == o.name }) {
			return o.name
		}
	}
	return "empty"
}

// Words say what the outcome means, and of which trials it is true.
func (r run) Words() string {
	outcome := r.Outcome()
	var which []string
	for i, t := range r.Trials {
		if t.Outcome() == outcome {
			which = append(which, fmt.Sprint(i+1))
		}
	}
	for _, o := range outcomes {
		switch {
		case o.name != outcome:
		case outcome == "ok" && slices.ContainsFunc(r.Trials, func(t result.Trial) bool { return len(t.SLO) > 0 }):
			return o.words + "; every objective was met"
		case outcome == "ok" || len(r.Trials) == 1:
			return o.words
		default:
			return fmt.Sprintf("%s (%s)", o.words, nouns("trial", which))
		}
	}
	return "there is no trial in it"
}

// nouns puts a noun before what is numbered: trial 1, trials 1, 2.
func nouns(noun string, which []string) string {
	if len(which) != 1 {
		noun += "s"
	}
	return noun + " " + strings.Join(which, ", ")
}

// When is the time of the first trial.
func (r run) When() string {
	if len(r.Trials) == 0 || r.Trials[0].Began.IsZero() {
		return ""
	}
	return r.Trials[0].Began.UTC().Format("2 January 2006, 15:04:05 UTC")
}

// Extent says how many trials there are and how long they were.
func (r run) Extent() string {
	switch n := len(r.Trials); n {
	case 0:
		return "no trials"
	case 1:
		return "1 trial, " + seconds(r.Trials[0].Seconds)
	default:
		short, long := r.Trials[0].Seconds, r.Trials[0].Seconds
		for _, t := range r.Trials {
			short, long = min(short, t.Seconds), max(long, t.Seconds)
		}
		if seconds(short) == seconds(long) {
			return fmt.Sprintf("%d trials, %s each", n, seconds(long))
		}
		return fmt.Sprintf("%d trials, %s to %s", n, seconds(short), seconds(long))
	}
}

// Limited are the reasons for which the generator, not the server, was measured.
func (r run) Limited() []string {
	return r.perTrial(func(t *result.Trial) []string { return t.Generator.Limited })
}

// Violations are the broken promises, in numbers and in words.
func (r run) Violations() []string {
	return r.perTrial(func(t *result.Trial) []string {
		c := t.Check
		var words []string
		for _, n := range []struct {
			count int64
			what  string
		}{{c.Lost, "lost"}, {c.Duplicated, "duplicated"}, {c.Reordered, "reordered"}, {c.Unanswered, "never answered"}, {c.Broken, "other violations"}} {
			if n.count != 0 {
				words = append(words, whole(n.count)+" "+n.what)
			}
		}
		if len(words) == 0 {
			return nil
		}
		return append([]string{strings.Join(words, ", ")}, c.Violations...)
	})
}

// Missed says how much of what was delivered had to be fetched.
func (r run) Missed() []string {
	return r.perTrial(func(t *result.Trial) []string {
		if t.Check.Missed+t.Check.Notices == 0 {
			return nil
		}
		return []string{fmt.Sprintf("%s deliveries; the server said missedNoti %s times", whole(t.Check.Missed), whole(t.Check.Notices))}
	})
}

// perTrial lists what trials say, with the number of the trial where there are several.
func (r run) perTrial(say func(*result.Trial) []string) []string {
	var all []string
	for i := range r.Trials {
		for _, s := range say(&r.Trials[i]) {
			if len(r.Trials) > 1 {
				s = fmt.Sprintf("trial %d: %s", i+1, s)
			}
			all = append(all, s)
		}
	}
	return all
}

// label is the letter of a run and the number of a trial, as far as they tell anything.
func (r run) label(trial int) string {
	switch {
	case len(r.Trials) == 1:
		return r.Letter
	case r.Letter == "":
		return fmt.Sprintf("trial %d", trial+1)
	}
	return fmt.Sprintf("%s, trial %d", r.Letter, trial+1)
}

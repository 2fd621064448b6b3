package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestCompletionKnowsTheWords: it offered files everywhere.
func TestCompletionKnowsTheWords(t *testing.T) {
	const files = ":0" // cobra's directive for the shell's own completion
	for _, tc := range []struct {
		typed string // after the program's name; the last word is completed
		want  string // words that are offered
		not   string
	}{
		{"ser", "serve", "send"},
		{"groups ", "create add kick", "serve"},
		{"bench run ", "direct mixed connect-storm", files},
		{"bench run dir", "direct", "mixed"},
		{"bench capacity ", "direct mixed", files},
		{"bench run direct ", ":4", "mixed"},
		{"bench run direct --format ", "json msgpack", files},
		{"chat --format ", "json msgpack", files},
		{"history -o ", "text json", "csv"},
		{"bench run direct -o ", "text json csv", files},
		{"serve --log-level ", "debug info warn error", files},
		{"bench run direct --slo ", "ack.p99< loss==0 connect.max<", files},
		{"bench run direct --slo ack.p99<5ms,lo", "ack.p99<5ms,loss==0", "ack.p99<5ms,ack.p99<"},
		{"bench compare ", ":16", ":4"},
		{"serve --data ", files, ":4"},
		{"backup --to ", files, ":4"},
		{"send --to ", ":4", files},
		{"send --lo", ":4", "serve"},
		{"serve --lis", "--listen", "--data"},
		{"help ser", "serve", "send"},
	} {
		out := ok(t, append([]string{"__complete"}, strings.Split(tc.typed, " ")...)...)
		var words []string
		for line := range strings.Lines(out) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			words = append(words, word)
		}
		offered := " " + strings.Join(words, " ") + " "
		for _, want := range strings.Fields(tc.want) {
			if !strings.Contains(offered, " "+want+" ") {
				t.Errorf("%q: no %s in%s", tc.typed, want, offered)
			}
		}
		if strings.Contains(offered, " "+tc.not+" ") {
			t.Errorf("%q: %s is offered:%s", tc.typed, tc.not, offered)
		}
	}
}

// TestCompletionScriptsAreScripts: the shells that are here read what completion prints.
func TestCompletionScriptsAreScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script := ok(t, "completion", shell)
		if !strings.Contains(script, "__complete") {
			t.Errorf("%s: %.100s", shell, script)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
}

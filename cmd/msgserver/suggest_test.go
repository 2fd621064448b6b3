package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestDidYouMean(t *testing.T) {
	for _, tc := range []struct{ args, says string }{
		{"srve", "(did you mean serve?)"},
		{"hist", "(did you mean history?)"},
		{"groups lst", "(did you mean list?)"},
		{"db chekc", "(did you mean check?)"},
		{"bench cmpare", "(did you mean compare?)"},
		{"help sessoins", "(did you mean sessions?)"},
		{"help groups craete", "(did you mean create?)"},
		{"serve --lisetn x", "(did you mean --listen?)"},
		{"chat --usr 1", "(did you mean --user?)"},
		{"history --form json", "(did you mean --format?)"},
		{"send -hello", "goes behind --"},
		{"serve --port 1", "unknown flag: --port: see"},
		{"xyzzy", `unknown command "xyzzy": see`},
	} {
		_, errOut, code := run(t, strings.Fields(tc.args)...)
		if code != exitUsage || !strings.Contains(errOut, tc.says) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: exit %d: %s", tc.args, code, errOut)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"listen", "listen", 0}, {"listen", "lisetn", 1}, {"user", "usr", 1}, {"to", "ot", 1}, {"kitten", "sitting", 3}} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("%s to %s: %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}

// TestHelpGivesEveryDefault: nothing stood where the default was 0 or empty.
func TestHelpGivesEveryDefault(t *testing.T) {
	said := regexp.MustCompile(`default|required`)
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			line := ""
			for l := range strings.Lines(c.Flags().FlagUsages()) {
				if at := strings.Index(l, "--"); at >= 0 && strings.HasPrefix(l[at+2:], f.Name+" ") {
					line = l
				}
			}
			if f.Value.Type() != "bool" && !said.MatchString(line) {
				t.Errorf("%s: %s", c.CommandPath(), line)
			}
		})
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(newRoot())
}

func TestVersionFlag(t *testing.T) {
	if flag, command := ok(t, "--version"), ok(t, "version"); flag != command || !strings.HasPrefix(flag, "msgserver ") {
		t.Errorf("--version says %q, version %q", flag, command)
	}
}

package bench_test

import (
	"os"
	"strings"
	"testing"

	"github.com/msgserver/msgserver/bench"
)

// TestReadmeDescribes: the README says of each scenario what the program says.
func TestReadmeDescribes(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range bench.Scenarios() {
		for _, text := range []string{"`" + d.Name + "`", d.Models, d.Omits, d.Sync} {
			if !strings.Contains(string(b), text) {
				t.Errorf("%s: the README does not say %q", d.Name, text)
			}
		}
	}
}

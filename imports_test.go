// Package msgserver_test holds what is true of the whole tree.
package msgserver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/msgserver/msgserver"

// mayImport is the table of the design: which of our packages each may import. A package that is not in it
// must not exist.
var mayImport = map[string][]string{
	"codec":             {},
	"service":           {},
	"storage":           {"service"},
	"storage/storetest": {"service"},
	"server":            {"codec", "service"},
	"client":            {"codec", "service"},
	"bench":             {"codec", "service", "client", "bench/result"},
	"bench/result":      {},
	"bench/report":      {"bench/result"},
	"bench/benchtest":   {"codec"},
	"cmd/msgserver":     {"codec", "service", "storage", "server", "client", "bench", "bench/result", "bench/report"},
}

// owners are the packages that may import a dependency.
var owners = map[string][]string{
	"github.com/panjf2000/gnet/":         {"server"},
	"go.etcd.io/bbolt":                   {"storage"},
	"github.com/vmihailenco/msgpack/":    {"codec"},
	"go.uber.org/zap":                    {"server", "cmd/msgserver"},
	"github.com/spf13/cobra":             {"cmd/msgserver"},
	"github.com/go-json-experiment/json": {"codec"},
	"github.com/HdrHistogram/":           {"bench/result"},
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	count := 0
	for {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(pkg.ImportPath, module), "/")
		if name == "" {
			continue // this test
		}
		count++
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("package %s is not in the design", name)
		}
		for _, imported := range pkg.Imports {
			checkImport(t, name, imported, allowed)
		}
	}
	if count < 6 {
		t.Errorf("only %d packages found", count)
	}
}

func checkImport(t *testing.T, name, imported string, allowed []string) {
	t.Helper()
	if ours, ok := strings.CutPrefix(imported, module+"/"); ok && !slices.Contains(allowed, ours) {
		t.Errorf("%s imports %s: allowed are %v", name, ours, allowed)
	}
	for prefix, who := range owners {
		if strings.HasPrefix(imported, prefix) && !slices.Contains(who, name) {
			t.Errorf("%s imports %s, which belongs to %v", name, imported, who)
		}
	}
}

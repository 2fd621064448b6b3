package report

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"

	"github.com/msgserver/msgserver/bench/result"
)

// Named is a result and what its reader calls it, for example the directory that it was read from.
type Named struct {
	Name   string
	Result *result.Result
}

//go:embed page
var files embed.FS

// style.css and script.js are templates too, without actions: so html/template knows that they are CSS and JavaScript.
var page = template.Must(template.New("").Funcs(functions).ParseFS(files, "page/*"))

// HTML writes the report of a result, or of several that are compared with the first.
func HTML(w io.Writer, results ...Named) error {
	if len(results) == 0 {
		return errors.New("report: there is no result to report")
	}
	for _, n := range results {
		if n.Result == nil {
			return fmt.Errorf("report: %q has no result", n.Name)
		}
	}
	if err := page.ExecuteTemplate(w, "page.html", newReport(newRuns(results))); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

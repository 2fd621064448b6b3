package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

// output is the -o flag: text for people, json for scripts.
type output struct{ format string }

func (o *output) flags(c *cobra.Command) {
	c.Flags().StringVarP(&o.format, "output", "o", "text", "text or json")
}

func (o *output) check() error {
	if o.format != "text" && o.format != "json" {
		return usageError("-o %s: it is text or json", o.format)
	}
	return nil
}

func (o *output) print(c *cobra.Command, v any, text func() string) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.format == "json" {
		enc := json.NewEncoder(c.OutOrStdout())
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	if s := text(); s != "" {
		fmt.Fprintln(c.OutOrStdout(), s)
	}
	return nil
}

// count is a number of things.
func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

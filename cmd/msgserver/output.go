package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/codec"
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
		return printJSON(c.OutOrStdout(), v)
	}
	if s := text(); s != "" {
		fmt.Fprintln(c.OutOrStdout(), s)
	}
	return nil
}

// printJSON writes v as the wire would, but indented.
func printJSON(w io.Writer, v any) error {
	body, err := codec.AppendBody(nil, codec.JSON, v)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, body, "", "  "); err != nil {
		return err
	}
	text.WriteByte('\n')
	_, err = w.Write(text.Bytes())
	return err
}

// count is a number of things.
func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/bench/report"
	"github.com/msgserver/msgserver/bench/result"
)

func newBenchReport() *cobra.Command {
	var out benchOutput
	var file string
	cmd := &cobra.Command{
		Use:   "report DIR [DIR]",
		Short: "Show results that were kept, and write their report again; two are compared in it",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 1 {
				return usageError("%s wants one or more directories that bench run --out has made", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, dirs []string) error {
			if err := out.check(); err != nil {
				return err
			}
			all, err := readResults(dirs)
			if err != nil {
				return err
			}
			for _, n := range all {
				if err := out.print(c.OutOrStdout(), n.Result); err != nil {
					return err
				}
			}
			if file == "" {
				file = filepath.Join(dirs[0], reportFile)
				if len(dirs) > 1 {
					file = filepath.Join(dirs[0], "compare.html")
				}
			}
			if err := writeReport(file, all...); err != nil {
				return err
			}
			if out.format == "text" {
				fmt.Fprintf(c.OutOrStdout(), "\nThe charts are in %s.\n", file)
			}
			return nil
		},
	}
	out.flags(cmd)
	cmd.Flags().StringVar(&file, "file", "", "where to write the report (default report.html, or of several compare.html, in the first directory)")
	return cmd
}

// readResults reads directories.
func readResults(dirs []string) ([]report.Named, error) {
	var all []report.Named
	for _, dir := range dirs {
		r, err := result.Read(dir)
		if err != nil {
			return nil, &codedError{exitUsage, err}
		}
		all = append(all, report.Named{Name: filepath.Clean(dir), Result: r})
	}
	return all, nil
}

package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msgserver/msgserver/bench"
)

// The shell completes with what cobra's hidden __complete command prints; `msgserver completion SHELL` connects the two.

// choices are the values of flags that have a fixed set of them, by the flag's name.
var choices = map[string][]string{
	"format":    {"json", "msgpack"},
	"output":    {"text", "json"},
	"log-level": {"debug", "info", "warn", "error"},
}

// completeAll tells the shell what the flags and arguments of c and all below it may be. Files are for flags that name some.
func completeAll(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if _, has := c.GetFlagCompletionFunc(f.Name); has {
			return
		}
		complete := cobra.NoFileCompletions
		words := choices[f.Name]
		switch {
		case f.Name == "output" && strings.Contains(f.Usage, "csv"):
			words = append(slices.Clone(words), "csv")
			fallthrough
		case words != nil:
			complete = cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
		case f.Name == "slo":
			complete = completeObjective
		case namesFile(c, f.Name):
			return
		}
		// The only errors are an unknown flag, and one that is registered already.
		_ = c.RegisterFlagCompletionFunc(f.Name, complete)
	})
	if c.ValidArgsFunction == nil && c.ValidArgs == nil {
		c.ValidArgsFunction = completeArgs(c)
	}
	for _, sub := range c.Commands() {
		completeAll(sub)
	}
}

// namesFile reports whether a flag is the name of a file or directory. --to is one of backup only.
func namesFile(c *cobra.Command, flag string) bool {
	switch flag {
	case "data", "from", "out", "report", "mix":
		return true
	}
	return flag == "to" && c.Flags().Lookup("user") == nil
}

// completeArgs completes the arguments of a command: a scenario where its usage has one, results' directories, or none.
func completeArgs(c *cobra.Command) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		switch {
		case strings.Contains(c.Use, "SCENARIO") && len(args) == 0:
			return beginning(scenarioWords(), typed), cobra.ShellCompDirectiveNoFileComp
		case c.Name() == "compare", c.Name() == "report":
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// scenarioWords are the scenarios with what each models, as shells show it.
func scenarioWords() []string {
	var words []string
	for _, d := range bench.Scenarios() {
		words = append(words, d.Name+"\t"+d.Models)
	}
	return words
}

// completeObjective completes the last condition of --slo.
func completeObjective(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	var words []string
	for _, latency := range []string{"connect", "ack", "deliver", "sync", "lag"} {
		for _, of := range []string{"p50", "p99", "p99.9", "mean", "max"} {
			words = append(words, before+latency+"."+of+"<")
		}
	}
	for _, counter := range []string{"loss", "duplicates", "reordered", "errors"} {
		words = append(words, before+counter+"==0")
	}
	return beginning(words, typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// beginning returns the words that begin with what is typed.
func beginning(words []string, typed string) []string {
	return slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, typed) })
}

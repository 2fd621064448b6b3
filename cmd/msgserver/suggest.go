package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// closeEnough is how many letters a mistyped word may be away from the one that was meant.
const closeEnough = 2

// noArgs refuses arguments. Of a command that has others below it they are unknown commands.
func noArgs(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasSubCommands():
		return usageError("unknown command %q%s: see %s --help", args[0], didYouMean(commandsLike(c, args[0])), c.CommandPath())
	}
	return usageError("%s takes no arguments, but got %q", c.CommandPath(), args)
}

// checkHelp refuses help about what there is not; cobra would show that of the nearest command there is.
func checkHelp(help *cobra.Command, args []string) error {
	c, rest, err := help.Root().Find(args)
	if err != nil {
		return usageError("%v", err)
	}
	return noArgs(c, rest)
}

// flagError says what to do about a flag that is wrong.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usageError("%v: see %s --help", err, c.CommandPath())
	}
	if unknown.GetSpecifiedShortnames() != "" {
		return usageError("%v: names of flags begin with two dashes, and what is no flag goes behind --: see %s --help", err, c.CommandPath())
	}
	return usageError("%v%s: see %s --help", err, didYouMean(flagsLike(c, unknown.GetSpecifiedName())), c.CommandPath())
}

func didYouMean(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", strings.Join(words, " or "))
}

func commandsLike(c *cobra.Command, word string) []string {
	c.SuggestionsMinimumDistance = closeEnough
	return c.SuggestionsFor(word)
}

// flagsLike returns the flags of c that may have been meant: nearly the same word, or a longer one.
func flagsLike(c *cobra.Command, word string) []string {
	var found []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if strings.HasPrefix(f.Name, word) || distance(f.Name, word) <= closeEnough && len(word) > closeEnough {
			found = append(found, "--"+f.Name)
		}
	})
	return found
}

// distance is the number of bytes to insert, delete, change or swap with the next that makes b of a.
func distance(a, b string) int {
	var before, last []int // the rows of the two bytes of a before this one
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last = last, row
		row = make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

// sayDefaults completes the help: of a flag whose default is nothing, cobra does not show it.
func sayDefaults(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		isZero := slices.Contains([]string{"", "0", "0s", "[]"}, f.DefValue)
		switch {
		case !isZero || f.Value.Type() == "bool" || strings.Contains(f.Usage, "default") || strings.Contains(f.Usage, "required"):
		case f.DefValue == "0" || f.DefValue == "0s":
			f.Usage += " (default 0)"
		default:
			f.Usage += " (default none)"
		}
	})
	for _, sub := range c.Commands() {
		sayDefaults(sub)
	}
}

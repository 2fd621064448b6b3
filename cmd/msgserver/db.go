package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/storage"
)

// newDB groups what works on the data of a stopped server.
func newDB() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Check, measure or compact the data of a stopped server",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(
		dbCommand("check", "Verify structure, checksums, seqs and index", storage.Check, func(r storage.Report) string {
			if r.FaultCount > 0 {
				return faultsText(r)
			}
			return fmt.Sprintf("in order: %d entries (%d notices) in %d conversations, %d groups, %d marks, %s",
				r.Entries, r.Notices, r.Conversations, r.Groups, r.Marks, size(r.FileBytes))
		}),
		dbCommand("stats", "Show what the file consists of", storage.Measure, sizesText),
		dbCommand("compact", "Copy to a new file without free pages, verify it, and put it in place", storage.Compact, func(c storage.Compaction) string {
			return fmt.Sprintf("compacted %s to %s, and verified", size(c.Before), size(c.After))
		}),
	)
	return cmd
}

func dbCommand[T any](name, short string, work func(string, storage.Progress) (T, error), text func(T) string) *cobra.Command {
	var data string
	var accept journalLossFlag
	var out output
	cmd := &cobra.Command{
		Use: name + " --data DIR", Short: short, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if err := accept.apply(c, data); err != nil {
				return err
			}
			show := newProgress("db " + name)
			result, err := work(data, show.ratio)
			show.clear()
			if err != nil && (name != "check" || !errors.Is(err, storage.ErrFaulty)) {
				return err
			}
			return errors.Join(out.print(c, result, func() string { return text(result) }), err)
		},
	}
	cmd.Flags().StringVar(&data, "data", "./data", "the data directory")
	accept.flag(cmd)
	out.flags(cmd)
	return cmd
}

// journalLossFlag is the way out when the journal is lost.
type journalLossFlag bool

func (f *journalLossFlag) flag(c *cobra.Command) {
	c.Flags().BoolVar((*bool)(f), "accept-journal-loss", false,
		"when the journal is missing, damaged or another database's, set it aside and lose what was in it only")
}

// apply accepts the loss for a directory, if there is one, and says what it was.
func (f *journalLossFlag) apply(c *cobra.Command, data string) error {
	if !*f {
		return nil
	}
	loss, err := storage.AcceptJournalLoss(data)
	if loss != nil {
		fmt.Fprintln(c.ErrOrStderr(), "msgserver: accepted:", loss)
	}
	return err
}

func faultsText(r storage.Report) string {
	text := fmt.Sprintf("faults: %d", r.FaultCount)
	for _, f := range r.Faults {
		text += "\n  " + f
	}
	if more := r.FaultCount - int64(len(r.Faults)); more > 0 {
		text += fmt.Sprintf("\n  and %d more", more)
	}
	return text
}

func sizesText(s storage.Sizes) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d entries in %d conversations, %d groups\n", s.Entries, s.Conversations, s.Groups)
	fmt.Fprintf(&b, "file %s, of it free %s, %.0f bytes for each entry\n", size(s.FileBytes), size(s.FreeBytes), s.BytesPerEntry)
	for _, bucket := range s.Buckets {
		fmt.Fprintf(&b, "  %-11s %10d keys  %10s\n", bucket.Name, bucket.Keys, size(int64(bucket.Bytes)))
	}
	fmt.Fprint(&b, "busiest conversations:")
	for _, c := range s.Top {
		fmt.Fprintf(&b, "\n  %-44s %10d", c.Conversation, c.Entries)
	}
	return b.String()
}

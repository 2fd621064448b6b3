package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

const rootText = `msgserver is an instant-messaging server: one program, one data directory.

Start here:
  %[1]s serve                     the server, on 127.0.0.1:3005 with its data in ./data
  %[1]s chat --user 1 --to 2      talk, in a second terminal
  %[1]s chat --user 2 --to 1      and answer, in a third
  %[1]s bench quick               what it can do on this machine, in a minute`

func newRoot() *cobra.Command {
	self := selfCommand()
	root := &cobra.Command{
		Use:           "msgserver",
		Short:         "An instant-messaging server",
		Long:          fmt.Sprintf(rootText, self),
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       buildVersion().text(),
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(&terminal{w: os.Stdout})
	root.SetErr(&terminal{w: os.Stderr})
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newServe(), newChat(), newSend(), newGroups(), newHistory(), newSessions(), newOffline(),
		newBackup(), newRestore(), newDB(), newBench(), newVersion())
	sayDefaults(root)
	completeAll(root)
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = checkHelp
	}
	return root
}

// selfCommand is how this program was started, for texts that say what to type next.
func selfCommand() string {
	exe, err := os.Executable()
	if err == nil && strings.Contains(exe, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/msgserver"
	}
	return os.Args[0]
}

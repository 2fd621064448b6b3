package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/bench"
)

func newBenchWorker() *cobra.Command {
	var listen, tokenFile string
	var insecure bool
	var opts bench.WorkerOptions
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Make load for a bench in another process",
		Long: `Make load for a bench in another process, which names this one with --workers. It loads the servers of --addr and no
others. Elsewhere than on loopback it wants --allow-insecure, for what is said there is not encrypted, and a --token-file, which the
conducting process has to have, too.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if opts.Token, err = readToken(tokenFile); err != nil {
				return err
			}
			if !onLoopback(listen) && (!insecure || opts.Token == "") {
				return usageError("--listen %s is not on loopback, where others could have load made: add --allow-insecure and a --token-file if that is meant", listen)
			}
			return runWorker(c.Context(), listen, opts, c.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:3009", "address for the conducting process; port 0 takes a free one")
	cmd.Flags().StringSliceVar(&opts.Targets, "addr", []string{"127.0.0.1:3005"}, "addresses of the servers that it loads, as bench run names them with --addr")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file with a token that the conducting process must have, too")
	cmd.Flags().BoolVar(&insecure, "allow-insecure", false, "listen elsewhere than on loopback, without encryption; wants a token, too")
	return cmd
}

// onLoopback reports whether only this machine reaches an address.
func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func runWorker(ctx context.Context, listen string, opts bench.WorkerOptions, w io.Writer) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w: choose another address with --listen", listen, err)
	}
	fmt.Fprintf(w, "worker on %s\n\nNext, in another terminal:\n  %s bench run direct --workers %s\n", l.Addr(), selfCommand(), l.Addr())
	opts.Said = func(s string) { fmt.Fprintln(w, time.Now().Format(time.TimeOnly), s) }
	return bench.Serve(ctx, l, opts)
}

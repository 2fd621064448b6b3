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
	var listen string
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Make load for a bench in another process",
		Long: `Make load for a bench in another process, which names this one with --workers. Whoever reaches the address can have load
made against any other: keep it on loopback or a trusted network.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runWorker(c.Context(), listen, c.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:3009", "address for the conducting process; port 0 takes a free one")
	return cmd
}

func runWorker(ctx context.Context, listen string, w io.Writer) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w: choose another address with --listen", listen, err)
	}
	fmt.Fprintf(w, "worker on %s\n\nNext, in another terminal:\n  %s bench run direct --workers %s\n", l.Addr(), selfCommand(), l.Addr())
	return bench.Serve(ctx, l, func(s string) { fmt.Fprintln(w, time.Now().Format(time.TimeOnly), s) })
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/storage"
)

// serveCommand is the server with what it was told on the command line.
type serveCommand struct {
	cfg      server.Config
	data     string
	minFree  int64
	accept   bool // the loss of the journal
	retain   ageFlag
	logLevel zapcore.Level
}

func newServe() *cobra.Command {
	s := &serveCommand{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long:  "Run the server until SIGTERM or SIGINT, which drain and stop it. A second signal stops it at once.",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return s.run(c.Context(), c.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&s.cfg.Listen, "listen", "127.0.0.1:3005", "address for clients; port 0 takes a free one")
	f.StringVar(&s.data, "data", "./data", "the data directory")
	f.StringVar(&s.cfg.Admin, "admin", "127.0.0.1:3007", `address for /healthz, /readyz and /stats; "" for none`)
	f.StringArrayVar(&s.cfg.AdminHosts, "admin-host", nil, "a name or address, beside loopback, by which --admin may be asked; may be repeated")
	f.BoolVar(&s.cfg.AllowInsecure, "allow-insecure", false, "let --listen and --admin be reached by other machines, although nobody is authenticated")
	f.TextVar(&s.logLevel, "log-level", zapcore.InfoLevel, "debug, info, warn or error")
	f.Int64Var(&s.minFree, "min-free", 256, "MiB of disk below which the server takes no writes")

	f.BoolVar(&s.accept, "accept-journal-loss", false, "when the journal is missing, damaged or another database's, set it aside and lose what was in it only")
	f.Var(&s.retain, "retain", "how long messages are kept, for example 90d or 36h; 0 for ever (default 0)")

	f.DurationVar(&s.cfg.BindTimeout, "bind-timeout", 10*time.Second, "a connection must be bound by then")
	f.DurationVar(&s.cfg.IdleTimeout, "idle-timeout", 180*time.Second, "a silent connection is closed after this; 0 never")
	f.DurationVar(&s.cfg.DrainTimeout, "drain-timeout", 5*time.Second, "how long a stop waits for answers")
	f.IntVar(&s.cfg.MaxConns, "max-conns", 0, "connections at once; 0: the limit of file descriptors less 1,024")
	f.IntVar(&s.cfg.ConnsPerUser, "conns-per-user", 8, "connections of one user")
	f.IntVar(&s.cfg.FrameBeforeBind, "frame-before-bind", 4<<10, "bytes of a frame before the bind")
	f.IntVar(&s.cfg.FrameAfterBind, "frame-after-bind", 256<<10, "bytes of a frame after the bind")
	f.DurationVar(&s.cfg.SlowTimeout, "slow-timeout", 30*time.Second, "a client that takes none of what waits for it is closed after this")
	f.IntVar(&s.cfg.PendingBytes, "pending-bytes", 1<<20, "bytes that may wait for one client before pushes are dropped for it")
	f.IntVar(&s.cfg.AckBytes, "ack-bytes", 4<<20, "bytes of unread acknowledgements after which a client is closed")
	f.IntVar(&s.cfg.WaitingBytes, "waiting-bytes", 0, "bytes that may wait for all clients together; 0: a fifth of the memory there is")
	f.IntVar(&s.cfg.ReadBytes, "read-bytes", 0, "bytes that all reading requests may hold together; 0: a thirty-second of the memory there is, 64 to 512 MiB")
	f.IntVar(&s.cfg.Limits.Members, "max-members", 10_000, "members of one group")
	f.IntVar(&s.cfg.Limits.Groups, "max-groups", 2_000, "groups of one user")
	f.IntVar(&s.cfg.Limits.AddsPerMinute, "adds-per-minute", 60, "groups that others can put one user into within a minute; 0: any number")
	f.IntVar(&s.cfg.Limits.Changes, "changes-per-user", 4, "changes of groups that one user may have under way")
	f.IntVar(&s.cfg.Limits.Content, "max-content", 64<<10, "bytes of a message's content")
	f.IntVar(&s.cfg.Limits.Name, "max-name", 256, "bytes of a group's name")
	f.IntVar(&s.cfg.Limits.ReceiptGroup, "receipt-group", 500, "members up to which senders hear of each receipt")
	return cmd
}

func (s *serveCommand) run(ctx context.Context, out io.Writer) error {
	log, err := newLogger(s.logLevel)
	if err != nil {
		return err
	}
	defer log.Sync()
	tuneCollector()
	if s.cfg.IdleTimeout == 0 {
		s.cfg.IdleTimeout = -1
	}
	if s.cfg.Limits.AddsPerMinute == 0 {
		s.cfg.Limits.AddsPerMinute = -1
	}

	var srv *server.Server
	failed := make(chan error, 1)
	db, err := s.openStore(log, failed)
	if err != nil {
		return err
	}
	s.cfg.StoreStats = func() any { return db.Stats() }
	s.cfg.About = about(db)
	srv, err = server.New(s.cfg, db, log)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ended := make(chan struct{})
	go func() {
		select {
		case err := <-failed:
			srv.Fail(err)
		case <-ended:
		}
	}()
	go func() {
		select {
		case <-srv.Ready():
			s.welcome(out, srv)
			log.Info("ready", zap.String("listen", srv.Addr()), zap.String("admin", srv.AdminAddr()), zap.String("data", s.data))
		case <-ended:
			return
		}
		<-ctx.Done()
		stop() // the next signal ends the process at once
	}()
	err = srv.Run(ctx)
	close(ended)
	return errors.Join(err, db.Close())
}

// openStore opens the data directory. The first reason why the store cannot go on comes through failed.
func (s *serveCommand) openStore(log *zap.Logger, failed chan<- error) (*storage.DB, error) {
	db, err := storage.Open(s.data, storage.Options{
		MinFree: s.minFree << 20,
		Retain:  time.Duration(s.retain),

		AcceptJournalLoss: s.accept,
		OnFatal: func(err error) {
			select {
			case failed <- err:
			default: // the first reason is the one
			}
		},
		OnDamage: func(err error) { log.Error("stored data is damaged", zap.Error(err)) },
	})
	if err != nil {
		return nil, err
	}
	if loss := db.JournalLoss(); loss != nil {
		log.Warn("journal loss accepted", zap.Error(loss))
	}
	return db, nil
}

// about says what runs here, for who measures it.
func about(db *storage.DB) server.About {
	v := buildVersion()
	return server.About{
		Version: v.Version, Revision: v.Revision, FileSystem: db.FileSystem(),
		Durability: "every acknowledgement follows fdatasync of the journal",
	}
}

// welcome says where everything is and what to try next.
func (s *serveCommand) welcome(out io.Writer, srv *server.Server) {
	data, err := filepath.Abs(s.data)
	if err != nil {
		data = s.data
	}
	admin := "off"
	if srv.AdminAddr() != "" {
		admin = fmt.Sprintf("http://%s  (/healthz /readyz /stats)", srv.AdminAddr())
	}
	addr := ""
	if srv.Addr() != "127.0.0.1:3005" {
		addr = " --addr " + srv.Addr()
	}
	self := selfCommand()
	fmt.Fprintf(out, `msgserver %s is ready
  clients  %s
  admin    %s
  data     %s  (every acknowledged message is synced to disk)

Next, in two other terminals:
  %s chat --user 1 --to 2%s
  %s chat --user 2 --to 1%s
`, buildVersion().Version, srv.Addr(), admin, data, self, addr, self, addr)
}

func newLogger(level zapcore.Level) (*zap.Logger, error) {
	cfg := zap.NewProductionConfig()
	cfg.Level = zap.NewAtomicLevelAt(level)
	cfg.EncoderConfig.EncodeTime = zapcore.ISO8601TimeEncoder
	cfg.DisableCaller = true
	cfg.DisableStacktrace = true
	return cfg.Build()
}

// tuneCollector lets garbage grow a little further before it is collected: the live heap is small, so Go's
// default would collect many times a second under load. GOGC in the environment is stronger.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

// ageFlag is a duration that may be given in days.
type ageFlag time.Duration

// String, Set and Type are pflag.Value's.
func (a *ageFlag) String() string {
	if *a == 0 {
		return "0"
	}
	return time.Duration(*a).String()
}

func (a *ageFlag) Set(s string) error {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		*a = ageFlag(time.Duration(n) * 24 * time.Hour)
		return err
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = errors.New("it is negative")
	}
	*a = ageFlag(d)
	return err
}

func (a *ageFlag) Type() string { return "age" }

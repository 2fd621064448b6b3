package server

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/msgserver/msgserver/service"
)

// Config says how a server listens and what it allows. The zero value of a field means its default.
type Config struct {
	Listen        string   // host:port of the message server; default 127.0.0.1:3005; port 0 takes a free one
	Admin         string   // host:port of the admin endpoints; "" switches them off
	AdminHosts    []string // names and addresses, beside loopback, by which the admin endpoints may be asked
	AllowInsecure bool     // listen beyond loopback although nobody is authenticated

	BindTimeout    time.Duration // a connection that is not bound by then is closed; default 10 s
	IdleTimeout    time.Duration // a bound connection that is silent this long is closed; default 180 s; below 0 never
	FrameTimeout   time.Duration // a connection that has begun a frame must complete one within this; default 30 s
	SlowTimeout    time.Duration // a client that something waits for must take some of it within this; default 30 s
	RequestTimeout time.Duration // of requests that read or change groups; default 10 s
	DrainTimeout   time.Duration // of an ordered shutdown, before what is left is cut off; default 5 s

	MaxConns        int // connections at once; default and ceiling: the limit of file descriptors less 1,024
	ConnsPerUser    int // default 8; the oldest is closed when there is one more
	FrameBeforeBind int // bytes of a frame before the bind; default 4 KiB
	FrameAfterBind  int // bytes of a frame after the bind; default 256 KiB
	PendingBytes    int // bytes of pushes that may wait for one client, before more are dropped for it, and of everything before its next request is begun; default 1 MiB
	AckBytes        int // bytes of acknowledgements that may wait for one client before it is closed; default 4 MiB
	WaitingBytes    int // bytes that may wait for all clients that do not read; default a fifth of the memory there is
	ReadBytes       int // bytes that all reading requests in progress may hold; default a thirty-second of the memory there is, 64 to 512 MiB
	InFlight        int // messages and receipts of one connection that are not answered yet; default 8,192
	Queue           int // requests of one connection that wait for a worker; default 64
	Workers         int // goroutines that read from the store; default 16

	StoreStats func() any // the store's numbers, for /stats; nil: it has none
	About      About      // for /stats, too

	Limits service.Limits
	Clock  func() time.Time // default time.Now
}

// About says what is running: what only its owner knows. It must not say where the data is.
type About struct {
	Version    string `json:"version"`
	Revision   string `json:"revision,omitempty"`   // of the sources
	Durability string `json:"durability"`           // what an acknowledgement promises
	FileSystem string `json:"fileSystem,omitempty"` // of the data, such as ext4
}

// reservedFDs is what the process keeps for files, the admin endpoints and gnet itself.
const reservedFDs = 1024

func (c Config) withDefaults() (Config, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:3005"
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.BindTimeout, 10 * time.Second}, {&c.IdleTimeout, 180 * time.Second}, {&c.FrameTimeout, 30 * time.Second},
		{&c.SlowTimeout, 30 * time.Second}, {&c.RequestTimeout, 10 * time.Second}, {&c.DrainTimeout, 5 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	memory := availableMemory()
	for _, n := range []struct {
		field *int
		value int
	}{
		{&c.ConnsPerUser, 8}, {&c.FrameBeforeBind, 4 << 10}, {&c.FrameAfterBind, 256 << 10},
		{&c.PendingBytes, 1 << 20}, {&c.AckBytes, 4 << 20}, {&c.WaitingBytes, memory / 5},
		{&c.ReadBytes, min(max(memory/32, 64<<20), 512<<20)}, {&c.InFlight, 8192}, {&c.Queue, 64}, {&c.Workers, 16},
	} {
		if *n.field <= 0 {
			*n.field = n.value
		}
	}
	ceiling, err := connCeiling()
	if err != nil {
		return c, err
	}
	if c.MaxConns <= 0 || c.MaxConns > ceiling {
		c.MaxConns = ceiling
	}
	if c.AdminHosts, err = canonicalHosts(c.AdminHosts); err != nil {
		return c, err
	}
	return c, c.checkListen()
}

// lookEvery is after how many ticks a connection's deadlines are looked at again at the latest: a quarter of the
// shortest that may begin meanwhile, so that none is missed by more.
func (c Config) lookEvery() int64 { return ticksOf(min(c.FrameTimeout, c.SlowTimeout) / 4) }

// firstLook is after how many ticks a new connection's deadlines are looked at first.
func (c Config) firstLook() int64 {
	first := min(c.lookEvery(), ticksOf(c.BindTimeout))
	if c.IdleTimeout > 0 {
		first = min(first, ticksOf(c.IdleTimeout))
	}
	return first
}

// connCeiling is the number of connections that the limit of file descriptors allows.
func connCeiling() (int, error) {
	var fds syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &fds); err != nil {
		return 0, fmt.Errorf("read the limit of file descriptors: %w", err)
	}
	if fds.Cur < reservedFDs+64 {
		return 0, fmt.Errorf("the limit of file descriptors is %d, too low to serve: raise it to at least %d (ulimit -n)", fds.Cur, 2*reservedFDs)
	}
	return int(min(fds.Cur, 1<<22)) - reservedFDs, nil
}

// checkListen refuses addresses that are none, and those that other machines reach.
func (c Config) checkListen() error {
	err := c.checkLoopback("listen", c.Listen, "nobody is authenticated, so anyone who can reach it could speak as any user")
	if err == nil && c.Admin != "" {
		err = c.checkLoopback("admin", c.Admin, "anyone who can reach it could read every message")
	}
	return err
}

func (c Config) checkLoopback(flag, addr, why string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("the %s address %q is not host:port: %w", flag, addr, err)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("the port of --%s %q is invalid: it is a number from 0, which takes a free one, to 65535", flag, addr)
	}
	if c.AllowInsecure || host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("refusing to listen on %s (--%s): %s: use 127.0.0.1, or pass --allow-insecure if the network is trusted", addr, flag, why)
}

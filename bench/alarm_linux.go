package bench

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// alarm wakes a driver. The runtime's own timers are up to a millisecond late when the process is idle, because
// it waits for sockets in whole milliseconds; a timerfd is one of those sockets, and ends the wait when it is due.
type alarm struct {
	file *os.File
	raw  syscall.RawConn
	buf  [8]byte
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "timerfd")
	raw, err := file.SyscallConn()
	return &alarm{file: file, raw: raw}, err
}

// sleep returns after d, or when close is called.
func (a *alarm) sleep(d time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(d.Nanoseconds(), 1))}
	var setErr error
	err := a.raw.Control(func(fd uintptr) { setErr = unix.TimerfdSettime(int(fd), 0, &spec, nil) })
	if err = errors.Join(err, os.NewSyscallError("timerfd_settime", setErr)); err != nil {
		return err
	}
	_, err = a.file.Read(a.buf[:])
	return err
}

func (a *alarm) close() { a.file.Close() }

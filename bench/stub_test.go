package bench_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/msgserver/msgserver/codec"
)

// asStub makes this test binary the stub: a process of its own, as a server is.
const asStub = "MSGSERVER_BENCH_STUB"

// startStub starts a server that binds everyone, acknowledges every message and delivers none: the fastest server that
// there can be, to see what the generator is capable of.
func startStub(t testing.TB) (addr string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asStub+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // the stub ends with it
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	addr, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(addr)
}

// runStub is the stub's process.
func runStub() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		l.Close()
	}()
	var done sync.WaitGroup
	accept(l, &done, acknowledge)
	done.Wait()
}

// acknowledge answers everything that one read brings with one write.
func acknowledge(c net.Conn) {
	var out []byte
	var seq uint64
	var m codec.MessageRequest
	frames(c, func(f codec.Frame) bool {
		label, _ := codec.LookupLabel(f.Label)
		switch label {
		case codec.GetUserID:
			var b codec.Bind
			if codec.Unmarshal(f.Format, f.Body, &b) != nil {
				return false
			}
			out, _ = codec.AppendResponse(out, f.Format, label, b.TaskID, &codec.Bound{UserID: b.UserID.ID})
		case codec.Message:
			if codec.DecodeMessage(f.Format, f.Body, &m) != nil {
				return false
			}
			seq++
			out = codec.AppendMessageStored(out, f.Format, m.TaskID, &codec.MessageStored{MsgID: m.MsgID, Seq: seq, State: 1})
		}
		return true
	}, func() bool {
		_, err := c.Write(out)
		if out = out[:0]; cap(out) > 64<<10 {
			out = nil
		}
		return err == nil
	})
}

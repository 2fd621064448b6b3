//go:build !linux

package bench

import (
	"runtime"
	"syscall"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// Where there is no /proc, the generator knows little of itself.

func processCPU() time.Duration { return 0 }

func residentBytes() int64 { return 0 }

func lateBind(_, _ string, _ syscall.RawConn) error { return nil }

func thisMachine() result.Machine {
	return result.Machine{OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
}

func takeFootprint() footprint { return footprint{} }

// maxDescriptors is not known here.
func maxDescriptors() int { return 1<<31 - 1 }

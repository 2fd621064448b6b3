package server

import "golang.org/x/sys/unix"

// unacked is how many bytes the kernel holds that the client's has not acknowledged.
func unacked(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// Command msgserver is the message server, and the tools around it.
package main

import (
	"errors"
	"fmt"
	"os"
)

// Exit codes, beside 0.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
)

func main() {
	err := newRoot().Execute()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "msgserver:", errorLine(err))
	var coded *codedError
	if errors.As(err, &coded) {
		os.Exit(coded.code)
	}
	os.Exit(exitFailed)
}

// codedError is an error that ends the process with its own code.
type codedError struct {
	code int
	error
}

// Unwrap gives the error itself.
func (e *codedError) Unwrap() error { return e.error }

func usageError(format string, args ...any) error {
	return &codedError{exitUsage, fmt.Errorf(format, args...)}
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxLine bounds what is kept of a line or of a text from standard input, in bytes: more than any server takes.
const maxLine = 1 << 20

// lineReader reads lines of any length. What is beyond maxLine is counted and not kept.
type lineReader struct{ r *bufio.Reader }

// errTooLong says that a line was longer than any message may be.
var errTooLong = errors.New("no message may be that long")

// next returns a line without its end. The last one need not have an end; io.EOF comes alone. After errTooLong the next
// line follows.
func (l lineReader) next() (string, error) {
	var line strings.Builder
	size := 0
	for {
		part, err := l.r.ReadSlice('\n')
		if size += len(part); size <= maxLine {
			line.Write(part)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (size == 0 || !errors.Is(err, io.EOF)):
			return "", err
		case size > maxLine:
			return "", fmt.Errorf("a line of %d bytes: %w", size, errTooLong)
		}
		text := strings.TrimSuffix(line.String(), "\n")
		return strings.TrimSuffix(text, "\r"), nil
	}
}

// isTerminal reports whether somebody may be typing what in gives.
func isTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

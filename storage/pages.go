package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// bbolt's own check follows what a page says on a goroutine of its own, where nobody can catch the fault that a
// wrong length leads to. So the pages are looked at before, as bytes, and it runs only if they lie in each other as
// they should. The layout is bbolt's, in the byte order of the machine:
//
//	page    id u64 | flags u16 | count u16 | pages behind it u32 | elements
//	branch  offset of the key from here u32 | its length u32 | child u64
//	leaf    flags u32 (1: a bucket) | offset of the key from here u32 | its length u32 | length of the value behind it u32
//	bucket  root u64 (0: the page itself follows) | sequence u64
//	free    ids, u64 each; if count is 65535 the first is their number
const (
	pageHeader    = 16
	pageElement   = 16
	branchPage    = 1
	leafPage      = 2
	freelistPage  = 16
	bucketElement = 1
	maxDepth      = 100

	metaRoot = 32 // in a meta page
	metaFree = 48
)

// pageWalk goes over the tree of pages once.
type pageWalk struct {
	f      io.ReaderAt
	size   int    // of a page
	pages  uint64 // that are in use or free
	seen   []bool
	faults int
	fault  func(error)
}

// walkPages looks at all pages of a file, and reports whether they are in order.
func walkPages(tx *bbolt.Tx, fault func(error)) (whole bool, err error) {
	f, err := os.Open(tx.DB().Path())
	if err != nil {
		return false, err
	}
	size := tx.DB().Info().PageSize
	w := &pageWalk{f: f, size: size, pages: uint64(tx.Size()) / uint64(size), fault: fault}
	w.seen = make([]bool, w.pages)
	meta := make([]byte, size)
	_, err = f.ReadAt(meta, int64(tx.ID())%2*int64(size))
	if err == nil {
		err = w.tree(binary.NativeEndian.Uint64(meta[metaRoot:]), nil, 0)
	}
	if err == nil {
		err = w.free(binary.NativeEndian.Uint64(meta[metaFree:]))
	}
	for id := uint64(2); id < w.pages && err == nil && w.faults == 0; id++ {
		if !w.seen[id] {
			w.wrong(id, "is neither in use nor free")
		}
	}
	return w.faults == 0, errors.Join(err, f.Close())
}

func (w *pageWalk) wrong(id uint64, format string, args ...any) {
	w.faults++
	w.fault(fmt.Errorf("page %d %s: %w", id, fmt.Sprintf(format, args...), errDamaged))
}

// load reads a page and those that belong to it; nil if it is not one.
func (w *pageWalk) load(id uint64) ([]byte, error) {
	if id < 2 || id >= w.pages {
		w.wrong(id, "is referred to, and the file has %d", w.pages)
		return nil, nil
	}
	head := make([]byte, pageHeader)
	if _, err := w.f.ReadAt(head, int64(id)*int64(w.size)); err != nil {
		return nil, err
	}
	if self := binary.NativeEndian.Uint64(head); self != id {
		w.wrong(id, "says that it is page %d", self)
		return nil, nil
	}
	more := uint64(binary.NativeEndian.Uint32(head[12:]))
	if more >= w.pages-id {
		w.wrong(id, "has %d pages, and the file %d", more+1, w.pages)
		return nil, nil
	}
	for i := id; i <= id+more; i++ {
		if w.seen[i] {
			w.wrong(i, "is used twice")
			return nil, nil
		}
		w.seen[i] = true
	}
	page := make([]byte, int(more+1)*w.size)
	_, err := w.f.ReadAt(page, int64(id)*int64(w.size))
	return page, err
}

// tree looks at a page and all below it, whose keys are not below least.
func (w *pageWalk) tree(id uint64, least []byte, depth int) error {
	if depth > maxDepth {
		w.wrong(id, "is too deep in the tree")
		return nil
	}
	page, err := w.load(id)
	if err != nil || page == nil {
		return err
	}
	return w.elements(id, page, least, depth)
}

// elements looks at those of a page, or of one that lies in a bucket's value.
func (w *pageWalk) elements(id uint64, page, least []byte, depth int) error {
	flags, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	if flags != branchPage && flags != leafPage || pageHeader+count*pageElement > len(page) || flags == branchPage && count == 0 {
		w.wrong(id, "is of kind %d with %d elements", flags, count)
		return nil
	}
	for i := range count {
		e := page[pageHeader+i*pageElement:]
		at, length, value := binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:]), uint32(0)
		if flags == leafPage {
			at, length, value = length, binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:])
		}
		if uint64(at)+uint64(length)+uint64(value) > uint64(len(e)) {
			w.wrong(id, "has an element %d that goes beyond it", i)
			return nil
		}
		key := e[at : at+length]
		if order := bytes.Compare(key, least); order < 0 || order == 0 && i > 0 {
			w.wrong(id, "has the key %.64x behind %.64x", key, least)
			return nil
		}
		least = key
		var err error
		switch {
		case flags == branchPage:
			err = w.tree(binary.NativeEndian.Uint64(e[8:]), key, depth+1)
		case binary.NativeEndian.Uint32(e)&bucketElement != 0:
			err = w.bucket(id, e[at+length:at+length+value], depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket looks at the pages of a bucket.
func (w *pageWalk) bucket(id uint64, value []byte, depth int) error {
	if len(value) < 16 {
		w.wrong(id, "has a bucket of %d bytes", len(value))
		return nil
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.tree(root, nil, depth+1)
	}
	if len(value) < 16+pageHeader || depth > maxDepth {
		w.wrong(id, "has a bucket of %d bytes", len(value))
		return nil
	}
	return w.elements(id, value[16:], nil, depth+1)
}

// free looks at the list of free pages.
func (w *pageWalk) free(id uint64) error {
	page, err := w.load(id)
	if err != nil || page == nil {
		return err
	}
	flags, count, ids := binary.NativeEndian.Uint16(page[8:]), uint64(binary.NativeEndian.Uint16(page[10:])), page[pageHeader:]
	if count == 0xFFFF && len(ids) >= 8 {
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if flags != freelistPage || count > uint64(len(ids)/8) {
		w.wrong(id, "is no list of %d free pages", count)
		return nil
	}
	for i := range count {
		free := binary.NativeEndian.Uint64(ids[8*i:])
		if free < 2 || free >= w.pages || w.seen[free] {
			w.wrong(free, "is free, and in use or not there")
			return nil
		}
		w.seen[free] = true
	}
	return nil
}

package storage

import "slices"

// births counts slots by the gid they are waiting since, in blocks: exact enough to say how far back the oldest
// one lies, without looking at them all.
type births struct {
	first  uint64 // number of the first block
	counts []int32
}

const birthBlock = 10 // log2 of the gids in a block

func (b *births) add(gid uint64) {
	block := gid >> birthBlock
	if len(b.counts) == 0 {
		b.first = block
	}
	for block < b.first {
		b.counts = slices.Insert(b.counts, 0, 0)
		b.first--
	}
	for block >= b.first+uint64(len(b.counts)) {
		b.counts = append(b.counts, 0)
	}
	b.counts[block-b.first]++
}

func (b *births) remove(gid uint64) { b.counts[gid>>birthBlock-b.first]-- }

func (b *births) oldest() (gid uint64, ok bool) {
	for len(b.counts) > 0 && b.counts[0] == 0 {
		b.counts = b.counts[1:]
		b.first++
	}
	return b.first << birthBlock, len(b.counts) > 0
}

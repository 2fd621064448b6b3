package codec

import "hash/maphash"

// names are the keys of the objects that a flat has open, to find one that stands twice. Real objects have few
// keys, which are compared one by one; those of an object with more than fit go to a table, so that 30,000 cost
// no more each than three.
type names struct {
	few   [16]string // of the narrow objects that are open, the innermost last
	n     int
	table []wideName // keys of wide objects, by hash; at most half full
	used  int
	made  uint32 // wide objects so far
}

type wideName struct {
	object uint32 // 0 is a free place
	hash   uint32
	name   string
}

// level is one object: where its keys begin, or, once it is wide, its number.
type level struct {
	base   int
	object uint32 // 0 while it is narrow
}

// nameSeed makes the places of keys unknown to who sends them.
var nameSeed = maphash.MakeSeed()

func (n *names) open() level { return level{base: n.n} }

func (n *names) close(l level) { n.n = l.base }

// add reports false for a key that the object has already.
func (n *names) add(l *level, name string) bool {
	if l.object != 0 {
		return n.put(l.object, name)
	}
	for _, other := range n.few[l.base:n.n] {
		if other == name {
			return false
		}
	}
	if n.n < len(n.few) {
		n.few[n.n] = name
		n.n++
		return true
	}
	n.widen(l)
	return n.put(l.object, name)
}

// widen moves the keys of an object to the table.
func (n *names) widen(l *level) {
	n.made++
	l.object = n.made
	for _, name := range n.few[l.base:n.n] {
		n.put(l.object, name)
	}
	n.n = l.base
}

func (n *names) put(object uint32, name string) bool {
	if 2*n.used >= len(n.table) {
		n.grow()
	}
	hash := uint32(maphash.String(nameSeed, name)) + object*0x9e3779b9 // spreads the objects, which may share names
	w := n.place(hash, object, name)
	if w.object != 0 {
		return false
	}
	*w = wideName{object, hash, name}
	n.used++
	return true
}

// place is where a key stands, or would.
func (n *names) place(hash, object uint32, name string) *wideName {
	mask := len(n.table) - 1
	for i := int(hash) & mask; ; i = (i + 1) & mask {
		w := &n.table[i]
		if w.object == 0 || w.hash == hash && w.object == object && w.name == name {
			return w
		}
	}
}

func (n *names) grow() {
	old := n.table
	n.table = make([]wideName, max(64, 2*len(old)))
	for _, w := range old {
		if w.object != 0 {
			*n.place(w.hash, w.object, w.name) = w
		}
	}
}

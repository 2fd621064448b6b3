package storage

import "time"

// Options are what a DB can be told. The zero value of a field means its default.
type Options struct {
	Clock           func() time.Time // for the dates of entries; default time.Now
	JournalSize     int64            // bytes of each of the two journal files when they are made; default 64 MiB
	PendingPostings int              // entries that wait for the index, about; default 250,000
	QueueBytes      int              // operations that are not answered yet; default 64 MiB
	DedupBytes      int              // fingerprints and heads of active conversations; default 128 MiB
	DedupLateBytes  int              // fingerprints of what is beyond a conversation's last 1,024 entries, for 10 minutes; default 64 MiB, which is 4 million
	GroupBytes      int              // groups kept in memory; default 32 MiB
	MmapSize        int              // address space for the file, so that it can grow without waiting for readers; default 256 GiB
	MinFree         int64            // bytes: with less free space there are no writes; default 256 MiB, negative: no limit

	Retain time.Duration // entries older than this go, a little at a time; 0 keeps them for ever

	// AcceptJournalLoss goes on from what the database has when its journal is missing, damaged, or that of another
	// database. What is left of it is kept beside. Otherwise opening refuses, as what was acknowledged last would
	// be lost.
	AcceptJournalLoss bool

	// OnFatal is called once, on a goroutine of its own, when a sync of the journal or an apply has failed.
	// Nothing is written any more then; the owner logs and exits, opening replays the journal.
	OnFatal func(error)

	// OnDamage is called, once for each record and at most a thousand times, when something stored is found to be not what
	// was written. Everything else goes on. It must not block, nor use the store.
	OnDamage func(error)

	newJournal bool // the database may have none: that is set aside, or lost
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.OnFatal == nil {
		o.OnFatal = func(error) {}
	}
	if o.OnDamage == nil {
		o.OnDamage = func(error) {}
	}
	for _, f := range []struct {
		field *int
		value int
	}{
		{&o.PendingPostings, 250_000}, {&o.QueueBytes, 64 << 20}, {&o.DedupBytes, 128 << 20}, {&o.DedupLateBytes, 64 << 20},
		{&o.GroupBytes, 32 << 20}, {&o.MmapSize, defaultMmap},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	if o.JournalSize <= 0 {
		o.JournalSize = 64 << 20
	}
	if o.MinFree == 0 {
		o.MinFree = 256 << 20
	}
	return o
}

// defaultMmap is 256 GiB where pointers have 64 bits: it costs nothing but addresses.
const defaultMmap = 1 << 30 << (^uint(0) >> 63 << 3)

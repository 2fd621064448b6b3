package storage

// Stats are the store's numbers at one moment.
type Stats struct {
	QueueBytes      int    `json:"queueBytes"`     // operations that are not answered
	Refused         uint64 `json:"refused"`        // operations that got ErrBusy because the queue was full
	Commits         uint64 `json:"commits"`        // batches synced
	JournaledBytes  uint64 `json:"journaledBytes"` // of operations
	LastGid         uint64 `json:"lastGid"`        // operations that are acknowledged, since the file was made
	AppliedGid      uint64 `json:"appliedGid"`     // of them, those in the database
	TailEntries     int    `json:"tailEntries"`    // those that are not
	TailBytes       int    `json:"tailBytes"`
	Applies         uint64 `json:"applies"`
	PendingPostings int    `json:"pendingPostings"` // entries that are not in the index
	PendingListings int    `json:"pendingListings"` // personal conversations that are not in their users' lists
	PendingMarks    int    `json:"pendingMarks"`    // marks that are not in their table
	LateEntries     int    `json:"lateEntries"`     // fingerprints of messages beyond their conversation's last 1,024 entries
	LateSeconds     int64  `json:"lateSeconds"`     // for how long none of them was forgotten: under 600 in an old process, their space is too small
	ReadOnly        bool   `json:"readOnly"`        // too little space
	Damaged         int    `json:"damaged"`         // records found since the start that are not what was written, counted up to 1,000
}

// Stats are for metrics and readiness.
func (db *DB) Stats() Stats {
	var s Stats
	s.QueueBytes, s.Refused = db.queue.load()
	s.Commits, s.JournaledBytes = db.committer.commits.Load(), db.committer.journaled.Load()
	s.Applies, s.ReadOnly = db.applier.applies.Load(), db.full.Load() || db.stuck.Load()
	late := db.committer.late
	s.LateEntries = int(late.entries.Load())
	s.LateSeconds = (db.options.Clock().UnixMilli() - late.began.Load()) / 1000
	s.Damaged = db.damage.count()
	r := db.recent
	r.mu.RLock()
	s.AppliedGid, s.LastGid = r.applied, r.applied+uint64(len(r.ops))
	s.TailEntries, s.TailBytes = len(r.ops), r.bytes
	s.PendingPostings, s.PendingListings, s.PendingMarks = r.index.items, r.convs.items, r.marks.items
	r.mu.RUnlock()
	return s
}

// Healthy reports whether operations are taken: nothing failed, there is space, and it is not closing.
func (db *DB) Healthy() bool { return !db.closes.Load() && db.writable() == nil }

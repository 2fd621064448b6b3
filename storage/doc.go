// Package storage is service.Store on one bbolt file with a journal beside it. A committer decides every
// operation and acknowledges it after one sync of the journal; an applier moves what was acknowledged into bbolt
// in bulk; indexes are swept behind the log. It knows nothing of users online, frames or connections.
package storage

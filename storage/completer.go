package storage

// answers are requests of one batch that all have their answer.
type answers struct {
	reqs  []request
	bytes int       // that they count in the queue
	whole []request // all that were taken from the queue with them, if these are the last
}

func answersOf(reqs []request) answers {
	a := answers{reqs: reqs}
	for i := range reqs {
		a.bytes += reqs[i].counted
	}
	return a
}

// complete runs the dones in order, so that neither the next batch nor its sync waits for them.
func (db *DB) complete(batches <-chan answers) {
	for a := range batches {
		for i := range a.reqs {
			a.reqs[i].answer()
		}
		db.queue.answered(a.bytes, a.whole)
	}
}

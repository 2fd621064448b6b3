package storage

// answers are requests of one batch that all have their answer.
type answers struct {
	reqs    []request
	bytes   int       // that they count in the queue
	refused int       // what changes weigh that will never be applied
	whole   []request // all that were taken from the queue with them, if these are the last
}

func answersOf(reqs []request) answers {
	a := answers{reqs: reqs}
	for i := range reqs {
		a.bytes += reqs[i].counted
		if reqs[i].err != nil {
			a.refused += reqs[i].weight
		}
	}
	return a
}

// complete runs the dones in order, so that neither the next batch nor its sync waits for them.
func (db *DB) complete(batches <-chan answers) {
	for a := range batches {
		for i := range a.reqs {
			a.reqs[i].answer()
		}
		db.queue.answered(&a)
	}
}

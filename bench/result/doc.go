// Package result is what a bench run leaves behind: its numbers, what they mean, and how they are written, read,
// judged and compared. It knows nothing of connections or of the protocol.
//
// A Result holds the trials of one scenario. Write and Read keep it in a directory:
//
//	result.json          everything; Schema says which version
//	series.csv           a line for each second of each trial
//	TRIAL-KIND.hgrm      percentiles, as HdrHistogram's plotter reads them
package result

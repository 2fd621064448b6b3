// Package bench drives a message server with a known load, checks that nothing it acknowledged was lost, repeated
// or reordered, and measures how long things took.
//
// Arrivals come by a schedule (Pacer), and a latency begins when something was due, not when it could at last be
// sent: a server that stalls for a second is charged for all that should have been sent in that second. With
// Spec.Window the loop is closed instead, and every output says so.
//
// A run has these parts:
//
//	scenario   who is there and what an arrival does    scenario.go and a file for each
//	drive      arrivals by the schedule                 pace.go, drive.go
//	session    a connection and what came in on it      session.go
//	ledger     what each receiver must have got         ledger.go
//	recorder   histograms and counters                  recorder.go
//	trial      what is left of it                       trial.go
package bench

// Package codec turns bytes into frames and bodies and back: the frame's layout, the labels, the bodies in JSON
// and MessagePack, and the guards against hostile ones. It knows no connection, no rule and no store.
//
// A body that comes in is guarded in one pass (guard, guardJSON: is it one document, how deep, whose keys stand
// twice) and then read by the libraries into a type of request.go. A message, its push and its answer take a
// shorter way by hand: flat for JSON, which guards as it reads, and reader for MessagePack.
package codec

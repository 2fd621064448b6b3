// Package codec turns bytes into frames and bodies and back: the frame's layout, the labels, the bodies in JSON
// and MessagePack, and the guard against hostile MessagePack. It knows no connection, no rule and no store.
package codec

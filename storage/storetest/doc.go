// Package storetest is the suite that any service.Store must pass: a table for every sentence of the interface,
// readers beside writers, random operations against a model with reopening in between, and kill -9. It knows
// nothing of how a store is made.
package storetest

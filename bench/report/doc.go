// Package report writes bench results as one HTML file for people: it opens without a network, reads without
// JavaScript, prints, and is light or dark as its reader's system is. It knows results, not how they came about.
//
// A result alone shows each of its trials beside the merged whole. Two or more are compared with the first one:
// each gets a letter and a colour, and every chart becomes small multiples with a line for each result.
package report

// Package service decides who may do what and what it means: one method for each label, the limits, the error
// codes and the domain's types. It declares the two things it needs from below, Store and Router. It knows no
// bytes, no connection, no database and no clock but the one it is given.
package service

// Package server puts the services on the network: gnet's event loops, sessions, the hub that knows who is
// online, the limits and the ordered life of the process. It decides nothing about messages and knows no database.
package server

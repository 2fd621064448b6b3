package server

import (
	"net"
	"testing"
	"time"

	"go.uber.org/zap"
)

// What the tests of the admin endpoints reach.

// AdminConns is how many connections they have at once.
const AdminConns = maxAdminConns

// ImpatientAdmin shortens what clients of the admin endpoints may take, until the test ends. Call it before the
// server starts.
func ImpatientAdmin(t *testing.T, header, stall time.Duration) {
	oldHeader, oldStall := adminHeaderTime, adminStall
	adminHeaderTime, adminStall = header, stall
	t.Cleanup(func() { adminHeaderTime, adminStall = oldHeader, oldStall })
}

// NewAdminListener makes what the admin endpoints accept from.
func NewAdminListener(l net.Listener) net.Listener {
	return newAdminListener(l, zap.NewNop(), time.Minute)
}

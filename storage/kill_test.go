package storage_test

import (
	"testing"

	"github.com/msgserver/msgserver/storage/storetest"
)

func TestKill(t *testing.T)      { storetest.Kill(t, subject(small())) }
func TestKillTight(t *testing.T) { storetest.Kill(t, subject(tight())) }

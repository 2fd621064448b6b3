package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// A restore is made ready beside the database and then takes its place:
//
//	msgserver.db.restore   is written from the backup, checked, given an id of its own, and synced
//	restore-unfinished     is made: from here on nobody opens the directory. It says where the old files go
//	replaced-TIME/         takes the old files
//	msgserver.db.restore   becomes msgserver.db
//	restore-unfinished     is removed
//
// Each step is synced before the next. So after a power cut the old data are there, or the new data, or the mark.
const restoreMark = "restore-unfinished"

// allNames are the files of a database.
var allNames = []string{fileName, journalNames[0], journalNames[1]}

// Restore makes the database of a directory that of a backup. The backup is verified whole, and the database
// in it checked, before anything is replaced; what was there is kept in a directory beside, whose name is given
// ("" if there was nothing).
func Restore(dir string, r io.Reader, progress Progress) (kept string, err error) {
	return restore(dir, r, progress, os.Rename)
}

func restore(dir string, r io.Reader, progress Progress, rename renamer) (kept string, err error) {
	if err := makeDir(dir); err != nil {
		return "", err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return "", offlineError(err, "stop the server first")
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	fresh := filepath.Join(dir, fileName+".restore")
	if _, err := isFile(fresh); err != nil {
		return "", err
	}
	defer os.Remove(fresh)
	if err := writeSynced(fresh, func(f *os.File) error {
		_, err := unpackBackup(r, f)
		return err
	}); err != nil {
		return "", err
	}
	if _, err := checkFile(fresh, progress); err != nil {
		return "", fmt.Errorf("the backup is whole, but the database in it is not: %w", err)
	}
	if err := renew(fresh); err != nil {
		return "", fmt.Errorf("name the new database: %w", err)
	}
	return replace(dir, fresh, rename)
}

// renamer is os.Rename, or a test's that fails.
type renamer func(from, to string) error

// replace puts a database in the place of the one in dir.
func replace(dir, fresh string, rename renamer) (kept string, err error) {
	kept, err = placeAside(dir, allNames)
	if err != nil {
		return "", err
	}
	mark := filepath.Join(dir, restoreMark)
	err = writeSynced(mark, func(f *os.File) error {
		_, err := f.WriteString(filepath.Base(kept) + "\n")
		return err
	})
	if err = errors.Join(err, syncDir(dir)); err != nil {
		os.Remove(mark) // nothing has happened yet
		return "", err
	}
	err = setAside(dir, kept, allNames, rename)
	if err == nil {
		err = errors.Join(rename(fresh, filepath.Join(dir, fileName)), syncDir(dir))
	}
	if err != nil {
		return kept, fmt.Errorf("the restore is cut off, run it again: %w", err)
	}
	if _, err := os.Stat(kept); err != nil {
		kept = "" // there was nothing
	}
	return kept, errors.Join(os.Remove(mark), syncDir(dir))
}

// refuseUnfinished is an error if a restore into dir was cut off.
func refuseUnfinished(dir string) error {
	mark := filepath.Join(dir, restoreMark)
	if there, err := isFile(mark); !there {
		return err
	}
	where := "in " + dir
	if kept := markedAside(dir); kept != "" {
		where += " or " + kept
	}
	return fmt.Errorf("%s: a restore into this directory was cut off: run it again (what was there before is %s)", mark, where)
}

// markedAside is where the restore that was cut off put the old files, "" if there was none.
func markedAside(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, restoreMark))
	if name := strings.TrimSpace(string(b)); err == nil && name == filepath.Base(name) && strings.HasPrefix(name, "replaced-") {
		return filepath.Join(dir, name)
	}
	return ""
}

// placeAside is a directory for files that are replaced: that of the restore that was cut off, so that all of them
// come together, unless one of these names is taken there.
func placeAside(dir string, names []string) (string, error) {
	kept := markedAside(dir)
	for _, name := range names {
		if kept == "" {
			break
		}
		if there, err := exists(filepath.Join(dir, name)); err != nil || !there {
			if err != nil {
				return "", err
			}
			continue
		}
		if taken, err := exists(filepath.Join(kept, name)); err != nil || taken {
			kept = ""
		}
	}
	if kept == "" {
		kept = filepath.Join(dir, "replaced-"+time.Now().UTC().Format("20060102T150405.000"))
	}
	return kept, nil
}

// setAside moves those of the files that there are into a directory of their own, which it makes if there are any.
func setAside(dir, kept string, names []string, rename renamer) error {
	made := false
	for _, name := range names {
		from := filepath.Join(dir, name)
		if there, err := exists(from); err != nil {
			return err
		} else if !there {
			continue
		}
		if !made {
			if err := makeDir(kept); err != nil {
				return err
			}
			made = true
		}
		if err := rename(from, filepath.Join(kept, name)); err != nil {
			return err
		}
	}
	if !made {
		return nil
	}
	return errors.Join(syncDir(kept), syncDir(dir))
}

// exists reports whether there is anything at path, also a link to nothing.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// renew gives a database another id: what clients know of the one that it replaces does not hold for it. It has no
// journal then.
func renew(path string) error {
	b, err := openGuarded(path, bbolt.Options{Timeout: boltLock, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	if err := guarded(path, func() error { return b.Update(putID) }); err != nil {
		return err // and b may never close after a panic; the process ends soon
	}
	return b.Close()
}

// writeSynced makes a file and syncs it.
func writeSynced(path string, fill func(*os.File) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

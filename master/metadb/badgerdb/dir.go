package badgerdb

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Names in the directory that are ours, beside Badger's.
const (
	lockName   = "tdkvs.lock"
	formatName = "FORMAT"
)

// valueLogSuffix ends the name of a value log.
const valueLogSuffix = ".vlog"

// formatLine is the one line of the FORMAT file: what the directory holds, and
// the version of the layout. A store of a later version is refused.
const (
	formatPrefix  = "tdkvs metadata badger "
	formatVersion = 1
)

// lockDir takes the directory for this process. The lock ends with the file.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return flock(f, dir)
}

// checkFormat reads the FORMAT file, or writes it in a directory that holds no
// store yet.
func checkFormat(dir string) error {
	name := filepath.Join(dir, formatName)
	b, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(dir, "MANIFEST")); err == nil {
			return fmt.Errorf("%s holds a Badger database that is not a tdkvs metadata store (no %s file)", dir, formatName)
		}
		return writeFile(name, fmt.Appendf(nil, "%s%d\n", formatPrefix, formatVersion))
	case err != nil:
		return err
	}
	line := strings.TrimSuffix(string(b), "\n")
	var version int
	if n, err := fmt.Sscanf(line, formatPrefix+"%d", &version); n != 1 || err != nil || line != fmt.Sprint(formatPrefix, version) {
		return fmt.Errorf("%s: unknown format %q", name, line)
	}
	if version > formatVersion {
		return fmt.Errorf("%s: the store has format %d, made by a later release; this one knows up to %d", name, version, formatVersion)
	}
	return nil
}

// writeFile makes a small file durable under its name: written and synced beside
// it, renamed, and the directory synced.
func writeFile(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone after the rename
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// removeUnmade removes logs of no length, which Badger refuses to open. A process
// killed while Badger was making one leaves it so, and one killed while Badger
// was removing one: it is cut to nothing first, when the tables hold all of it.
func removeUnmade(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	removed := false
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != logSuffix && ext != valueLogSuffix {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() > 0 {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
		removed = true
	}
	if removed {
		return syncDir(dir)
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// logs returns the names of the memtable logs, the oldest first. Badger numbers them
// upward, with at least five digits.
func logs(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, logSuffix) })
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	return names, nil
}

// madeLogs is logs without those of no length: such a one lies ready, was never made,
// or is being removed.
func madeLogs(dir string) ([]string, error) {
	names, err := logs(dir)
	if err != nil {
		return nil, err
	}
	made := names[:0]
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist): // Badger has done with it meanwhile
		case err != nil:
			return nil, err
		case info.Size() > 0:
			made = append(made, name)
		}
	}
	return made, nil
}

// newest returns the last of some logs, empty where there are none.
func newest(logs []string, err error) (string, error) {
	if err != nil || len(logs) == 0 {
		return "", err
	}
	return logs[len(logs)-1], nil
}

// logAfter returns the name of the log that Badger makes after one.
func logAfter(name string) (string, error) {
	var number int
	if _, err := fmt.Sscanf(name, "%d"+logSuffix, &number); err != nil {
		return "", fmt.Errorf("log %q: %w", name, err)
	}
	return fmt.Sprintf("%05d%s", number+1, logSuffix), nil
}

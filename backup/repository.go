package backup

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	backupsDir   = "backups/"
	manifestFile = "manifest"
	tableFile    = "packs"
	maxDocument  = 64 << 20
	maxTable     = 1 << 30
)

func backupFile(id, name string) string { return path.Join("backups", id, name) }
func rowsFile(id string, n int) string  { return backupFile(id, fmt.Sprintf("rows-%06d", n)) }

// newBackupID names a backup: ids are in the order of their times.
func newBackupID(at time.Time) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	return at.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(b[:])
}

// validID reports whether an id can be one: it becomes part of names.
func validID(id string) bool {
	at, suffix, ok := strings.Cut(id, "-")
	_, err := time.Parse("20060102T150405Z", at)
	_, hexErr := hex.DecodeString(suffix)
	return ok && err == nil && hexErr == nil && len(suffix) == 8
}

// openPlace reads the mark of a place.
func openPlace(ctx context.Context, p Place) error {
	b, err := p.Get(ctx, markName, maxDocument)
	if absent(err) {
		return fmt.Errorf("%w: %s", ErrNotBackup, p)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	return checkMark(p, b)
}

func checkMark(p Place, b []byte) error {
	var m mark
	if err := openDocument(b, &m); err != nil {
		return fmt.Errorf("%s: %s: %w", p, markName, err)
	}
	if m.Kind != markKind {
		return fmt.Errorf("%w: %s", ErrNotBackup, p)
	}
	return nil
}

// beginPlace opens a place, or makes one of a place where nothing is.
func beginPlace(ctx context.Context, p Place, now time.Time) error {
	b, err := p.Get(ctx, markName, maxDocument)
	if err == nil {
		return checkMark(p, b)
	}
	if !absent(err) {
		return fmt.Errorf("%s: %w", p, err)
	}
	var other string
	if err := p.List(ctx, "", func(e Entry) error { other = e.Name; return nil }); err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	if other != "" {
		return fmt.Errorf("%w: %s holds something else, such as %q: name an empty place, or one of backups", ErrNotBackup, p, other)
	}
	if b, err = sealDocument(mark{Format: Format, Kind: markKind, Created: now.UTC()}); err != nil {
		return err
	}
	return p.Put(ctx, markName, b)
}

// List returns the backups in a place, the oldest first. Those that were never
// finished are not among them. bad says which can not be read.
func List(ctx context.Context, p Place) (all []Manifest, bad []error, err error) {
	if err := openPlace(ctx, p); err != nil {
		return nil, nil, err
	}
	whole, _, err := scanBackups(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range whole {
		m, err := readManifest(ctx, p, id)
		switch {
		case err == nil:
			all = append(all, m)
		case IsBad(err):
			bad = append(bad, err)
		default:
			return nil, nil, err
		}
	}
	return all, bad, nil
}

// scanBackups lists the ids of the backups that have a manifest, the oldest first,
// and the files of those that have none.
func scanBackups(ctx context.Context, p Place) (whole []string, rest []string, err error) {
	files := make(map[string][]string)
	err = p.List(ctx, backupsDir, func(e Entry) error {
		id, file, _ := strings.Cut(strings.TrimPrefix(e.Name, backupsDir), "/")
		if !validID(id) {
			return nil
		}
		files[id] = append(files[id], e.Name)
		if file == manifestFile {
			whole = append(whole, id)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", p, err)
	}
	for _, id := range whole {
		delete(files, id)
	}
	for _, names := range files {
		rest = append(rest, names...)
	}
	slices.Sort(whole)
	slices.Sort(rest)
	return whole, rest, nil
}

// readManifest reads what a backup says of itself.
func readManifest(ctx context.Context, p Place, id string) (m Manifest, err error) {
	if !validID(id) {
		return m, fmt.Errorf("%w: %q is no id of one", ErrNoBackup, id)
	}
	b, err := p.Get(ctx, backupFile(id, manifestFile), maxDocument)
	if absent(err) {
		return m, fmt.Errorf("%w: %s in %s", ErrNoBackup, id, p)
	}
	if err != nil {
		return m, err
	}
	if err := openDocument(b, &m); err != nil {
		return m, fmt.Errorf("backup %s: manifest: %w", id, err)
	}
	if m.ID != id {
		return m, damaged("the manifest of backup %s is in the place of that of %s", m.ID, id)
	}
	return m, nil
}

// readSummed reads a file of a backup of which the manifest has the sum.
func readSummed(ctx context.Context, p Place, name string, sum Sum) ([]byte, error) {
	if sum.Size < 0 || sum.Size > maxTable {
		return nil, damaged("%s of %d bytes", name, sum.Size)
	}
	b, err := p.Get(ctx, name, sum.Size)
	if absent(err) {
		return nil, fmt.Errorf("%w: %s in %s", ErrMissing, name, p)
	}
	if err != nil {
		return nil, err
	}
	if sumOf(b) != sum {
		return nil, damaged("%s is not what the manifest says", name)
	}
	return b, nil
}

func sumOf(b []byte) Sum {
	sum := sha256.Sum256(b)
	return Sum{Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}
}

// readTable reads the list of packs of a backup.
func readTable(ctx context.Context, p Place, m *Manifest) ([]packRef, error) {
	b, err := readSummed(ctx, p, backupFile(m.ID, tableFile), m.Packs)
	if err != nil {
		return nil, err
	}
	table, err := openTable(b)
	if err != nil {
		return nil, fmt.Errorf("backup %s: %w", m.ID, err)
	}
	return table, nil
}

// rowScan reads the rows of a backup in their order.
type rowScan struct {
	place    Place
	manifest *Manifest
	codec    *rowsCodec
	part     int // that is read, from 1
	rows     *rowReader
	read     uint64
}

func newRowScan(p Place, m *Manifest) (*rowScan, error) {
	codec, err := newRowsCodec()
	return &rowScan{place: p, manifest: m, codec: codec, rows: &rowReader{}}, err
}

// next returns the next row, and false behind the last. Its slices are valid until
// the next part is read: as long as the caller keeps them, for it is not overwritten.
func (s *rowScan) next(ctx context.Context) (Row, bool, error) {
	for len(s.rows.b) == 0 {
		if s.part == len(s.manifest.RowFiles) {
			if s.read != s.manifest.Rows {
				return Row{}, false, damaged("backup %s has %d rows, and says %d", s.manifest.ID, s.read, s.manifest.Rows)
			}
			return Row{}, false, nil
		}
		s.part++
		b, err := readSummed(ctx, s.place, rowsFile(s.manifest.ID, s.part), s.manifest.RowFiles[s.part-1])
		if err != nil {
			return Row{}, false, err
		}
		if s.rows, err = s.codec.open(b, s.part); err != nil {
			return Row{}, false, fmt.Errorf("backup %s: %w", s.manifest.ID, err)
		}
	}
	s.read++
	r, err := s.rows.backedUp()
	if err != nil {
		err = fmt.Errorf("backup %s, part %d of the rows: %w", s.manifest.ID, s.part, err)
	}
	return r, err == nil, err
}

// eachRow calls fn with each row of a backup, in order.
func eachRow(ctx context.Context, p Place, m *Manifest, fn func(*Row) error) error {
	scan, err := newRowScan(p, m)
	if err != nil {
		return err
	}
	for {
		r, more, err := scan.next(ctx)
		if err != nil || !more {
			return err
		}
		if err := fn(&r); err != nil {
			return err
		}
	}
}

// pick returns the backup of an id, or the newest one.
func pick(ctx context.Context, p Place, id string) (Manifest, error) {
	if err := openPlace(ctx, p); err != nil {
		return Manifest{}, err
	}
	if id == "" {
		whole, _, err := scanBackups(ctx, p)
		if err != nil {
			return Manifest{}, err
		}
		if len(whole) == 0 {
			return Manifest{}, fmt.Errorf("%w: none in %s was finished", ErrNoBackup, p)
		}
		id = whole[len(whole)-1]
	}
	return readManifest(ctx, p, id)
}

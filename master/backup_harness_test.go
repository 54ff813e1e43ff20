package master_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
)

// savedRow is a row of a backup with its bodies.
type savedRow struct {
	key, value string
	ids        [][16]byte
	bodies     []string
}

// saved is a backup in memory.
type saved struct {
	id   string
	rows []savedRow
}

// beginBackup holds what the store has.
func (s *store) beginBackup() string {
	s.t.Helper()
	b, err := s.BeginBackup(0)
	if err != nil {
		s.t.Fatal(err)
	}
	return b.ID
}

// readRows reads the rows of a backup that was begun, without their bodies.
func (s *store) readRows(id string) []master.BackupRow {
	s.t.Helper()
	var rows []master.BackupRow
	err := s.BackupRows(bg, id, func(r master.BackupRow) error {
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// readBodies reads the bodies of rows.
func (s *store) readBodies(id string, rows []master.BackupRow) (saved, error) {
	all := saved{id: id}
	for _, r := range rows {
		x := savedRow{key: string(r.Key), value: string(r.Value)}
		for _, b := range r.Bodies {
			body, err := s.backupBody(id, b)
			if err != nil {
				return all, fmt.Errorf("%q: %w", r.Key, err)
			}
			x.ids, x.bodies = append(x.ids, b.ID), append(x.bodies, body)
		}
		all.rows = append(all.rows, x)
	}
	return all, nil
}

func (s *store) backupBody(id string, b master.BackupBody) (string, error) {
	r, err := s.BackupBody(bg, id, b.Handle, 0, b.Size)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(r)
	return string(body), errors.Join(err, r.Close())
}

// backUp makes a backup.
func (s *store) backUp() saved {
	s.t.Helper()
	id := s.beginBackup()
	b, err := s.readBodies(id, s.readRows(id))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.EndBackup(id); err != nil {
		s.t.Fatal(err)
	}
	return b
}

// savedSource gives a backup to Restore.
type savedSource struct {
	saved
	next int
	stop int // the row before which it breaks off; 0: it does not
}

var errStopped = errors.New("stopped")

func (s *savedSource) Backup() string { return s.id }

func (s *savedSource) Next(context.Context) (master.RestoreRow, error) {
	if s.stop > 0 && s.next == s.stop {
		return master.RestoreRow{}, errStopped
	}
	if s.next == len(s.rows) {
		return master.RestoreRow{}, io.EOF
	}
	x := s.rows[s.next]
	s.next++
	r := master.RestoreRow{Key: []byte(x.key), Value: []byte(x.value)}
	for _, body := range x.bodies {
		r.Bodies = append(r.Bodies, master.RestoreBody{Size: int64(len(body)), Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(body)), nil
		}})
	}
	return r, nil
}

// newRestored returns a new store that is open for a restore.
func newRestored(t *testing.T, volumes int, change func(*master.Config)) *store {
	t.Helper()
	s := newBareStore(t, volumes)
	cfg := s.config()
	cfg.Restore = true
	if change != nil {
		change(&cfg)
	}
	s.openWith(cfg)
	return s
}

func (s *store) restore(b saved) master.RestoreProgress {
	s.t.Helper()
	p, err := s.Restore(bg, &savedSource{saved: b}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// wantSameBackup wants two backups to be of the same content. How the parts of a version
// are cut into chunks is not content.
func wantSameBackup(t *testing.T, got, want saved) {
	t.Helper()
	g, w := got.rows, want.rows
	if len(g) != len(w) {
		t.Errorf("%d rows, want %d", len(g), len(w))
	}
	for i := range min(len(g), len(w)) {
		if g[i].key != w[i].key || g[i].value != w[i].value || !slices.Equal(g[i].bodies, w[i].bodies) {
			t.Errorf("row %d is %q\n%q, %d bodies; want %q\n%q, %d bodies", i, g[i].key, g[i].value, len(g[i].bodies), w[i].key, w[i].value, len(w[i].bodies))
		}
	}
}

// fillAll gives the store something of every kind that a client can see.
func (s *store) fillAll() {
	s.t.Helper()
	s.put("empty", "")
	s.put("plain", "a body")
	s.put("\xff\x00 odd/../key", strings.Repeat("odd", 50_000))
	s.assemble("assembled", []string{strings.Repeat("1", 70_000), strings.Repeat("2", 5), ""})
	s.lockBucket(meta.BucketLock{})
	s.put("plain", "a second version")
	s.put("gone", "behind a delete marker")
	s.remove("gone")
	s.assemble("assembled", []string{"another", "one"})
	s.putLocked("kept", "locked", meta.Lock{Retention: s.within(meta.Compliance, time.Hour), LegalHold: meta.LegalHoldOn})
	tagged := meta.Attributes{
		Headers: meta.Headers{ContentType: "text/x", CacheControl: "no-store", StorageClass: coldClass}, UserMeta: map[string]string{"k": "v"}, Tags: map[string]string{"t": "u"},
	}
	body := strings.Repeat("cold", 40_000)
	if _, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: "tagged", Owner: "me", Size: int64(len(body)), Attributes: tagged}, newPayload(body)); err != nil {
		s.t.Fatal(err)
	}
	up := s.createUpload("in progress")
	s.putPart(up, 1, "first")
	s.putPart(up, 7, strings.Repeat("seventh", 20_000))
	s.createUpload("in progress, without a part")
	s.createBucket("second")
	if err := s.SetBucketConfig(bg, "second", "cors", []byte("<cors/>")); err != nil {
		s.t.Fatal(err)
	}
	for i := range 130 {
		s.put(fmt.Sprintf("many/%03d", i), fmt.Sprint("body ", i))
	}
}

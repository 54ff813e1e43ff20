package master_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

// TestBackupAndRestore: what a backup holds comes back the same into stores of
// any shape.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	from := newShards(t, 5, meta.Code{Data: 2, Parity: 1})
	from.fillAll()
	want := from.backUp()
	wantSameBackup(t, from.backUp(), want)
	shapes := map[string]struct {
		volumes int
		change  func(*master.Config)
	}{
		"one volume":   {1, nil},
		"three copies": {4, func(c *master.Config) { c.Replicas = 3 }},
		"coded": {6, func(c *master.Config) {
			c.Classes = map[string]master.Class{coldClass: {Code: meta.Code{Data: 4, Parity: 2}, MinSize: 1}}
		}},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			to := newRestored(t, shape.volumes, shape.change)
			t.Cleanup(to.check)
			p := to.restore(want)
			if p.Rows != uint64(len(want.rows)) || p.Resumed || p.Objects == 0 || p.Bytes == 0 {
				t.Errorf("progress is %+v, of %d rows", p, len(want.rows))
			}
			wantSameBackup(t, to.backUp(), want)
			if _, err := to.tryRead("plain"); err != nil {
				t.Error(err)
			}
			up := meta.Upload{Bucket: bucket, Key: "in progress"}
			for _, r := range want.rows {
				if strings.HasPrefix(r.key, "u") && strings.Contains(r.key, "in progress\x00") {
					up.UploadID = r.key[strings.LastIndexByte(r.key, 1)+1:]
				}
			}
			to.putPart(up, 7, "replaced")
			to.complete(up)
			to.wantBody("in progress", "firstreplaced")
		})
	}
}

// TestRestoreCutShort: a restore that is cut short at any row goes on, and until
// then the store does not start.
func TestRestoreCutShort(t *testing.T) {
	t.Parallel()
	from := newShards(t, 3, meta.Code{Data: 2, Parity: 1})
	from.fillAll()
	want := from.backUp()
	for stop := 1; stop < len(want.rows); stop++ {
		if stop > 20 && stop%17 != 0 && stop < len(want.rows)-20 {
			continue // one of the many
		}
		to := newRestored(t, 2, nil)
		if _, err := to.Restore(bg, &savedSource{saved: want, stop: stop}, nil); !errors.Is(err, errStopped) {
			t.Fatalf("stopped at %d: %v", stop, err)
		}
		_, err := master.Open(bg, to.config())
		if unfinished := (*master.RestoreUnfinished)(nil); !errors.As(err, &unfinished) || unfinished.Backup != want.id {
			t.Fatalf("a start before the end: %v", err)
		}
		other := want
		other.id = "another"
		if _, err := to.Restore(bg, &savedSource{saved: other}, nil); err == nil {
			t.Fatal("another backup was restored behind the first")
		}
		cfg := to.config()
		cfg.Restore = true
		to.openWith(cfg)
		to.restore(want)
		to.open()
		wantSameBackup(t, to.backUp(), want)
		to.check()
	}
}

// TestRestoreRefused: a restore takes an empty store and rows that can be right.
func TestRestoreRefused(t *testing.T) {
	t.Parallel()
	full := newStore(t)
	if _, err := full.Restore(bg, &savedSource{saved: saved{id: "b"}}, nil); !errors.Is(err, master.ErrNotEmpty) {
		t.Errorf("into a store with a bucket: %v", err)
	}
	from := newStore(t)
	from.put("k", "body")
	from.assemble("parts", []string{"1", "2"})
	good := from.backUp()
	at := func(tag byte) int {
		return slices.IndexFunc(good.rows, func(r savedRow) bool { return r.key[0] == tag })
	}
	for name, spoil := range map[string]func(b *saved){
		"no bucket":          func(b *saved) { b.rows = b.rows[1:] },
		"no key":             func(b *saved) { b.rows[0].key = "" },
		"a row of the store": func(b *saved) { b.rows[0].key = "t" },
		"a bad value":        func(b *saved) { b.rows[at('o')].value = "\x01\xff" },
		"a newer value":      func(b *saved) { b.rows[at('o')].value = "\x07" },
		"a missing body":     func(b *saved) { b.rows[at('o')].bodies = nil },
		"another body":       func(b *saved) { b.rows[at('o')].bodies = []string{"body and more"} },
		"a body too many":    func(b *saved) { b.rows[0].bodies = []string{"body"} },
		"no manifest":        func(b *saved) { b.rows = slices.Delete(b.rows, at('m'), at('m')+1) },
		"ends in a manifest": func(b *saved) { b.rows = b.rows[:at('m')] },
		"manifest alone":     func(b *saved) { b.rows = slices.Delete(b.rows, at('m')-1, at('m')) },
	} {
		to := newRestored(t, 1, nil)
		b := saved{id: "b", rows: slices.Clone(good.rows)}
		spoil(&b)
		if p, err := to.Restore(bg, &savedSource{saved: b}, nil); err == nil {
			t.Errorf("%s: restored: %+v", name, p)
		}
	}
}

// TestBackupIsOneMoment: what changes while a backup is read is in it as it was,
// and nothing of it is removed before the backup has ended.
func TestBackupIsOneMoment(t *testing.T) {
	t.Parallel()
	s := newCopies(t, 3, 2)
	s.put("overwritten", "as it was")
	s.put("deleted", "still there")
	s.assemble("assembled", []string{"part 1", "part 2"})
	up := s.createUpload("upload")
	s.putPart(up, 1, "part as it was")
	aborted := s.createUpload("aborted")
	s.putPart(aborted, 1, "of an upload that is aborted")
	id := s.beginBackup()
	rows := s.readRows(id)
	s.put("overwritten", "as it is now")
	s.put("new", "not in it")
	s.remove("deleted", "assembled")
	s.putPart(up, 1, "another part")
	if err := s.AbortUpload(bg, bucket, "aborted", aborted.UploadID); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		s.clock.advance(master.DefaultGarbageGrace / 2)
		s.collect()
		if _, err := s.backupBody(id, rows[len(rows)-2].Bodies[0]); err != nil { // keeps it up
			t.Fatal(err)
		}
	}
	b, err := s.readBodies(id, rows)
	if err != nil {
		t.Fatal(err)
	}
	var bodies []string
	for _, r := range b.rows {
		bodies = append(bodies, r.bodies...)
	}
	slices.Sort(bodies)
	want := []string{"as it was", "of an upload that is aborted", "part 1", "part 2", "part as it was", "still there"}
	if !slices.Equal(bodies, want) {
		t.Errorf("bodies %q, want %q", bodies, want)
	}
	if all := s.Backups(); len(all) != 1 || all[0].ID != id || all[0].Rows != uint64(len(rows)) || all[0].Bytes == 0 {
		t.Errorf("under way: %+v", all)
	}
	before := s.blobs()
	if _, err := s.EndBackup(id); err != nil {
		t.Fatal(err)
	}
	s.collect()
	if s.blobs() >= before {
		t.Error("nothing was removed after the end of the backup")
	}
}

// TestBackupKeepsIDs: the bodies of a version have the same ids wherever they lie
// and whatever becomes of the version; others have others.
func TestBackupKeepsIDs(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 2)
	s.open()
	s.createBucket(bucket)
	t.Cleanup(s.check)
	s.versioning(meta.VersioningEnabled)
	s.put("k", "first")
	up := s.createUpload("parts")
	s.putPart(up, 1, "part")
	ids := func() map[string][16]byte {
		all := map[string][16]byte{}
		for _, r := range s.backUp().rows {
			for i, id := range r.ids {
				all[r.bodies[i]] = id
			}
		}
		return all
	}
	before := ids()
	s.put("k", "second")
	s.complete(up)
	s.replicas(2)
	after := ids()
	for _, body := range []string{"first", "part"} {
		if before[body] == ([16]byte{}) || before[body] != after[body] {
			t.Errorf("%q: %x before, %x after", body, before[body], after[body])
		}
	}
	if after["second"] == after["first"] || after["second"] == after["part"] {
		t.Errorf("one id for two: %x", after)
	}
}

// TestBackupFailsLoudly: a backup that can not read a body, or has lost its hold,
// fails.
func TestBackupFailsLoudly(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("stays", "stays")
	o := s.put("vanishes", "vanishes")
	id := s.beginBackup()
	rows := s.readRows(id)
	piece := o.Extents[0].Pieces[0]
	var v *testVolume
	for _, bound := range s.Topology().Volumes {
		if bound.Number == piece.Volume {
			v = s.byUUID(bound.UUID)
		}
	}
	if err := v.Blobs.Delete(bg, []volume.BlobID{volume.BlobID(piece.Blob)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.readBodies(id, rows); err == nil || !strings.Contains(err.Error(), "vanishes") {
		t.Errorf("a blob was gone: %v", err)
	}
	gone := (*master.BackupGone)(nil)
	s.clock.advance(master.BackupPatience + time.Second)
	if _, err := s.readBodies(id, rows); !errors.As(err, &gone) {
		t.Errorf("after a pause: %v", err)
	}
	if err := s.BackupRows(bg, id, func(master.BackupRow) error { return nil }); !errors.As(err, &gone) {
		t.Errorf("rows after a pause: %v", err)
	}
	if _, err := s.EndBackup(id); !errors.As(err, &gone) {
		t.Errorf("end after a pause: %v", err)
	}
	s.remove("vanishes")
}

// TestBackupHolds: how many holds there may be, and for how long.
func TestBackupHolds(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, limit := range []time.Duration{-1, master.MaxBackupFor + 1} {
		if b, err := s.BeginBackup(limit); err == nil {
			t.Errorf("for %v: %+v", limit, b)
		}
	}
	b, err := s.BeginBackup(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for range 12 { // it is used all the time, and ends all the same
		s.clock.advance(master.BackupPatience / 2)
		s.readRows(b.ID)
	}
	s.clock.advance(time.Minute)
	if err := s.BackupRows(bg, b.ID, func(master.BackupRow) error { return nil }); err == nil {
		t.Error("a hold outlives its limit")
	}
	var all []string
	for range 8 {
		all = append(all, s.beginBackup())
	}
	if b, err := s.BeginBackup(0); err == nil {
		t.Errorf("a ninth: %+v", b)
	}
	// One that ends while its rows are read fails, however far it was.
	err = s.BackupRows(bg, all[0], func(master.BackupRow) error { s.clock.advance(master.DefaultBackupFor + 1); return nil })
	if gone := (*master.BackupGone)(nil); !errors.As(err, &gone) {
		t.Errorf("the hold ended amid the rows: %v", err)
	}
	if n := len(s.Backups()); n != 0 {
		t.Errorf("%d backups are under way", n)
	}
}

// TestBackupHandles: what is no handle is refused.
func TestBackupHandles(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "body")
	id := s.beginBackup()
	rows := s.readRows(id)
	handle := rows[len(rows)-1].Bodies[0].Handle
	for n := range handle {
		if r, err := s.BackupBody(bg, id, handle[:n], 0, 4); err == nil {
			_ = r.Close()
			t.Errorf("cut at %d: opened", n)
		}
	}
	for _, span := range [][2]int64{{-1, 1}, {0, 5}, {5, 0}, {2, 3}, {0, -1}} {
		if r, err := s.BackupBody(bg, id, handle, span[0], span[1]); err == nil {
			_ = r.Close()
			t.Errorf("%v: opened", span)
		}
	}
	if _, err := s.EndBackup(id); err != nil {
		t.Fatal(err)
	}
}

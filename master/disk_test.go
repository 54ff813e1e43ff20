package master_test

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb/badgerdb"
	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// onDisk puts the store on disk, as a process does: metadata in Badger, volumes
// in directories. It returns a function that closes all of it.
func (s *store) onDisk(dir string) func() {
	s.t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	db, err := badgerdb.Open(filepath.Join(dir, "meta"), badgerdb.Options{Logger: quiet, Reserve: 1})
	if err != nil {
		s.t.Fatal(err)
	}
	closers := []io.Closer{db}
	s.db = newTestDB(db)
	s.volumes = nil
	for i := range 2 {
		name := filepath.Join(dir, fmt.Sprint("volume", i))
		v, err := volume.Open(volume.Config{FS: vfs.OS(), Dir: name, Logger: quiet, Reserve: -1})
		if err != nil {
			s.t.Fatal(err)
		}
		closers = append(closers, v)
		s.volumes = append(s.volumes, &testVolume{Blobs: v, name: name})
	}
	s.open()
	return func() {
		s.t.Helper()
		for _, c := range closers {
			if err := c.Close(); err != nil {
				s.t.Error(err)
			}
		}
	}
}

// The engine over the real stores: what was acknowledged is there after a
// restart, and garbage leaves exactly the live blobs.
func TestOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &store{t: t, clock: newClock(), log: &lockedBuffer{}}
	closeAll := s.onDisk(dir)
	s.createBucket(bucket)
	want := map[string]string{}
	var mu sync.Mutex
	keep := func(key, body string) {
		mu.Lock()
		defer mu.Unlock()
		want[key] = body
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 20 {
				key := fmt.Sprintf("%d/%d", w, i)
				s.put(key, "first")
				body := strings.Repeat(key, 1+i*37)
				s.put(key, body)
				keep(key, body)
			}
		})
	}
	wg.Wait()
	long := randomBody(3 << 20)
	s.put("long", long)
	keep("long", long)
	s.assemble("parts", []string{long[:1<<20], long[1<<20 : 1<<20+7], long[1<<20+7:]})
	keep("parts", long)
	s.remove("0/0", "1/1")
	delete(want, "0/0")
	delete(want, "1/1")
	open := s.createUpload("open")
	s.putPart(open, 7, "seven")
	verify := func() {
		t.Helper()
		for key, body := range want {
			s.wantBody(key, body)
		}
		_, err := s.Object(bg, bucket, "0/0", "")
		wantKind(t, err, meta.KindNoSuchKey)
		page, err := s.ListObjects(bg, meta.ListRequest{Bucket: bucket, Limit: 1000})
		if err != nil || len(page.Objects) != len(want) {
			t.Fatalf("%d objects are listed, %v, want %d", len(page.Objects), err, len(want))
		}
		_, parts, err := s.UploadParts(bg, bucket, "open", open.UploadID, 0, 0)
		if err != nil || len(parts) != 1 || parts[0].ETag != etag("seven") {
			t.Fatalf("the upload in progress has parts %+v, %v", parts, err)
		}
	}
	verify()
	closeAll()
	closeAll = s.onDisk(dir)
	verify()
	s.clock.advance(time.Hour)
	s.collect()
	verify()
	s.check()
	closeAll()
}

package master_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

func TestGrace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "1")
	s.put("k", "2")
	s.remove("k")
	s.collect()
	if s.blobs() != 2 {
		t.Fatalf("%d blobs within the grace", s.blobs())
	}
	s.clock.advance(master.DefaultGarbageGrace - time.Millisecond)
	s.collect()
	if s.blobs() != 2 {
		t.Fatalf("%d blobs within the grace", s.blobs())
	}
	s.clock.advance(time.Millisecond)
	s.collect()
	if s.blobs() != 0 || s.count('g') != 0 {
		t.Fatalf("%d blobs, %d entries after the grace", s.blobs(), s.count('g'))
	}
	st := s.Stats().Garbage
	if st.Entries != 2 || st.Blobs != 2 || st.Failures != 0 {
		t.Errorf("counters are %+v", st)
	}
}

// A reader keeps its version whole for as long as it takes, one piece or many
// parts, and whatever happens to the key; then the blobs go.
func TestReadersPinTheirVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		put  func(*store) string
	}{
		{"one piece", func(s *store) string { s.put("k", "body"); return "body" }},
		{"parts", func(s *store) string { s.assemble("k", []string{"aa", "bb", "cc", "dd"}); return "aabbccdd" }},
	} {
		for how, end := range map[string]func(*store){
			"deleted":     func(s *store) { s.remove("k") },
			"overwritten": func(s *store) { s.put("k", "new") },
			"replaced":    func(s *store) { s.assemble("k", []string{"n", "ew"}) },
		} {
			t.Run(c.name+" "+how, func(t *testing.T) {
				t.Parallel()
				s := newStore(t)
				want := c.put(s)
				r, err := s.OpenObject(bg, bucket, "k", "")
				if err != nil {
					t.Fatal(err)
				}
				early, err := r.Range(bg, 0, int64(len(want)))
				if err != nil {
					t.Fatal(err)
				}
				first := make([]byte, 1)
				if _, err := early.Read(first); err != nil {
					t.Fatal(err)
				}
				end(s)
				for range 3 {
					s.clock.advance(time.Hour)
					s.collect()
				}
				if got, err := readAll(r); err != nil || got != want {
					t.Fatalf("read %q, %v", got, err)
				}
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
				s.clock.advance(time.Hour)
				s.collect()
				// The range that is still open keeps it, too.
				rest := make([]byte, len(want))
				n := 0
				for n < len(want)-1 {
					m, err := early.Read(rest[n:])
					if err != nil {
						t.Fatal(err)
					}
					n += m
				}
				if got := string(first) + string(rest[:n]); got != want {
					t.Fatalf("read %q", got)
				}
				if err := early.Close(); err != nil {
					t.Fatal(err)
				}
				s.clock.advance(time.Hour)
				s.collect()
				live := map[string]int{"deleted": 0, "overwritten": 1, "replaced": 2}[how]
				if s.blobs() != live {
					t.Errorf("%d blobs once the reader is gone, want %d", s.blobs(), live)
				}
			})
		}
	}
}

// A reader that has read the record and not yet set its pin is waited for.
func TestReaderAboutToPin(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "old")
	reading, release := make(chan struct{}), make(chan struct{})
	pause := func() {
		s.db.viewed.Store(nil)
		close(reading)
		<-release
	}
	s.db.viewed.Store(&pause)
	type result struct {
		body string
		err  error
	}
	read := make(chan result)
	go func() {
		r, err := s.OpenObject(bg, bucket, "k", "")
		if err != nil {
			read <- result{"", err}
			return
		}
		<-release
		body, err := readAll(r)
		read <- result{body, errors.Join(err, r.Close())}
	}()
	<-reading
	s.put("k", "new")
	s.clock.advance(time.Hour)
	collected := make(chan error)
	go func() { collected <- s.CollectGarbage(bg) }()
	select {
	case err := <-collected:
		t.Errorf("collected while a reader was about to pin: %v", err)
	case <-time.After(50 * time.Millisecond): // the worker has come to wait, or will
		close(release)
		if err := <-collected; err != nil {
			t.Error(err)
		}
		if r := <-read; r.err != nil || r.body != "old" {
			t.Errorf("read %q, %v", r.body, r.err)
		}
	}
}

// A volume that is down holds up its own garbage only, and gets it when it is
// back; it is not asked for every entry.
func TestVolumeDownDuringCollection(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var keys []string
	for i := range 300 {
		k := fmt.Sprint(i)
		s.put(k, "x")
		keys = append(keys, k)
	}
	s.assemble("parts", []string{"a", "b", "c", "d", "e", "f"})
	for _, k := range keys {
		s.put(k, "y") // one entry each
	}
	s.remove("parts")
	down := s.volumes[1]
	live := len(keys)
	before := len(down.ids(t))
	down.down.Store(true)
	s.clock.advance(time.Hour)
	s.collect()
	onOthers := len(s.volumes[0].ids(t)) + len(s.volumes[2].ids(t))
	if onOthers >= live {
		t.Errorf("%d blobs on the volumes that are up: their garbage was held up", onOthers)
	}
	if n := len(down.ids(t)); n != before {
		t.Errorf("%d of %d blobs on the volume that is down", n, before)
	}
	if n := down.deletes.Load(); n > 3 {
		t.Errorf("the volume that is down was asked %d times", n)
	}
	if st := s.Stats().Garbage; st.Failures == 0 || !strings.Contains(st.LastError, "volume 2") || st.Postponed == 0 {
		t.Errorf("counters are %+v", st)
	}
	asked := down.deletes.Load()
	for range 30 { // the pauses grow
		s.clock.advance(10 * time.Second)
		s.collect()
	}
	if n := down.deletes.Load() - asked; n < 2 || n > 8 {
		t.Errorf("asked %d times in 5 minutes", n)
	}
	down.down.Store(false)
	s.clock.advance(10 * time.Minute)
	s.collect()
	if s.blobs() != live || s.count('g') != 1 { // the marker of the completed upload
		t.Errorf("%d blobs, want %d; %d entries are left", s.blobs(), live, s.count('g'))
	}
}

// Collection cut off at any commit, before it takes effect or after, goes on
// after a restart and ends in the same state.
func TestCollectionResumes(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		s := newStore(t)
		for i := range 120 {
			s.put(fmt.Sprint(i), "x")
		}
		for i := range 60 {
			s.put(fmt.Sprint(i), "y")
		}
		up := s.big("aborted", 230)
		if err := s.AbortUpload(bg, bucket, "aborted", up.UploadID); err != nil {
			t.Fatal(err)
		}
		up = s.big("k", 1100)
		numbers := []int{1, 2, 3, 500, 1100}
		s.complete(up, numbers...)
		s.assemble("gone", []string{"a", "b"})
		s.remove("gone")
		s.clock.advance(time.Hour)
		at := &s.db.before
		if after {
			at = &s.db.after
		}
		tries := 0
		for {
			s.db.fail(at, 2, metadb.ErrNoSpace) // every second commit
			err := s.CollectGarbage(bg)
			s.db.heal()
			if err == nil {
				break
			}
			if tries++; tries > 1000 {
				t.Fatal("no progress")
			}
			s.open() // the memory of the worker is lost
		}
		if tries < 5 {
			t.Errorf("cut off %d times only", tries)
		}
		if want := 120 + len(numbers); s.blobs() != want {
			t.Errorf("%d blobs, want %d", s.blobs(), want)
		}
	}
}

// The parts of a completed upload are told apart when its object is gone before
// its part rows are.
func TestObjectDeletedBeforePartRowsAreCollected(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	up := s.big("k", 150)
	s.complete(up, 1, 2, 150)
	s.remove("k")
	s.clock.advance(time.Hour)
	s.collect()
	if s.blobs() != 0 || s.count('p')+s.count('m') != 0 {
		t.Errorf("%d blobs, %d part rows, %d manifest rows", s.blobs(), s.count('p'), s.count('m'))
	}
}

func TestRunCollects(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx, cancel := context.WithCancel(bg)
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	up := s.createUpload("k")
	s.putPart(up, 1, "x")
	if err := s.AbortUpload(bg, bucket, "k", up.UploadID); err != nil { // wakes the worker
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); s.blobs() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the worker did not collect")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A worker whose steps fail says so, and ends when it is told to.
func TestRunLogsFailures(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 1)
	s.open()
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.CollectGarbage(bg); !errors.Is(err, metadb.ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
	ctx, cancel := context.WithCancel(bg)
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.log.String(), "metadb: closed"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log says: %s", s.log)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// An entry that can not be read stays, is logged once, and does not hold up the
// entries behind it.
func TestUnreadableEntry(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 1)
	s.open()
	s.createBucket(bucket)
	bad, newer := metadb.GarbageKey(s.clock.now(), [8]byte{}), metadb.GarbageKey(s.clock.now(), [8]byte{1})
	row, err := metadb.MarshalGarbage(&metadb.Garbage{Kind: 99, Queued: s.clock.now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Update(bg, func(tx metadb.Tx) error { return errors.Join(tx.Set(bad, []byte{9}), tx.Set(newer, row)) }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.put("k", "x")
		s.remove("k")
		s.clock.advance(time.Hour)
		s.collect()
		if n := s.blobs(); n != 0 {
			t.Errorf("%d blobs are left", n)
		}
	}
	for _, key := range [][]byte{bad, newer} {
		if _, ok := s.rows()[string(key)]; !ok {
			t.Errorf("the entry %x is gone", key)
		}
	}
	if n := strings.Count(s.log.String(), "can not be read"); n != 2 {
		t.Errorf("logged %d times: %s", n, s.log)
	}
}

// Collection that is canceled stops between two steps and loses nothing.
func TestCollectionCanceled(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "x")
	s.remove("k")
	s.clock.advance(time.Hour)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if err := s.CollectGarbage(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if st := s.Stats().Garbage; st.Failures != 0 {
		t.Errorf("a canceled step counts as a failure of a volume: %+v", st)
	}
}

// One entry that stands for many pieces, and pieces on several volumes.
func TestSharedEntry(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var keys []string
	for i := range 60 {
		keys = append(keys, fmt.Sprint(i))
		s.put(keys[i], "x")
	}
	s.remove(keys...)
	if n := s.count('g'); n != 1 {
		t.Errorf("%d entries for 60 objects deleted together", n)
	}
	s.volumes[0].down.Store(true)
	s.clock.advance(time.Hour)
	s.collect()
	if n := len(s.volumes[0].ids(t)); n == 0 || s.blobs() != n {
		t.Errorf("%d blobs, %d of them on the volume that is down", s.blobs(), n)
	}
	if s.count('g') != 1 {
		t.Errorf("%d entries", s.count('g'))
	}
	if u, err := s.Usage(bg, bucket); err != nil || u != (meta.Usage{}) {
		t.Errorf("usage %+v, %v", u, err)
	}
}

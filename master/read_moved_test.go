package master_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// begin opens a whole object and reads its first byte.
func (s *store) begin(key string) (r io.ReadCloser, done func()) {
	s.t.Helper()
	o, err := s.OpenObject(bg, bucket, key, "")
	if err != nil {
		s.t.Fatal(err)
	}
	if r, err = o.Range(bg, 0, o.Object().Size); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
		s.t.Fatal(err)
	}
	return r, func() {
		if err := errors.Join(r.Close(), o.Close()); err != nil {
			s.t.Error(err)
		}
	}
}

// The parts of an object move to other volumes, both copies of each, and what they
// were is collected, while a reader is at the first: it finds the others.
func TestReadPartsThatMove(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 5, 2)
	bodies := make([]string, 12)
	whole := ""
	for i := range bodies {
		bodies[i] = randomBody(1000 + i)
		whole += bodies[i]
	}
	s.assemble("k", bodies)
	r, done := s.begin("k")
	for _, v := range s.Topology().Volumes[:3] {
		s.drain(v.Number)
		s.rebalanced()
	}
	for range 3 {
		s.clock.advance(time.Hour)
		s.collect()
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != whole[1:] {
		t.Errorf("%d bytes, right %v: %v", len(got), string(got) == whole[1:], err)
	}
	done()
}

// A volume is lost while a reader is at an object, which is made whole again; when
// the copy that was left goes too, the reader finds the one that was made.
func TestReadWhatWasMadeAnew(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 3, 2)
	body := randomBody(3 * volume.BlockSize)
	pieces := s.put("k", body).Extents[0].Pieces
	for i, p := range pieces { // whichever of them is read
		s.at(p).failGets(breaks(volume.BlockSize+int64(i), failing(errReset)))
	}
	r, done := s.begin("k")
	s.at(pieces[1]).healGets()
	if err := s.LoseVolume(bg, pieces[0].Volume); err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	s.at(pieces[1]).failGets(fails(failing(errReset)))
	rest, err := io.ReadAll(r)
	if err != nil || string(rest) != body[1:] {
		t.Errorf("%d bytes, right %v: %v", len(rest), string(rest) == body[1:], err)
	}
	done()
	s.at(pieces[1]).healGets()
}

// Pins cover every piece: neither the copies nor the shards of a version that was
// replaced are collected while it is read.
func TestReadersPinEveryPiece(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"", "COLD"} {
		s := newReadStore(t, 6, 3)
		body := randomBody(2*stripe42 + 5)
		o := s.putClass("k", body, class)
		r, done := s.begin("k")
		s.put("k", "another")
		for range 3 {
			s.clock.advance(time.Hour)
			s.collect()
		}
		for _, p := range o.Extents[0].Pieces {
			if _, err := s.at(p).Stat(bg, volume.BlobID(p.Blob)); err != nil {
				t.Errorf("class %q: %v was collected: %v", class, p, err)
			}
		}
		if rest, err := io.ReadAll(r); err != nil || string(rest) != body[1:] {
			t.Errorf("class %q: %d bytes, %v", class, len(rest), err)
		}
		done()
	}
}

// What a version came to be after it was opened is not what its reader reads.
func TestReadLooksForItsOwnVersion(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 2, 2)
	body := randomBody(2 * volume.BlockSize)
	pieces := s.put("k", body).Extents[0].Pieces
	for _, p := range pieces {
		s.at(p).failGets(func(v *testVolume, g get) (io.ReadCloser, error) {
			if g.id != volume.BlobID(p.Blob) {
				return v.read(g)
			}
			return breaks(volume.BlockSize, failing(errReset))(v, g)
		})
	}
	r, done := s.begin("k")
	s.put("k", randomBody(2*volume.BlockSize + 1)[:2*volume.BlockSize])
	rest, err := io.ReadAll(r)
	wantKind(t, err, meta.KindUnavailable)
	if string(rest) != body[1:volume.BlockSize] {
		t.Errorf("%d bytes, want those before the fault", len(rest))
	}
	done()
}

// What readers report is queued once, and again when it is still bad much later or
// could not be queued.
func TestSuspects(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 1, 1)
	o := s.put("k", "body")
	v := s.at(o.Extents[0].Pieces[0])
	read := func(times int) {
		t.Helper()
		v.failGets(fails(failing(errBad)))
		for range times {
			_, err := s.tryRead("k")
			wantKind(t, err, meta.KindCorrupt)
		}
	}
	read(3)
	s.db.fail(&s.db.before, 1, errors.New("disk on fire"))
	if err := s.QueueSuspects(bg); err == nil {
		t.Error("a commit that failed is no error")
	}
	s.db.heal()
	if n := len(s.repairs()); n != 0 {
		t.Errorf("%d repairs are queued, none was", n)
	}
	read(3)
	s.RebalanceWoken()
	all := s.repairs()
	if !s.RebalanceWoken() {
		t.Error("the repair was not woken")
	}
	if len(all) != 1 || all[0].Bucket != bucket || all[0].Key != "k" || all[0].Part != 0 || len(all[0].Suspects) != 1 ||
		all[0].Suspects[0] != o.Extents[0].Pieces[0] || !all[0].Queued.Equal(s.clock.now()) {
		t.Fatalf("queued %+v", all)
	}
	read(3)
	if n := len(s.repairs()); n != 1 {
		t.Errorf("%d repairs are queued, want still one", n)
	}
	s.clock.advance(time.Hour)
	read(3)
	if n := len(s.repairs()); n != 2 {
		t.Errorf("%d repairs are queued after an hour, want one more", n)
	}
}

// A version is reported by its place in the history of its key.
func TestSuspectVersion(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 1, 1)
	s.versioning(meta.VersioningEnabled)
	first := s.put("k", "one")
	s.put("k", "two")
	s.volumes[0].failGets(fails(failing(errGone)))
	r, err := s.OpenObject(bg, bucket, "k", first.VersionID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(r); meta.KindOf(err) != meta.KindCorrupt {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	all := s.repairs()
	if len(all) != 1 || all[0].Seq == 0 || all[0].Suspects[0] != first.Extents[0].Pieces[0] {
		t.Fatalf("queued %+v", all)
	}
	if row, ok := s.rows()[string(metadb.VersionKey(bucket, "k", all[0].Seq))]; !ok {
		t.Errorf("queued seq %d, which no version has", all[0].Seq)
	} else if v, err := metadb.UnmarshalObject(row); err != nil || v.VersionID != first.VersionID {
		t.Errorf("queued the seq of version %s, %v", v.VersionID, err)
	}
}

// Reports beyond the buffer are dropped, and come again.
func TestSuspectsAreBounded(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 1, 1)
	const objects, most = 1100, 1024
	for i := range objects {
		s.put(fmt.Sprint("k", i), "body")
	}
	s.volumes[0].failGets(fails(failing(errGone)))
	for _, want := range []int{most, objects} {
		for i := range objects {
			if _, err := s.tryRead(fmt.Sprint("k", i)); meta.KindOf(err) != meta.KindCorrupt {
				t.Fatal(err)
			}
		}
		if n := len(s.repairs()); n != want {
			t.Errorf("%d repairs are queued, want %d", n, want)
		}
	}
}

// The worker that queues them runs and ends with the engine, and the one that
// takes them from there finds that nothing is left to restore it from.
func TestSuspectsRun(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 1, 1)
	s.put("k", "body")
	ctx, cancel := context.WithCancel(bg)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	if err := s.volumes[0].Blobs.Delete(bg, s.volumes[0].ids(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.tryRead("k"); meta.KindOf(err) != meta.KindCorrupt {
		t.Error(err)
	}
	for wait := time.Millisecond; s.count('x') == 0; wait *= 2 {
		if wait > 10*time.Second {
			t.Fatal("nothing is queued and found to be damaged")
		}
		time.Sleep(wait)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the engine goes on")
	}
}

package master_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// repairs returns what waits in the repair queue, and fails where a reader's
// report has not got there.
func (s *store) repairs() []metadb.Repair {
	s.t.Helper()
	if err := s.QueueSuspects(bg); err != nil {
		s.t.Fatal(err)
	}
	var all []metadb.Repair
	for k, row := range s.rows() {
		if _, _, ok := metadb.ParseRepairKey([]byte(k)); !ok {
			continue
		}
		r, err := metadb.UnmarshalRepair(row)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// gets counts the blobs that were opened, or tried to be.
func (s *store) gets() int64 {
	n := int64(0)
	for _, v := range s.volumes {
		n += v.gets.Load()
	}
	return n
}

// suspects returns the pieces that wait to be verified.
func (s *store) suspects() []meta.Piece {
	s.t.Helper()
	var all []meta.Piece
	for _, r := range s.repairs() {
		all = append(all, r.Suspects...)
	}
	return all
}

// Whatever all copies but one do, and whichever that is: the body comes whole, and
// what is bad is queued for repair, once.
func TestReadOneGoodCopy(t *testing.T) {
	t.Parallel()
	for _, f := range readFaults {
		for _, replicas := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s, R=%d", f.name, replicas), func(t *testing.T) {
				t.Parallel()
				s := newReadStore(t, 3, replicas)
				body := randomBody(5*volume.BlockSize + 123)
				for good := range replicas {
					key := fmt.Sprint("k", good)
					pieces := s.put(key, body).Extents[0].Pieces
					for i, p := range pieces {
						if i != good {
							s.at(p).failGets(f.at(int64(i+1) * volume.BlockSize))
						}
					}
					for i := range 12 { // until chance has picked each
						offset := int64(37 * good)
						got, err := s.readRange(bg, key, offset, int64(len(body))-offset, i%2 == 0)
						if err != nil || string(got) != body[offset:] {
							t.Fatalf("copy %d is good: %d bytes, right %v: %v", good, len(got), string(got) == body[offset:], err)
						}
					}
					for _, v := range s.volumes {
						v.healGets()
					}
					for _, p := range s.suspects() {
						if !f.bad || p == pieces[good] {
							t.Errorf("piece %v is suspected, of %v, where %d is good", p, pieces, good)
						}
					}
				}
				all := s.suspects()
				slices.SortFunc(all, func(a, b meta.Piece) int { return slices.Compare(a.Blob[:], b.Blob[:]) })
				if n := len(all); f.bad != (n > 0) || len(slices.Compact(all)) != n {
					t.Errorf("%d pieces are suspected, some twice: %v", n, all)
				}
			})
		}
	}
}

// Bad blocks in every copy, but in no two the same: each is good where the others
// are not.
func TestReadDamageInEveryCopy(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 3, 3)
	const blocks = 9
	body := randomBody(blocks * volume.BlockSize)
	pieces := s.put("k", body).Extents[0].Pieces
	for i := range pieces {
		for block := i; block < blocks; block += len(pieces) {
			for j := range pieces {
				if j != i && !s.at(pieces[j]).mem.Corrupt(volume.BlobID(pieces[j].Blob), int64(block*volume.BlockSize+j)) {
					t.Fatal("nothing to corrupt")
				}
			}
		}
	}
	for _, write := range []bool{false, true} {
		if got, err := s.readRange(bg, "k", 0, int64(len(body)), write); err != nil || string(got) != body {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if n := len(s.suspects()); n != 3 {
		t.Errorf("%d pieces are suspected, want all", n)
	}
}

// Where no copy can be read on, all that came before has come, and the error says
// whether waiting could help.
func TestReadNoCopyLeft(t *testing.T) {
	t.Parallel()
	const at = 2 * volume.BlockSize
	for _, c := range []struct {
		name  string
		fault []func(context.Context) error
		want  meta.Kind
	}{
		{"all corrupt", []func(context.Context) error{failing(errBad), failing(errBad)}, meta.KindCorrupt},
		{"one down", []func(context.Context) error{failing(errBad), failing(errReset)}, meta.KindUnavailable},
		{"all down", []func(context.Context) error{failing(errReset), failing(errReset)}, meta.KindUnavailable},
	} {
		s := newReadStore(t, 2, 2)
		body := randomBody(4 * volume.BlockSize)
		pieces := s.put("k", body).Extents[0].Pieces
		for i, p := range pieces {
			s.at(p).failGets(breaks(at, c.fault[i]))
		}
		for _, write := range []bool{false, true} {
			got, err := s.readRange(bg, "k", 10, int64(len(body))-10, write)
			wantKind(t, err, c.want)
			if string(got) != body[10:at] {
				t.Errorf("%s: %d bytes came, right %v", c.name, len(got), string(got) == body[10:at])
			}
		}
		for i, p := range pieces {
			s.at(p).failGets(fails(c.fault[i]))
		}
		_, err := s.readRange(bg, "k", 0, 1, false)
		wantKind(t, err, c.want)
	}
}

// A reader that goes on after an error gets the error again, and no byte of what
// follows.
func TestReadStaysFailed(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 1, 1)
	s.assemble("k", []string{randomBody(100), randomBody(100)})
	r, err := s.OpenObject(bg, bucket, "k", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	s.volumes[0].failGets(breaks(50, failing(errBad)))
	rc, err := r.Range(bg, 0, 200)
	if err != nil {
		t.Fatal(err)
	}
	got, all := make([]byte, 200), 0
	for range 10 {
		n, err := rc.Read(got)
		all += n
		if n == 0 {
			wantKind(t, err, meta.KindCorrupt)
		}
		if err != nil {
			s.volumes[0].healGets()
		}
	}
	if all != 50 {
		t.Errorf("%d bytes came, want 50", all)
	}
	if err := rc.Close(); err != nil {
		t.Fatal(err)
	}
}

// A slow copy is better than none: it is waited for where the others have failed,
// when it is opened and in the middle.
func TestReadWaitsForTheLast(t *testing.T) {
	t.Parallel()
	slowly := func(context.Context) error { time.Sleep(5 * impatient); return nil }
	for name, f := range map[string]getFault{
		"opens slowly": func(v *testVolume, g get) (io.ReadCloser, error) { _ = slowly(g.ctx); return v.read(g) },
		"goes on slowly": func(v *testVolume, g get) (io.ReadCloser, error) {
			r, err := v.read(g)
			return &slowBlob{ReadCloser: r, pause: 5 * impatient}, err
		},
	} {
		s := newReadStore(t, 2, 2)
		body := randomBody(3 * volume.BlockSize)
		pieces := s.put("k", body).Extents[0].Pieces
		s.at(pieces[0]).failGets(fails(failing(errReset)))
		s.at(pieces[1]).failGets(f)
		for _, write := range []bool{false, true} {
			if got, err := s.readRange(bg, "k", 0, int64(len(body)), write); err != nil || string(got) != body {
				t.Fatalf("%s: %d bytes, %v", name, len(got), err)
			}
		}
	}
}

// A copy that was silent is tried once more when the only other one hangs.
func TestReadSilentAndHung(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 2, 2)
	body := randomBody(3 * volume.BlockSize)
	pieces := s.put("k", body).Extents[0].Pieces
	s.at(pieces[0]).failGets(fails(hang))
	var once atomic.Bool
	s.at(pieces[1]).failGets(func(v *testVolume, g get) (io.ReadCloser, error) {
		if once.Swap(true) {
			return v.read(g)
		}
		return breaks(volume.BlockSize, hang)(v, g)
	})
	ctx, cancel := s.patient(true)
	defer cancel()
	if got, err := s.readRange(ctx, "k", 0, int64(len(body)), true); err != nil || string(got) != body {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// slowBlob pauses before each block.
type slowBlob struct {
	io.ReadCloser
	pause time.Duration
}

func (b *slowBlob) Read(p []byte) (int, error) {
	time.Sleep(b.pause)
	return b.ReadCloser.Read(p[:min(len(p), volume.BlockSize)])
}

// A slow writer is not a silent volume: the copy that is read is kept.
func TestReadSlowClient(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 2, 2)
	s.SetReadPatience(time.Minute, slowSinkPause/2)
	body := randomBody(3 * volume.BlockSize)
	s.put("k", body)
	before := s.gets()
	r, err := s.OpenObject(bg, bucket, "k", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	rc, err := r.Range(bg, 0, int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	var got slowSink
	if _, err := rc.(io.WriterTo).WriteTo(&got); err != nil || string(got.b) != body {
		t.Errorf("%d bytes, %v", len(got.b), err)
	}
	if err := rc.Close(); err != nil || s.gets()-before != 1 {
		t.Errorf("%d copies were opened, want one: %v", s.gets()-before, err)
	}
}

const slowSinkPause = 500 * time.Millisecond

type slowSink struct{ sinkBuffer }

func (s *slowSink) Write(p []byte) (int, error) {
	time.Sleep(slowSinkPause)
	return s.sinkBuffer.Write(p)
}

// A client that goes away ends the read, whatever the volumes do, and nobody is
// suspected.
func TestReadCancelled(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]getFault{"at once": fails(hang), "in the middle": breaks(volume.BlockSize, hang)} {
		for _, class := range []string{"", "COLD"} {
			s := newReadStore(t, 6, 2)
			body := randomBody(6 * volume.BlockSize)
			s.putClass("k", body, class)
			for _, v := range s.volumes {
				v.failGets(f)
			}
			ctx, cancel := context.WithTimeout(bg, 4*impatient)
			_, err := s.readRange(ctx, "k", 0, int64(len(body)), true)
			cancel()
			wantKind(t, err, meta.KindCanceled)
			if all := s.suspects(); len(all) > 0 {
				t.Errorf("%s, class %q: suspected %v", name, class, all)
			}
			for _, v := range s.volumes {
				v.healGets()
			}
		}
	}
}

// The writer's error is the caller's own, and no copy is to blame for it.
func TestReadWriterFails(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 6, 3)
	gone := errors.New("client is gone")
	for _, class := range []string{"", "COLD"} {
		body := randomBody(6 * volume.BlockSize)
		s.putClass("k", body, class)
		r, err := s.OpenObject(bg, bucket, "k", "")
		if err != nil {
			t.Fatal(err)
		}
		rc, err := r.Range(bg, 0, int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		n, err := rc.(io.WriterTo).WriteTo(&limitedSink{left: 70_000, err: gone})
		if n != 70_000 || !errors.Is(err, gone) || meta.KindOf(err) != meta.KindInternal {
			t.Errorf("class %q: %d bytes, %v", class, n, err)
		}
		if err := errors.Join(rc.Close(), r.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if all := s.suspects(); len(all) > 0 {
		t.Errorf("suspected %v", all)
	}
}

// limitedSink takes so many bytes.
type limitedSink struct {
	left int
	err  error
}

func (s *limitedSink) Write(p []byte) (int, error) {
	n := min(len(p), s.left)
	if s.left -= n; n < len(p) {
		return n, s.err
	}
	return n, nil
}

// The readers of copies that are equally good are spread over them, and no reader
// opens more than one.
func TestReadsAreSpread(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 3, 3)
	s.SetReadPatience(time.Minute, time.Minute)
	s.put("k", "body")
	spread := func() bool {
		return !slices.ContainsFunc(s.volumes, func(v *testVolume) bool { return v.gets.Load() < 10 })
	}
	readers := int64(0)
	for ; readers < 90 || readers < 3000 && !spread(); readers++ { // a slow machine makes one look slow for a while
		s.wantBody("k", "body")
	}
	if n := s.gets(); n != readers {
		t.Errorf("%d copies were opened by %d readers", n, readers)
	}
	for _, v := range s.volumes {
		if n := v.gets.Load(); n < 10 {
			t.Errorf("%s served %d of %d readers", v.name, n, readers)
		}
	}
}

// A volume that is slow of late is read last, and so is one that is being emptied.
func TestReadOrder(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 4, 3)
	s.SetReadPatience(time.Minute, time.Minute)
	pieces := s.put("k", "body").Extents[0].Pieces
	slow := s.at(pieces[1])
	slow.failGets(func(v *testVolume, g get) (io.ReadCloser, error) { time.Sleep(15 * time.Millisecond); return v.read(g) })
	for range 30 { // until all have been measured
		s.wantBody("k", "body")
	}
	before := slow.gets.Load()
	for range 30 {
		s.wantBody("k", "body")
	}
	if n := slow.gets.Load() - before; n != 0 {
		t.Errorf("the slow volume served %d of 30 readers", n)
	}
	slow.healGets()
	s.drain(pieces[0].Volume)
	leaving, before := s.at(pieces[0]), s.at(pieces[0]).gets.Load()
	for range 30 {
		s.wantBody("k", "body")
	}
	if n := leaving.gets.Load() - before; n != 0 {
		t.Errorf("the volume that is being emptied served %d of 30 readers", n)
	}
}

// No goroutine is left behind by readers of hung copies once they are closed.
func TestReadLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	s := newReadStore(t, 6, 3)
	body := randomBody(3 * volume.BlockSize)
	o := s.putClass("copies", body, "")
	s.putClass("shards", body, "COLD")
	s.at(o.Extents[0].Pieces[0]).failGets(fails(hang))
	s.at(o.Extents[0].Pieces[1]).failGets(func(v *testVolume, g get) (io.ReadCloser, error) {
		time.Sleep(3 * impatient) // it does not hear that it is no longer needed, and opens
		g.ctx = bg
		return v.read(g)
	})
	for i := range 40 {
		key := []string{"copies", "shards"}[i%2]
		if got, err := s.readRange(bg, key, 0, int64(len(body)), i%4 < 2); err != nil || string(got) != body {
			t.Fatalf("%s: %d bytes, %v", key, len(got), err)
		}
	}
	for wait := time.Millisecond; runtime.NumGoroutine() > before; wait *= 2 {
		if wait > 5*time.Second {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		time.Sleep(wait)
	}
	for _, v := range s.volumes {
		v.healGets()
	}
}

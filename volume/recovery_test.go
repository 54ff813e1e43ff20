package volume_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

func segmentPath(number string) string { return dir + "/segments/" + number + ".seg" }

const (
	segment1 = "00000001"
	segment2 = "00000002"
)

// edit changes a file behind the store's back; the change is durable.
func edit(t testing.TB, fsys vfs.FS, name string, change func([]byte) []byte) {
	t.Helper()
	before, err := vfs.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	after := change(bytes.Clone(before))
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	_, writeErr := f.WriteAt(after, 0)
	if err := errors.Join(writeErr, f.Truncate(int64(len(after))), f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, fsys vfs.FS, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// crashed returns a disk on which a store wrote what work does and then lost
// power, with everything written so far on it.
func crashed(t testing.TB, work func(s *volume.Store)) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	s := open(t, small(mem))
	work(s)
	return mem.CrashClone()
}

// TestTornBatch loses power before the sync of a batch that follows a mark, and
// before that of a footer, and tries many of the ways in which the disk may
// have written half of it.
func TestTornBatch(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	l := newLedger()
	rng := rand.New(rand.NewPCG(1, 2))
	var points []crashPoint
	faulty := vfs.NewFaulty(mem, vfs.Plan{})
	s := open(t, small(faulty))
	hook := func(call vfs.Call) *vfs.Fault {
		if call.Op == vfs.OpSync {
			for range 100 {
				points = append(points, crashPoint{call: call, l: l.snapshot(), disk: mem.CrashCloneRand(rng)})
			}
		}
		return nil
	}
	if err := errors.Join(l.putBatch(s, 1, 10, 20), s.MarkIdle()); err != nil {
		t.Fatal(err)
	}
	faulty.SetPlan(vfs.Plan{Hook: hook})
	if err := errors.Join(l.putBatch(s, 10, 0, 1000, 0, 4096, 10, 300), s.MarkIdle(), s.Seal()); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	for i, p := range points {
		p.check(t)
		if t.Failed() {
			t.Fatalf("outcome %d", i)
		}
	}
}

// TestTornTail cuts the log after every byte of its last batch, with nothing,
// zeros or garbage behind the cut in turn.
func TestTornTail(t *testing.T) {
	t.Parallel()
	var l *ledger
	disk := crashed(t, func(s *volume.Store) {
		l = newLedger()
		if err := l.putBatch(s, 1, 100, 0, 50); err != nil {
			t.Fatal(err)
		}
		if err := l.putBatch(s, 10, 30, 90); err != nil {
			t.Fatal(err)
		}
	})
	id, _ := blob(10, 30)
	whole := readFile(t, disk, segmentPath(segment1))
	start := bytes.Index(whole, id[:]) - 8
	for _, n := range []int{10, 11} {
		id, _ := blob(n, 0)
		l.set(id, putting) // may be gone: nothing that follows vouches for them
	}
	last, _ := blob(11, 0)
	end := bytes.Index(whole, last[:]) + 200
	for cut := start; cut < end; cut++ {
		torn := disk.CrashClone()
		edit(t, torn, segmentPath(segment1), func(b []byte) []byte {
			switch cut % 3 {
			case 0:
				return b[:cut]
			case 1:
				clear(b[cut:])
			case 2:
				copy(b[cut:], bytes.Repeat([]byte{0xAA}, len(b)-cut))
			}
			return b
		})
		(&crashPoint{disk: torn, l: l}).check(t)
		if t.Failed() {
			t.Fatalf("cut at %d", cut)
		}
	}
}

// TestStaleRecordStaysAway tears the first record of a batch and leaves the
// second whole. What is then written in place of the first, and exactly as
// long, must not bring the second back.
func TestStaleRecordStaysAway(t *testing.T) {
	t.Parallel()
	first, firstData := blob(1, 200)
	stale, staleData := blob(2, 200)
	fresh, freshData := blob(3, 200)
	kept, keptData := blob(4, 50)
	disk := crashed(t, func(s *volume.Store) {
		mustPut(t, s, kept, keptData)
		if err := s.PutBatch([]volume.BlobID{first, stale}, [][]byte{firstData, staleData}, descriptorOf); err != nil {
			t.Fatal(err)
		}
	})
	edit(t, disk, segmentPath(segment1), func(b []byte) []byte {
		i := bytes.Index(b, firstData)
		b[i] ^= 1
		return b
	})
	var l logs
	cfg := small(disk)
	cfg.Logger = l.logger()
	s := open(t, cfg)
	expectGone(t, s, first)
	expectGone(t, s, stale)
	if !strings.Contains(l.String(), stale.String()) {
		t.Errorf("the log does not name the record that was cut off:\n%s", &l)
	}
	mustPut(t, s, fresh, freshData)
	// Not closed: a crash again, with the log as it is.
	s = open(t, small(disk.CrashClone()))
	expect(t, s, kept, keptData)
	expect(t, s, fresh, freshData)
	expectGone(t, s, stale)
	checkStore(t, s)
	closeStore(t, s)
}

// TestQuarantine damages records that later ones vouch for.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{false, true} {
		for _, inHeader := range []bool{false, true} {
			before, beforeData := blob(1, 100)
			hit, hitData := blob(2, 3000)
			after, afterData := blob(3, 100)
			disk := crashed(t, func(s *volume.Store) {
				mustPut(t, s, before, beforeData)
				mustPut(t, s, hit, hitData)
				mustPut(t, s, after, afterData)
				if sealed {
					if err := s.Seal(); err != nil {
						t.Fatal(err)
					}
					mustPut(t, s, volume.BlobID{9}, nil) // in the next segment
				}
			})
			var at int
			edit(t, disk, segmentPath(segment1), func(b []byte) []byte {
				at = bytes.Index(b, hit[:]) - 8
				if inHeader {
					b[at+30] ^= 4
				} else {
					b[at+64+1500] ^= 4
				}
				if sealed {
					b[len(b)-3] ^= 1 // the footer too, or it would not be missed
				}
				return b
			})
			checkQuarantined(t, disk, hit, at, inHeader, sealed)
			s := open(t, small(disk))
			expect(t, s, before, beforeData)
			expect(t, s, after, afterData)
			closeStore(t, s)
		}
	}
}

// TestGapOutlivesSealing damages a record header in the growing log. The bytes
// stay reported, and stay, when the segment is sealed and all else in it dead.
func TestGapOutlivesSealing(t *testing.T) {
	t.Parallel()
	hit, _ := blob(2, 0)
	disk := crashed(t, func(s *volume.Store) {
		for n := range 4 {
			mustPut2(t, s, n, 100)
		}
	})
	edit(t, disk, segmentPath(segment1), func(b []byte) []byte {
		b[bytes.Index(b, hit[:])] ^= 1
		return b
	})
	s := open(t, small(disk))
	mustSeal(t, s)
	mustDelete(t, s, 0, 1, 3)
	mustSeal(t, s)
	for range 2 {
		if n := status(t, s).Quarantined; n != 1 {
			t.Errorf("%d quarantined, want 1", n)
		}
		compactAll(t, s)
		if _, err := disk.Stat(segmentPath(segment1)); err != nil {
			t.Errorf("the damaged segment is gone: %v", err)
		}
		closeStore(t, s)
		s = open(t, small(disk))
	}
	closeStore(t, s)
}

func checkQuarantined(t *testing.T, disk *vfs.Mem, hit volume.BlobID, at int, inHeader, sealed bool) {
	t.Helper()
	var l logs
	cfg := small(disk)
	cfg.Logger = l.logger()
	s := open(t, cfg)
	defer closeStore(t, s)
	_, err := get(t.Context(), s, hit)
	st := status(t, s)
	if inHeader {
		// Its id can not be read, so it is not known what is missing.
		if !errors.Is(err, volume.ErrNotFound) || st.Quarantined == 0 {
			t.Errorf("damaged header: get: %v; %d quarantined", err, st.Quarantined)
		}
		if text := l.String(); !strings.Contains(text, segmentPath(segment1)) || !strings.Contains(text, "offset="+strconv.Itoa(at)) {
			t.Errorf("the log does not say where the damage is, %d:\n%s", at, text)
		}
		return
	}
	var corrupt *volume.CorruptError
	if !errors.As(err, &corrupt) || !errors.Is(err, volume.ErrCorrupt) {
		t.Fatalf("damaged payload: get: %v", err)
	}
	if corrupt.Blob != hit || corrupt.File != segmentPath(segment1) || corrupt.Offset != int64(at)+64 || corrupt.Part != "block 0" {
		t.Errorf("damage at %d is told as %+v", at+64, corrupt)
	}
	if _, err := get(t.Context(), s, hit); !errors.Is(err, volume.ErrCorrupt) {
		t.Errorf("second get: %v", err)
	}
	if st = status(t, s); st.CorruptReads != 2 {
		t.Errorf("%d corrupt reads, want 2", st.CorruptReads)
	}
	if n := strings.Count(l.String(), "part=\"block 0\""); n != 1 {
		t.Errorf("damage was logged %d times, want once", n)
	}
}

// TestFooterNotSynced opens a store again after the sync of a footer failed:
// the page cache has the footer, the disk may not. Once the store goes on, a
// power cut must not bring up damage.
func TestFooterNotSynced(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem, vfs.Plan{})
	s := open(t, small(faulty))
	l := newLedger()
	if err := l.putBatch(s, 1, 100, 200); err != nil {
		t.Fatal(err)
	}
	faulty.SetPlan(vfs.Plan{Rules: []vfs.Rule{{Op: vfs.OpSync, Fault: vfs.Fault{Err: syscall.EIO}}}})
	if err := s.Seal(); !errors.Is(err, volume.ErrReadOnly) {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = open(t, small(mem))
	if err := l.putBatch(s, 10, 100, 200); err != nil {
		t.Fatal(err)
	}
	for seed := range 20 {
		again := open(t, small(mem.CrashCloneRand(rand.New(rand.NewPCG(uint64(seed), 9)))))
		l.check(t, again)
		closeStore(t, again)
	}
	closeStore(t, s)
}

// TestUnwrittenSegments opens directories with segment files that hold nothing.
func TestUnwrittenSegments(t *testing.T) {
	t.Parallel()
	l := newLedger()
	disk := crashed(t, func(s *volume.Store) {
		for i := range 3 {
			if err := errors.Join(l.putBatch(s, 10*i, 100, 200), s.Seal()); err != nil {
				t.Fatal(err)
			}
		}
	})
	for _, test := range []struct {
		number string
		change func(*testing.T, vfs.File)
	}{
		{"00000004", func(*testing.T, vfs.File) {}},
		{"00000004", func(t *testing.T, f vfs.File) {
			if err := f.Allocate(0, 100_000); err != nil {
				t.Fatal(err)
			}
		}},
		{"00000004", func(t *testing.T, f vfs.File) {
			if _, err := f.WriteAt([]byte("tdkvsS"), 0); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		clone := disk.CrashClone()
		for _, number := range []string{test.number, "00000009"} { // both the last, and one before it
			f, err := clone.Create(segmentPath(number))
			if err != nil {
				t.Fatal(err)
			}
			if number == test.number {
				test.change(t, f)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, small(clone))
		for id := range l.states {
			expect(t, s, id, l.data[id])
		}
		id, data := blob(500, 10)
		mustPut(t, s, id, data)
		closeStore(t, s)
		s = open(t, small(clone))
		expect(t, s, id, data)
		closeStore(t, s)
	}
}

// TestForeignSegments refuses segments that are whole but do not belong here.
func TestForeignSegments(t *testing.T) {
	t.Parallel()
	seg := func(t *testing.T) []byte {
		disk := crashed(t, func(s *volume.Store) { mustPut(t, s, volume.BlobID{1}, nil) })
		return readFile(t, disk, segmentPath(segment1))
	}
	disk := crashed(t, func(s *volume.Store) {
		mustPut(t, s, volume.BlobID{2}, nil)
	})
	foreign := disk.CrashClone()
	edit(t, foreign, segmentPath(segment1), func([]byte) []byte { return seg(t) })
	if _, err := volume.Open(small(foreign)); !errors.Is(err, volume.ErrWrongVolume) {
		t.Errorf("segment of another volume: %v", err)
	}
	renamed := disk.CrashClone()
	if err := renamed.Rename(segmentPath(segment1), segmentPath(segment2)); err != nil {
		t.Fatal(err)
	}
	if _, err := volume.Open(small(renamed)); err == nil || !strings.Contains(err.Error(), "renamed") {
		t.Errorf("renamed segment: %v", err)
	}
}

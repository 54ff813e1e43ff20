package master_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

var errBroken = fmt.Errorf("connection reset: %w", volume.ErrUnavailable)

// The ways in which a volume fails to take a blob.
var (
	refuses   putFault = func(_ *testVolume, p put) error { return errBroken }
	isFull    putFault = func(_ *testVolume, p put) error { return fmt.Errorf("put: %w", volume.ErrNoSpace) }
	breaksOff putFault = func(_ *testVolume, p put) error { // once it has read something, or all of a short body
		_, err := io.CopyN(io.Discard, p.body, volume.BlockSize+1)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return errBroken
	}
	breaksAtEnd putFault = func(_ *testVolume, p put) error { // with all that it needs, and stores nothing
		if _, err := io.Copy(io.Discard, p.body); err != nil {
			return err
		}
		if _, err := p.desc(); err != nil {
			return err
		}
		return errBroken
	}
	losesAnswer putFault = func(v *testVolume, p put) error {
		if err := v.store(p); err != nil {
			return err
		}
		return errBroken
	}
	hangsAtOnce putFault = func(_ *testVolume, p put) error {
		<-p.ctx.Done()
		return p.ctx.Err()
	}
	stopsReading putFault = func(_ *testVolume, p put) error {
		if _, err := io.CopyN(io.Discard, p.body, 1); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		<-p.ctx.Done()
		return p.ctx.Err()
	}
	hangsAtEnd putFault = func(_ *testVolume, p put) error {
		if _, err := io.Copy(io.Discard, p.body); err != nil {
			return err
		}
		<-p.ctx.Done()
		return p.ctx.Err()
	}
	ignoresEnd putFault = func(v *testVolume, p put) error { // of the call, and stores what it has
		body, err := io.ReadAll(p.body)
		if err != nil {
			return err
		}
		<-p.ctx.Done()
		p.ctx, p.body = context.Background(), bytes.NewReader(body)
		return v.store(p)
	}
	hangsDurable putFault = func(v *testVolume, p put) error {
		if err := v.store(p); err != nil {
			return err
		}
		<-p.ctx.Done()
		return p.ctx.Err()
	}
)

// faults names them. retried are those after which a short body can be written
// elsewhere; the others are known when it is too late.
var faults = []struct {
	name    string
	fault   putFault
	retried bool
}{
	{"refuses", refuses, true},
	{"is full", isFull, true},
	{"breaks off", breaksOff, true},
	{"breaks at the end", breaksAtEnd, true},
	{"loses the answer", losesAnswer, true},
	{"hangs at once", hangsAtOnce, false},
	{"stops reading", stopsReading, false},
	{"hangs at the end", hangsAtEnd, false},
	{"ignores the end", ignoresEnd, false},
	{"is durable and hangs", hangsDurable, false},
}

func (v *testVolume) failPuts(f putFault) { v.fault.Store(&f) }

// newCopies returns a store of volumes that keeps copies. It waits for all of
// them, however busy the machine is.
func newCopies(t testing.TB, volumes, replicas int) *store {
	t.Helper()
	s := newBareStore(t, volumes)
	cfg := s.config()
	cfg.Replicas = replicas
	s.openWith(cfg)
	s.SetWriteLimits(time.Minute, time.Minute)
	s.createBucket(bucket)
	t.Cleanup(s.check)
	return s
}

// impatient makes the store go on soon without a volume that is slow.
func (s *store) impatient() { s.SetWriteLimits(500*time.Millisecond, 20*time.Millisecond) }

// putSized puts a body of a size that is announced or not.
func (s *store) putSized(ctx context.Context, key, body string, known bool) (meta.Object, error) {
	req := meta.PutRequest{Bucket: bucket, Key: key, Owner: "me", Size: -1}
	if known {
		req.Size = int64(len(body))
	}
	return s.PutObject(ctx, req, newPayload(body))
}

// wantPieces wants an object to have so many pieces, on volumes of their own and
// each of them whole.
func (s *store) wantPieces(o meta.Object, want int) {
	s.t.Helper()
	on := map[meta.VolumeID]bool{}
	for _, p := range pieces(o.Extents[0]) {
		on[p.Volume] = true
		v := s.volumes[p.Volume-1]
		if _, err := v.Stat(context.Background(), volume.BlobID(p.Blob)); err != nil {
			s.t.Errorf("%s: %v", v.name, err)
		}
	}
	if len(on) != want || len(pieces(o.Extents[0])) != want {
		s.t.Errorf("the pieces are %v, want %d", o.Extents[0].Pieces, want)
	}
}

var bodySizes = []int{0, 1, volume.BlockSize - 1, volume.BlockSize, volume.BlockSize + 1, 7*volume.BlockSize + 3}

func TestCopies(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{2, 3, 5} {
		s := newCopies(t, 6, replicas)
		for _, size := range bodySizes {
			for _, known := range []bool{true, false} {
				body := randomBody(size)
				o, err := s.putSized(bg, "k", body, known)
				if err != nil {
					t.Fatal(err)
				}
				s.wantPieces(o, replicas)
				if o.ETag != etag(body) {
					t.Errorf("etag %s", o.ETag)
				}
				for _, p := range o.Extents[0].Pieces {
					if got := s.blobText(p); got != body {
						t.Errorf("%d bytes: the copy on volume %d is %s", size, p.Volume, brief(got))
					}
				}
				s.wantBody("k", body)
			}
		}
		if n := s.count('q'); n != 0 {
			t.Errorf("%d repairs are queued", n)
		}
		s.collect()
	}
}

func (s *store) blobText(p meta.Piece) string {
	s.t.Helper()
	r, err := s.volumes[p.Volume-1].Get(context.Background(), volume.BlobID(p.Blob), 0, -1)
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// TestCopiesWithFaults: with three volumes and no other to go to, a write takes
// place where two of them make it durable, and else leaves nothing.
func TestCopiesWithFaults(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		for failing := 1; failing <= 3; failing++ {
			t.Run(fmt.Sprintf("%s on %d", f.name, failing), func(t *testing.T) {
				t.Parallel()
				s := newCopies(t, 3, 3)
				s.put("k", "old")
				s.impatient()
				for _, v := range s.volumes[:failing] {
					v.failPuts(f.fault)
				}
				for _, size := range bodySizes {
					for _, known := range []bool{true, false} {
						s.putWithFaults(randomBody(size), known, failing)
					}
				}
			})
		}
	}
}

func (s *store) putWithFaults(body string, known bool, failing int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(bg, 10*time.Second)
	defer cancel()
	if failing > 1 { // nothing but the caller ends a hanging write that needs them
		ctx, cancel = context.WithTimeout(bg, 150*time.Millisecond)
		defer cancel()
	}
	before, repairs := s.blobs(), s.count('q')
	o, err := s.putSized(ctx, "k", body, known)
	if failing == 1 {
		if err != nil {
			s.t.Fatalf("%d bytes: %v", len(body), err)
		}
		s.wantPieces(o, 2)
		s.wantBody("k", body)
		if n := s.count('q'); n != repairs+1 {
			s.t.Errorf("%d repairs were queued, want 1", n-repairs)
		}
		return
	}
	if k := meta.KindOf(err); err == nil || k != meta.KindUnavailable && k != meta.KindCanceled && k != meta.KindNoSpace {
		s.t.Fatalf("%d bytes: %v of kind %v", len(body), err, k)
	}
	if n := s.count('q'); n != repairs {
		s.t.Errorf("%d repairs were queued by a write that failed", n-repairs)
	}
	s.quiet()
	s.clock.advance(time.Hour)
	s.collect()
	if n := s.blobs(); n != before {
		s.t.Errorf("%d blobs of a write that failed are left", n-before)
	}
	s.wantBody("k", "old")
}

// TestCopiesElsewhere: where there are other volumes, they take the place of
// those that fail while a body can still be read again.
func TestCopiesElsewhere(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newCopies(t, 7, 3)
			failing := 3
			if !f.retried {
				failing = 1
				s.impatient()
			}
			for _, v := range s.volumes[:failing] {
				v.failPuts(f.fault)
			}
			for i := range 20 {
				k, body := fmt.Sprintf("k%d", i), randomBody(i%3*volume.BlockSize/2)
				o, err := s.putSized(bg, k, body, i%2 == 0)
				if err != nil {
					t.Fatal(err)
				}
				if f.retried {
					s.wantPieces(o, 3)
				}
				s.wantBody(k, body)
			}
			if s.count('q') == 0 {
				t.Error("no repair is queued")
			}
		})
	}
}

// TestCopiesOfBrokenBodies: a body that breaks leaves nothing on any volume.
func TestCopiesOfBrokenBodies(t *testing.T) {
	t.Parallel()
	s := newCopies(t, 3, 3)
	s.put("k", "old")
	before := s.blobs()
	broken := errors.New("client went away")
	for _, size := range []int{0, 3, volume.BlockSize, 9 * volume.BlockSize} {
		for _, announced := range []int64{-1, int64(size)} {
			p := newPayload(randomBody(size))
			p.fail = broken
			_, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: "k", Size: announced}, p)
			if !errors.Is(err, broken) || meta.KindOf(err) != meta.KindInternal {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
		_, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: "k", Size: int64(size) + 1}, newPayload(randomBody(size)))
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a short body: %v", err)
		}
		if size > 0 {
			if _, err = s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: "k", Size: int64(size) - 1}, newPayload(randomBody(size))); err == nil {
				t.Error("a long body: no error")
			}
		}
	}
	if n := s.blobs(); n != before {
		t.Errorf("%d blobs of broken bodies", n-before)
	}
	if n := s.count('g'); n != 0 {
		t.Errorf("%d garbage entries", n)
	}
	s.wantBody("k", "old")
}

// TestStalledVolumeIsDropped: a volume that takes no more of a body does not hold
// up the others, and a slow client is none.
func TestStalledVolumeIsDropped(t *testing.T) {
	t.Parallel()
	s := newCopies(t, 3, 3)
	s.impatient()
	s.volumes[1].failPuts(stopsReading)
	body := randomBody(50 * volume.BlockSize)
	o, err := s.putSized(bg, "k", body, true)
	if err != nil {
		t.Fatal(err)
	}
	s.wantPieces(o, 2)
	s.wantBody("k", body)
	s.volumes[1].fault.Store(nil)
	s.SetWriteLimits(time.Second, time.Minute)
	slow := newPayload(body)
	slow.r = &slowReader{r: slow.r, pause: 1200 * time.Millisecond, times: 1}
	if o, err = s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: "k", Size: int64(len(body))}, slow); err != nil {
		t.Fatal(err)
	}
	s.wantPieces(o, 3)
}

// slowReader pauses before some reads.
type slowReader struct {
	r     io.Reader
	pause time.Duration
	times int
}

func (r *slowReader) Read(p []byte) (int, error) {
	if r.times--; r.times >= 0 {
		time.Sleep(r.pause)
	}
	return r.r.Read(p[:min(len(p), 100_000)])
}

// TestAllVolumesSlow: where all are slow there is nobody to go on without.
func TestAllVolumesSlow(t *testing.T) {
	t.Parallel()
	s := newCopies(t, 3, 3)
	s.SetWriteLimits(40*time.Millisecond, 20*time.Millisecond)
	for _, v := range s.volumes {
		v.failPuts(func(v *testVolume, p put) error {
			p.body = &slowReader{r: p.body, pause: 70 * time.Millisecond, times: 3}
			return v.store(p)
		})
	}
	body := randomBody(20 * volume.BlockSize)
	if _, err := s.putSized(bg, "k", body, true); err != nil {
		t.Fatal(err)
	}
	s.wantBody("k", body)
}

// TestPartsAreCopied: parts are written as objects are.
func TestPartsAreCopied(t *testing.T) {
	t.Parallel()
	s := newCopies(t, 4, 3)
	s.impatient()
	s.volumes[0].failPuts(hangsDurable)
	body := randomBody(300_000)
	o := s.assemble("k", splitBody(body, 70_000, 1, 100_000, 129_999))
	s.wantBody("k", body)
	parts, err := s.ObjectParts(bg, o, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if n := len(p.Extents[0].Pieces); n < 2 || n > 3 {
			t.Errorf("part %d has %d pieces", p.Number, n)
		}
	}
}

// TestCommitFailsAfterCopies: all copies go, or stay where the outcome is not
// known.
func TestCommitFailsAfterCopies(t *testing.T) {
	t.Parallel()
	s := newCopies(t, 3, 3)
	inner := s.hookPut(func() { s.put("k", "other") })
	_, err := s.tryPut("k", "mine", meta.Precondition{IfNoneMatch: "*"})
	wantKind(t, err, meta.KindPreconditionFailed)
	if !*inner {
		t.Fatal("the other put did not take place")
	}
	if n := s.blobs(); n != 3 {
		t.Errorf("%d blobs: those of the loser were not removed at once", n)
	}
	s.wantBody("k", "other")
}

// TestTooFewVolumes: a store of two volumes keeps two of three copies, and
// both must be durable.
func TestTooFewVolumes(t *testing.T) {
	t.Parallel()
	s := newCopies(t, 2, 2)
	s.volumes[0].down.Store(true)
	_, err := s.putSized(bg, "k", "body", true)
	wantKind(t, err, meta.KindUnavailable)
	if n := s.blobs(); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
	for _, v := range s.volumes {
		v.down.Store(false)
		v.failPuts(isFull)
	}
	_, err = s.putSized(bg, "k", "body", true)
	wantKind(t, err, meta.KindNoSpace)
}

// TestCopiesInZones: as long as there are enough zones each copy has one of its
// own, also beside a volume that fails.
func TestCopiesInZones(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 6)
	cfg := s.config()
	for i := range cfg.Volumes {
		cfg.Volumes[i].Settings.Zone = &[]string{"a", "b", "c"}[i%3]
	}
	cfg.Replicas = 3
	s.openWith(cfg)
	s.SetWriteLimits(time.Minute, time.Minute)
	s.createBucket(bucket)
	t.Cleanup(s.check)
	for _, failing := range []bool{false, true} {
		if failing {
			s.volumes[0].failPuts(refuses)
		}
		for i := range 30 {
			k := fmt.Sprintf("k%d", i)
			o, err := s.putSized(bg, k, "body", true)
			if err != nil {
				t.Fatal(err)
			}
			zones := map[meta.VolumeID]bool{}
			for _, p := range o.Extents[0].Pieces {
				zones[(p.Volume-1)%3] = true
			}
			if len(zones) != 3 {
				t.Errorf("the copies of %s are on %v", k, o.Extents[0].Pieces)
			}
		}
	}
}

// TestNoWriterIsLeft runs alone: once writes have ended, so have their
// goroutines, also on volumes that hang.
func TestNoWriterIsLeft(t *testing.T) {
	for _, f := range faults {
		for failing := range 4 {
			s := newCopies(t, 3, 3)
			s.impatient()
			for _, v := range s.volumes[:failing] {
				v.failPuts(f.fault)
			}
			ctx, cancel := context.WithCancel(bg)
			if failing > 1 { // what else would end it
				time.AfterFunc(100*time.Millisecond, cancel)
			}
			_, _ = s.putSized(ctx, "k", randomBody(3*volume.BlockSize), true)
			defer cancel()
		}
	}
	buf := make([]byte, 1<<20)
	var left string
	for range 100 {
		left = string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(left, "pieceWriter") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("a writer is left:\n%s", left)
}

func BenchmarkPut1MCopies(b *testing.B) {
	body := strings.Repeat("x", 1<<20)
	for _, replicas := range []int{1, 3} {
		b.Run(fmt.Sprint(replicas), func(b *testing.B) {
			s := newCopies(b, 3, replicas)
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				s.put(fmt.Sprint(n%20), body)
				n++
			}
		})
	}
}

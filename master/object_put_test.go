package master_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

func TestPutConditions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	one, two := int64(1), int64(2)
	s.put("k", "x")
	at := s.clock.now().Truncate(time.Second)
	for i, c := range []struct {
		key  string
		p    meta.Precondition
		want meta.Kind // 0: success
	}{
		{"k", meta.Precondition{IfNoneMatch: "*"}, meta.KindPreconditionFailed},
		{"new", meta.Precondition{IfNoneMatch: "*"}, 0},
		{"k", meta.Precondition{IfNoneMatch: etag("x")}, meta.KindPreconditionFailed},
		{"k", meta.Precondition{IfNoneMatch: etag("y")}, 0},
		{"k", meta.Precondition{IfMatch: etag("x")}, 0},
		{"k", meta.Precondition{IfMatch: etag("y")}, meta.KindPreconditionFailed},
		{"k", meta.Precondition{IfMatch: "*"}, 0},
		{"none", meta.Precondition{IfMatch: etag("x")}, meta.KindNoSuchKey},
		{"k", meta.Precondition{IfSize: &one}, 0},
		{"k", meta.Precondition{IfSize: &two}, meta.KindPreconditionFailed},
		{"k", meta.Precondition{IfModTime: at}, 0},
		{"k", meta.Precondition{IfModTime: at.Add(time.Second)}, meta.KindPreconditionFailed},
	} {
		if c.want == 0 {
			if _, err := s.tryPut(c.key, "x", c.p); err != nil {
				t.Errorf("case %d: %v", i, err)
			}
			continue
		}
		_, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: c.key, Size: 1, Precondition: c.p}, &payload{r: &untouched{t}})
		wantKind(t, err, c.want)
	}
}

// A condition that comes to fail while the body is read fails in the commit, and
// the body leaves nothing behind.
func TestConditionFailsInCommit(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	inner := s.hookPut(func() { s.put("k", "other") })
	_, err := s.tryPut("k", "mine", meta.Precondition{IfNoneMatch: "*"})
	wantKind(t, err, meta.KindPreconditionFailed)
	if !*inner {
		t.Fatal("the other put did not take place")
	}
	s.wantBody("k", "other")
	if n := s.blobs(); n != 1 {
		t.Errorf("%d blobs: the loser's was not removed at once", n)
	}
}

// hookPut runs f when the next blob is written, on whichever volume.
func (s *store) hookPut(f func()) *bool {
	ran := new(bool)
	for _, v := range s.volumes {
		v.mu.Lock()
		v.onPut = func() {
			for _, v := range s.volumes {
				v.mu.Lock()
				v.onPut = nil
				v.mu.Unlock()
			}
			f()
			*ran = true
		}
		v.mu.Unlock()
	}
	return ran
}

func TestBucketDeletedDuringPut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.hookPut(func() {
		if err := s.DeleteBucket(bg, bucket); err != nil {
			t.Error(err)
		}
	})
	_, err := s.tryPut("k", "x", meta.Precondition{})
	wantKind(t, err, meta.KindNoSuchBucket)
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "old")
	broken := errors.New("client went away")
	put := func(size int64, p *payload) error {
		_, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: "k", Size: size}, p)
		return err
	}
	failing := newPayload("abc")
	failing.fail = broken
	if err := put(3, failing); !errors.Is(err, broken) || meta.KindOf(err) != meta.KindInternal {
		t.Errorf("a body that fails: %v", err)
	}
	typed := newPayload("abc")
	typed.fail = &meta.Error{Kind: meta.KindInvalidPart, Op: "check digest"}
	wantKind(t, put(-1, typed), meta.KindInvalidPart)
	if err := put(5, newPayload("abc")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a short body: %v", err)
	}
	if err := put(2, newPayload("abc")); err == nil {
		t.Error("a long body: no error")
	}
	wantKind(t, put(meta.MaxPutSize+1, &payload{r: &untouched{t}}), meta.KindEntityTooLarge)
	canceled := newPayload("abc")
	canceled.fail = context.Canceled
	wantKind(t, put(3, canceled), meta.KindCanceled)
	s.wantBody("k", "old")
	if n := s.blobs(); n != 1 {
		t.Errorf("%d blobs after bodies that failed, want 1", n)
	}
}

func TestMetadataTooLarge(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	attrs := meta.Attributes{UserMeta: map[string]string{"x": strings.Repeat("y", meta.MaxRecordPayload)}}
	_, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: "k", Attributes: attrs}, &payload{r: &untouched{t}})
	wantKind(t, err, meta.KindMetadataTooLarge)
	_, err = s.CreateUpload(bg, meta.Upload{Bucket: bucket, Key: "k", Attributes: attrs})
	wantKind(t, err, meta.KindMetadataTooLarge)
}

func TestCanceledRequest(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "x")
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, err := s.PutObject(ctx, meta.PutRequest{Bucket: bucket, Key: "k", Size: 1}, newPayload("y"))
	wantKind(t, err, meta.KindCanceled)
	_, err = s.Object(ctx, bucket, "k", "")
	wantKind(t, err, meta.KindCanceled)
	_, err = s.DeleteObjects(ctx, bucket, []meta.DeleteItem{{Key: "k"}})
	wantKind(t, err, meta.KindCanceled)
	s.wantBody("k", "x")
}

func TestVolumeErrors(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "old")
	each := func(f func(*testVolume)) {
		for _, v := range s.volumes {
			f(v)
		}
	}
	each(func(v *testVolume) { v.mem.SetCapacity(3) })
	_, err := s.tryPut("k", strings.Repeat("x", 9), meta.Precondition{})
	wantKind(t, err, meta.KindNoSpace)
	each(func(v *testVolume) { v.mem.SetCapacity(1 << 40) })
	each(func(v *testVolume) { v.mem.SetReadOnly("a sync failed") })
	_, err = s.tryPut("k", "new", meta.Precondition{})
	wantKind(t, err, meta.KindReadOnly)
	each(func(v *testVolume) { v.mem.SetReadOnly("") })
	each(func(v *testVolume) { v.down.Store(true) })
	_, err = s.tryPut("k", "new", meta.Precondition{})
	wantKind(t, err, meta.KindUnavailable)
	_, err = s.tryRead("k")
	wantKind(t, err, meta.KindUnavailable)
	each(func(v *testVolume) { v.down.Store(false) })
	s.wantBody("k", "old")
	if g := s.count('g'); g != 0 {
		t.Errorf("%d garbage entries for puts that stored nothing", g)
	}
}

// A put whose answer is lost may have stored its blob: it must go, and where it
// can not go at once it must be queued.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, v := range s.volumes {
		v.lost.Store(true)
	}
	_, err := s.tryPut("k", "x", meta.Precondition{})
	wantKind(t, err, meta.KindUnavailable)
	if s.count('g') != 1 {
		t.Errorf("%d garbage entries, want the blob queued", s.count('g'))
	}
	_, err = s.Object(bg, bucket, "k", "")
	wantKind(t, err, meta.KindNoSuchKey)
}

// A commit that fails leaves nothing behind when it is known not to have taken
// place, and its blob when it is not known.
func TestFailedCommit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err   error
		kind  meta.Kind
		after bool // the commit did take place
		blobs int
	}{
		{metadb.ErrNoSpace, meta.KindNoSpace, false, 1},
		{metadb.ErrClosed, meta.KindUnavailable, false, 1},
		{metadb.ErrTooLarge, meta.KindInternal, false, 1},
		{metadb.ErrFailed, meta.KindReadOnly, false, 2},
		{metadb.ErrFailed, meta.KindReadOnly, true, 2},
		{errors.New("disk on fire"), meta.KindInternal, true, 2},
	} {
		t.Run(fmt.Sprintf("%v after=%v", c.err, c.after), func(t *testing.T) {
			t.Parallel()
			s := newBareStore(t, 3) // a blob may stay: not checked at the end
			s.open()
			s.createBucket(bucket)
			s.put("k", "old")
			if c.after {
				s.db.fail(&s.db.after, 1, c.err)
			} else {
				s.db.fail(&s.db.before, 1, c.err)
			}
			_, err := s.tryPut("k", "new", meta.Precondition{})
			wantKind(t, err, c.kind)
			s.db.heal()
			if n := s.blobs(); n != c.blobs {
				t.Errorf("%d blobs, want %d", n, c.blobs)
			}
			want := "old"
			if c.after {
				want = "new"
			}
			s.clock.advance(time.Hour)
			s.collect()
			s.wantBody("k", want)
		})
	}
}

package master_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

// get is one call of Get.
type get struct {
	ctx            context.Context
	id             volume.BlobID
	offset, length int64
}

// getFault serves a call of Get on a volume in its own way.
type getFault func(v *testVolume, g get) (io.ReadCloser, error)

func (v *testVolume) failGets(f getFault) { v.reads.Store(&f) }

func (v *testVolume) healGets() { v.reads.Store(nil) }

// read serves a call as it should be.
func (v *testVolume) read(g get) (io.ReadCloser, error) {
	r, err := v.Blobs.Get(g.ctx, g.id, g.offset, g.length)
	if err != nil {
		return nil, err
	}
	v.opens.Add(1)
	return &testBlob{ReadCloser: r, v: v}, nil
}

// stillOpen is how many readers stay open. A copy that was given up is closed when
// its volume has heard, which nobody waits for.
func (v *testVolume) stillOpen() int64 {
	for wait := time.Millisecond; v.opens.Load() != 0 && wait < 5*time.Second; wait *= 2 {
		time.Sleep(wait)
	}
	return v.opens.Load()
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func failing(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// fails does something else in place of opening a blob.
func fails(then func(context.Context) error) getFault {
	return func(_ *testVolume, g get) (io.ReadCloser, error) { return nil, then(g.ctx) }
}

// breaks gives a blob up to an offset, and then does something else.
func breaks(at int64, then func(context.Context) error) getFault {
	return func(v *testVolume, g get) (io.ReadCloser, error) {
		r, err := v.read(g)
		if err != nil || g.offset+g.length <= at {
			return r, err
		}
		return &brokenBlob{ReadCloser: r, ctx: g.ctx, left: max(0, at-g.offset), then: then}, nil
	}
}

type brokenBlob struct {
	io.ReadCloser
	ctx  context.Context
	left int64
	then func(context.Context) error
}

func (b *brokenBlob) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, b.then(b.ctx)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

var (
	errReset = fmt.Errorf("connection reset: %w", volume.ErrUnavailable)
	errBad   = fmt.Errorf("block: %w", volume.ErrCorrupt)
	errGone  = fmt.Errorf("blob: %w", volume.ErrNotFound)
)

// readFaults are the ways in which a volume fails to give a blob; at is where, for
// those that begin well. bad are those that show the blob to be bad.
var readFaults = []struct {
	name string
	bad  bool
	at   func(offset int64) getFault
}{
	{"refuses", false, func(int64) getFault { return fails(failing(errReset)) }},
	{"hangs at once", false, func(int64) getFault { return fails(hang) }},
	{"has lost it", true, func(int64) getFault { return fails(failing(errGone)) }},
	{"has less of it", true, func(int64) getFault { return fails(failing(fmt.Errorf("range: %w", volume.ErrInvalid))) }},
	{"breaks off", false, func(at int64) getFault { return breaks(at, failing(errReset)) }},
	{"falls silent", false, func(at int64) getFault { return breaks(at, hang) }},
	{"is corrupt", true, func(at int64) getFault { return breaks(at, failing(errBad)) }},
	{"is short", true, func(at int64) getFault { return breaks(at, failing(io.EOF)) }},
}

// impatient is how long reads wait for a volume in tests.
const impatient = 20 * time.Millisecond

var code42 = meta.Code{Data: 4, Parity: 2}

// newReadStore returns a store of volumes that keeps copies and, where there are
// enough volumes, what is in the class COLD as 4+2 shards. Its readers are impatient.
func newReadStore(t testing.TB, volumes, replicas int) *store {
	t.Helper()
	s := newBareStore(t, volumes)
	cfg := s.config()
	cfg.Replicas = replicas
	if volumes >= code42.Shards() {
		cfg.Classes = map[string]master.Class{"COLD": {Code: code42}}
	}
	s.openWith(cfg)
	s.SetReadPatience(impatient, 2*impatient)
	s.createBucket(bucket)
	t.Cleanup(s.check)
	return s
}

func (s *store) putClass(key, body, class string) meta.Object {
	s.t.Helper()
	req := meta.PutRequest{Bucket: bucket, Key: key, Owner: "me", Size: int64(len(body))}
	req.Headers.StorageClass = class
	o, err := s.PutObject(bg, req, newPayload(body))
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// at returns the volume that a piece lies on.
func (s *store) at(p meta.Piece) *testVolume {
	s.t.Helper()
	for _, v := range s.Topology().Volumes {
		if v.Number == p.Volume {
			return s.byUUID(v.UUID)
		}
	}
	s.t.Fatalf("no volume %d", p.Volume)
	return nil
}

// readRange reads a range in one of two ways, and always closes what it opens.
func (s *store) readRange(ctx context.Context, key string, offset, length int64, write bool) ([]byte, error) {
	r, err := s.OpenObject(ctx, bucket, key, "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	rc, err := r.Range(ctx, offset, length)
	if err != nil {
		return nil, err
	}
	var got sinkBuffer
	if write {
		_, err = rc.(io.WriterTo).WriteTo(&got)
	} else {
		_, err = io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{rc}, make([]byte, 10_000))
	}
	return got.b, errors.Join(err, rc.Close())
}

type sinkBuffer struct{ b []byte }

func (s *sinkBuffer) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

// patient is how long a read of a test may take: as long as it needs where it must
// come to its end, else not long, for it may wait for a volume that hangs.
func (s *store) patient(sound bool) (context.Context, context.CancelFunc) {
	if sound {
		return context.WithTimeout(bg, time.Minute)
	}
	return context.WithTimeout(bg, 10*impatient)
}

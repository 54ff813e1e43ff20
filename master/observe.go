package master

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"tdkvs/volume"
)

// observed is a volume whose calls tell of its health: how they ended, and how
// long it took to the first byte of a blob; and are counted. They end when the
// volume goes down.
type observed struct{ v *boundVolume }

// visit begins a call.
func (o observed) visit(ctx context.Context) *visit {
	x := new(visit)
	x.begin(o.v, ctx)
	return x
}

// ofTheVolume reports that an error says of the volume itself that it does not
// serve. A deadline is of the engine's making: clients go away, and are cancelled.
func ofTheVolume(err error) bool {
	return isAny(err, volume.ErrUnavailable, volume.ErrWrongVolume, volume.ErrDenied, context.DeadlineExceeded)
}

// served notes a sign of life.
func (v *boundVolume) served() {
	if !v.alive.Load() { // or it would go from processor to processor
		v.alive.Store(true)
	}
	if v.failures.Load() != 0 {
		v.failures.Store(0)
	}
}

// failed notes a call that the volume itself has failed.
func (v *boundVolume) failed(err error) {
	v.failures.Add(1)
	v.failure.Store(&err)
	v.ask()
}

// Put implements Blobs. A body that breaks is not the volume's fault.
func (o observed) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	m := &o.v.meter
	m.writes.Add(1)
	x := o.visit(ctx)
	began := time.Now()
	source := &putSource{r: body, read: &m.bytesWritten, v: o.v}
	err := o.v.blobs.Put(x, id, size, source, desc)
	switch {
	case err == nil:
		m.writeLatency.Add(time.Since(began))
	case source.err != nil && x.at.serving.Err() == nil:
		x.close()
		return err
	}
	return x.end(err)
}

// putUnsynced is PutUnsynced of a volume of this process; nil where it is another's.
func (o observed) putUnsynced() func(id volume.BlobID, payload, desc []byte) bool {
	local, ok := o.v.blobs.(interface {
		PutUnsynced(id volume.BlobID, payload, desc []byte) bool
	})
	if !ok {
		return nil
	}
	m := &o.v.meter
	return func(id volume.BlobID, payload, desc []byte) bool {
		began := time.Now()
		if !local.PutUnsynced(id, payload, desc) {
			return false
		}
		m.writes.Add(1)
		m.bytesWritten.Add(uint64(len(payload)))
		m.writeLatency.Add(time.Since(began))
		return true
	}
}

// putSource is the body of a put. It tells an error of the body from one of the
// volume.
type putSource struct {
	v    *boundVolume
	r    io.Reader
	read *atomic.Uint64 // counts its bytes
	err  error
}

// Taken implements volume.Watched: a volume that is busy with bodies may be too
// late with everything else.
func (s *putSource) Taken() { s.v.served() }

func (s *putSource) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.read.Add(uint64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// Stat implements Blobs.
func (o observed) Stat(ctx context.Context, id volume.BlobID) (volume.Info, error) {
	x := o.visit(ctx)
	info, err := o.v.blobs.Stat(x, id)
	return info, x.end(err)
}

// Delete implements Blobs.
func (o observed) Delete(ctx context.Context, ids []volume.BlobID) error {
	o.v.meter.deletes.Add(1)
	x := o.visit(ctx)
	return x.end(o.v.blobs.Delete(x, ids))
}

// List implements Blobs.
func (o observed) List(ctx context.Context, after volume.BlobID, limit int) ([]volume.Info, error) {
	x := o.visit(ctx)
	infos, err := o.v.blobs.List(x, after, limit)
	return infos, x.end(err)
}

// Verify implements Blobs.
func (o observed) Verify(ctx context.Context, id volume.BlobID) error {
	x := o.visit(ctx)
	return x.end(o.v.blobs.Verify(x, id))
}

// Damaged implements Blobs.
func (o observed) Damaged(ctx context.Context, after uint64, limit int) ([]volume.Damage, error) {
	x := o.visit(ctx)
	found, err := o.v.blobs.Damaged(x, after, limit)
	return found, x.end(err)
}

// Status implements Blobs.
func (o observed) Status(ctx context.Context) (volume.Status, error) {
	x := o.visit(ctx)
	st, err := o.v.blobs.Status(x)
	return st, x.end(err)
}

// Claim implements Blobs.
func (o observed) Claim(ctx context.Context, cluster string) error {
	x := o.visit(ctx)
	return x.end(o.v.blobs.Claim(x, cluster))
}

// Get implements Blobs.
func (o observed) Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
	b, began := o.visitBlob(ctx)
	r, err := o.v.blobs.Get(&b.visit, id, offset, length)
	if err != nil {
		return nil, b.visit.end(err)
	}
	b.r, b.opening = r, time.Since(began)
	return b, nil
}

// Open implements Blobs.
func (o observed) Open(ctx context.Context, id volume.BlobID, offset, length int64) (volume.Info, io.ReadCloser, error) {
	b, began := o.visitBlob(ctx)
	info, r, err := o.v.blobs.Open(&b.visit, id, offset, length)
	if err != nil {
		return volume.Info{}, nil, b.visit.end(err)
	}
	b.r, b.opening = r, time.Since(began)
	return info, b, nil
}

// visitBlob begins a call for a blob, at a time.
func (o observed) visitBlob(ctx context.Context) (*observedBlob, time.Time) {
	o.v.meter.reads.Add(1)
	b := new(observedBlob)
	b.visit.begin(o.v, ctx)
	return b, time.Now()
}

// observedBlob is a blob that is being read. It is used by one goroutine.
type observedBlob struct {
	r       io.ReadCloser
	visit   visit
	opening time.Duration // that opening it took
	begun   bool          // the first byte is there
	sink    blobSink
}

// seen notes that bytes have come, of a read that began at a time.
func (b *observedBlob) seen(n int, began time.Time) {
	v := b.visit.v
	v.served()
	v.meter.bytesRead.Add(uint64(n))
	if !b.begun {
		b.begun = true
		d := b.opening + time.Since(began)
		v.took(d)
		v.meter.readLatency.Add(d)
	}
}

func (b *observedBlob) Read(p []byte) (int, error) {
	var began time.Time
	if !b.begun {
		began = time.Now()
	}
	n, err := b.r.Read(p)
	if n > 0 {
		b.seen(n, began)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.visit.outcome(err)
	}
	return n, err
}

// WriteTo lets the blob write itself, which saves a copy.
func (b *observedBlob) WriteTo(w io.Writer) (int64, error) {
	b.sink = blobSink{blob: b, w: w, began: time.Now()}
	n, err := io.Copy(&b.sink, b.r)
	if err != nil && b.sink.err == nil {
		err = b.visit.outcome(err)
	}
	return n, err
}

// blobSink sees the blocks of a blob go by.
type blobSink struct {
	blob  *observedBlob
	w     io.Writer
	began time.Time
	err   error // of w
}

func (s *blobSink) Write(p []byte) (int, error) {
	s.blob.seen(len(p), s.began)
	n, err := s.w.Write(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// Close ends the call.
func (b *observedBlob) Close() error {
	err := b.r.Close()
	b.visit.close()
	return err
}

// latencyShare is the weight of what was known in an average of latencies; a new
// one has the rest of 8.
const latencyShare = 7

// took notes how long the first byte of a blob took. Two at once may lose one.
func (v *boundVolume) took(d time.Duration) {
	was := v.latency.Load()
	if was == 0 {
		v.latency.Store(int64(d))
		return
	}
	v.latency.Store((was*latencyShare + int64(d)) / (latencyShare + 1))
}

package master_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// sickVolume is a volume with other ailments than those of testVolume.
type sickVolume struct {
	*testVolume
	frozen   atomic.Bool                   // calls end when their context does, as those of a stopped process
	deaf     atomic.Pointer[chan struct{}] // Status returns when this is closed, whatever its context does
	mute     atomic.Bool                   // Status alone is frozen
	takes    atomic.Pointer[chan struct{}] // Put takes bodies, and says so, until this is closed
	failing  atomic.Bool                   // all but Status fails
	identity atomic.Pointer[string]        // the volume that it says it is
	ails     atomic.Pointer[volume.Status] // Full, ReadOnly, Reserve and Free, where it is not zero, as its status says
	asked    atomic.Int64                  // calls but Status
	statuses atomic.Int64
}

func (v *sickVolume) suffer(ctx context.Context) error {
	v.asked.Add(1)
	if v.failing.Load() {
		return fmt.Errorf("connection reset: %w", volume.ErrUnavailable)
	}
	return v.freeze(ctx)
}

func (v *sickVolume) freeze(ctx context.Context) error {
	if v.frozen.Load() {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (v *sickVolume) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	for over := v.takes.Load(); over != nil && !closed(*over); {
		body.(volume.Watched).Taken()
		time.Sleep(time.Millisecond) // not to keep a processor busy
	}
	if err := v.suffer(ctx); err != nil {
		return err
	}
	return v.testVolume.Put(ctx, id, size, body, desc)
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (v *sickVolume) Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
	if err := v.suffer(ctx); err != nil {
		return nil, err
	}
	r, err := v.testVolume.Get(ctx, id, offset, length)
	if err != nil {
		return nil, err
	}
	return &sickBlob{ReadCloser: r, v: v, ctx: ctx}, nil
}

func (v *sickVolume) Open(ctx context.Context, id volume.BlobID, offset, length int64) (volume.Info, io.ReadCloser, error) {
	r, err := v.Get(ctx, id, offset, length)
	if err != nil {
		return volume.Info{}, nil, err
	}
	info, err := v.testVolume.Stat(ctx, id)
	return info, r, err
}

// sickBlob gives one byte at a time.
type sickBlob struct {
	io.ReadCloser
	v   *sickVolume
	ctx context.Context
}

func (b *sickBlob) Read(p []byte) (int, error) {
	if err := b.v.freeze(b.ctx); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p[:1])
}

func (v *sickVolume) Stat(ctx context.Context, id volume.BlobID) (volume.Info, error) {
	if err := v.suffer(ctx); err != nil {
		return volume.Info{}, err
	}
	return v.testVolume.Stat(ctx, id)
}

func (v *sickVolume) Delete(ctx context.Context, ids []volume.BlobID) error {
	if err := v.suffer(ctx); err != nil {
		return err
	}
	return v.testVolume.Delete(ctx, ids)
}

func (v *sickVolume) List(ctx context.Context, after volume.BlobID, limit int) ([]volume.Info, error) {
	if err := v.suffer(ctx); err != nil {
		return nil, err
	}
	return v.testVolume.List(ctx, after, limit)
}

func (v *sickVolume) Status(ctx context.Context) (volume.Status, error) {
	v.statuses.Add(1)
	if c := v.deaf.Load(); c != nil {
		<-*c
	}
	if v.mute.Load() {
		<-ctx.Done()
	}
	if err := v.freeze(ctx); err != nil {
		return volume.Status{}, err
	}
	st, err := v.testVolume.Status(ctx)
	if id := v.identity.Load(); id != nil {
		st.Volume = *id
	}
	if a := v.ails.Load(); a != nil {
		st.Full, st.ReadOnly, st.Reserve = a.Full, a.ReadOnly, a.Reserve
		if a.Free > 0 {
			st.Free = a.Free
		}
	}
	return st, err
}

// sickbay is a store of three volumes, the second of which may fall ill. There
// are 30 objects in it, k0 to k29.
type sickbay struct {
	*store
	sick *sickVolume
}

const sickNumber = meta.VolumeID(2)

func newSickbay(t *testing.T) *sickbay {
	t.Helper()
	s := &sickbay{store: newBareStore(t, 3)}
	s.sick = &sickVolume{testVolume: s.volumes[1]}
	cfg := s.config()
	cfg.Volumes[1].Blobs = s.sick
	s.openWith(cfg)
	s.ProbeLimit(50 * time.Millisecond)
	s.createBucket(bucket)
	for i := range 30 {
		s.put(fmt.Sprintf("k%d", i), "body")
	}
	t.Cleanup(s.check)
	return s
}

// rounds probes all volumes n times.
func (s *sickbay) rounds(n int) {
	for range n {
		s.ProbeRound(bg)
	}
}

func (s *sickbay) wantState(usable, readable bool) {
	s.t.Helper()
	if u, r := s.Usable(sickNumber), s.Readable(sickNumber); u != usable || r != readable {
		s.t.Fatalf("usable %v, readable %v; want %v, %v\n%s", u, r, usable, readable, s.log)
	}
	for _, n := range []meta.VolumeID{1, 3} {
		if !s.Usable(n) || !s.Readable(n) {
			s.t.Fatalf("volume %d is taken to be ill, too", n)
		}
	}
}

// wantLogged counts the lines of the log that say something.
func (s *sickbay) wantLogged(text string, times int) {
	s.t.Helper()
	if n := strings.Count(s.log.String(), text); n != times {
		s.t.Errorf("%q is in the log %d times, want %d:\n%s", text, n, times, s.log)
	}
}

// onSick returns a key on the volume that may be ill, and one that is not.
func (s *sickbay) keys() (on, off string) {
	s.t.Helper()
	for i := range 30 {
		k := fmt.Sprintf("k%d", i)
		o, err := s.Object(bg, bucket, k, "")
		switch {
		case err != nil:
			s.t.Fatal(err)
		case o.Extents[0].Pieces[0].Volume == sickNumber:
			on = k
		default:
			off = k
		}
	}
	return on, off
}

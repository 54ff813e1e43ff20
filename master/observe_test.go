package master_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/volume"
)

// Neither a client that goes away nor a body that breaks nor a blob that is bad
// says anything of the volume.
func TestVolumeIsNotToBlame(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(s *sickbay, b master.Blobs){
		"cancelled": func(s *sickbay, b master.Blobs) {
			ctx, cancel := context.WithCancel(bg)
			cancel()
			if _, err := b.Stat(ctx, volume.BlobID{1}); !errors.Is(err, context.Canceled) {
				s.t.Error(err)
			}
		},
		"broken body": func(s *sickbay, b master.Blobs) {
			p := newPayload("x")
			p.fail = fmt.Errorf("from another volume: %w", volume.ErrUnavailable)
			if err := b.Put(bg, volume.BlobID{1}, 9, p, nil); !errors.Is(err, p.fail) {
				s.t.Error(err)
			}
		},
		"no such blob": func(s *sickbay, b master.Blobs) {
			if _, err := b.Get(bg, volume.BlobID{1}, 0, 1); !errors.Is(err, volume.ErrNotFound) {
				s.t.Error(err)
			}
		},
		"broken sink": func(s *sickbay, b master.Blobs) {
			ids := s.sick.ids(s.t)
			r, err := b.Get(bg, ids[0], 0, 4)
			if err != nil {
				s.t.Fatal(err)
			}
			gone := fmt.Errorf("client: %w", volume.ErrUnavailable)
			if _, err := io.Copy(brokenSink{gone}, r); !errors.Is(err, gone) {
				s.t.Error(err)
			}
			if err := r.Close(); err != nil {
				s.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSickbay(t)
			b, err := s.Blobs(sickNumber)
			if err != nil {
				t.Fatal(err)
			}
			call(s, b)
			s.sick.down.Store(true)
			s.rounds(1)
			s.wantState(true, true)
			s.rounds(1)
			s.wantState(false, false) // or the test shows nothing
		})
	}
}

type brokenSink struct{ err error }

func (w brokenSink) Write([]byte) (int, error) { return 0, w.err }

// TestFrozenVolumeEndsItsCalls freezes a volume in the middle of every kind of
// call. All end when the prober says that it is down.
func TestFrozenVolumeEndsItsCalls(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	b, err := s.Blobs(sickNumber)
	if err != nil {
		t.Fatal(err)
	}
	id := s.sick.ids(t)[0]
	read := func() io.ReadCloser {
		r, err := b.Get(bg, id, 0, 4)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r1, r2 := read(), read()
	calls := map[string]func() error{
		"put": func() error { return b.Put(bg, volume.BlobID{9}, 1, newPayload("x"), nil) },
		"get": func() error { _, err := b.Get(bg, id, 0, 4); return err },
		"read": func() error {
			_, err := io.ReadFull(r1, make([]byte, 2))
			return errors.Join(err, r1.Close())
		},
		"write to": func() error {
			_, err := r2.(io.WriterTo).WriteTo(io.Discard)
			return errors.Join(err, r2.Close())
		},
		"stat":   func() error { _, err := b.Stat(bg, id); return err },
		"delete": func() error { return b.Delete(bg, []volume.BlobID{id}) },
		"list":   func() error { _, err := b.List(bg, volume.BlobID{}, 1); return err },
		"status": func() error { _, err := b.Status(bg); return err },
	}
	s.sick.frozen.Store(true)
	var ended sync.WaitGroup
	var left atomic.Int64
	for name, call := range calls {
		left.Add(1)
		ended.Go(func() {
			defer left.Add(-1)
			if err := call(); !errors.Is(err, volume.ErrUnavailable) || !strings.Contains(err.Error(), "is down") {
				t.Errorf("%s ended with %v", name, err)
			}
		})
	}
	s.rounds(1)
	if left.Load() != int64(len(calls)) {
		t.Error("calls ended before the volume was down")
	}
	s.rounds(1)
	ended.Wait()
	s.wantState(false, false)
	s.wantLogged("no answer in time", 1)
	if n := s.sick.opens.Load(); n != 0 {
		t.Errorf("%d blobs are still open", n)
	}
	s.sick.frozen.Store(false)
	s.rounds(1)
	s.wantState(true, true)
}

// A volume that is given up leaves nobody waiting for it.
func TestLostVolumeEndsItsCalls(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	b, err := s.Blobs(sickNumber)
	if err != nil {
		t.Fatal(err)
	}
	asked := s.sick.asked.Load()
	s.sick.frozen.Store(true)
	ended := make(chan error, 1)
	go func() { _, err := b.Stat(bg, volume.BlobID{1}); ended <- err }()
	for s.sick.asked.Load() == asked {
		time.Sleep(time.Millisecond)
	}
	if err := s.LoseVolume(bg, sickNumber); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, volume.ErrUnavailable) || !strings.Contains(err.Error(), "has left the cluster") {
		t.Error(err)
	}
	s.sick.frozen.Store(false)
}

func TestLatency(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	if l := s.Latency(sickNumber); l != 0 {
		t.Errorf("latency is %v before the first read", l)
	}
	on, _ := s.keys()
	s.wantBody(on, "body")
	if l := s.Latency(sickNumber); l <= 0 || l > time.Second {
		t.Errorf("latency is %v", l)
	}
	if l := s.Latency(77); l != 0 {
		t.Errorf("latency of no volume is %v", l)
	}
}

// BenchmarkObservedCall compares a call of a volume with one that is observed.
func BenchmarkObservedCall(b *testing.B) {
	s := newBareStore(b, 1)
	s.open()
	s.createBucket(bucket)
	s.put("k", "body")
	id := s.volumes[0].ids(b)[0]
	observed, err := s.Blobs(1)
	if err != nil {
		b.Fatal(err)
	}
	for name, blobs := range map[string]master.Blobs{"plain": s.volumes[0], "observed": observed} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				for p.Next() {
					if _, err := blobs.Stat(ctx, id); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

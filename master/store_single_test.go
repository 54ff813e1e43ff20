package master_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// TestSingleElsewhere: the one copy goes to another volume while the body can be
// read again: a short one always, a long one until it is begun.
func TestSingleElsewhere(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		if !f.retried {
			continue // nothing but the prober knows that no answer will come
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			key := s.keyOn(1, "k")
			for _, v := range s.volumes[:2] {
				v.failPuts(f.fault)
			}
			untouched := f.name == "refuses" || f.name == "is full"
			for _, size := range bodySizes {
				for _, known := range []bool{true, false} {
					body := randomBody(size)
					before, repairs := s.blobs(), s.count('q')
					o, err := s.putSized(bg, key, body, known)
					if held := known && size <= volume.BlockSize; !held && !untouched {
						wantKind(t, err, meta.KindUnavailable)
						s.quiet()
						s.clock.advance(time.Hour)
						s.collect()
						if n := s.blobs(); n > before {
							t.Errorf("%d blobs of a write that failed are left", n-before)
						}
						continue
					}
					if err != nil {
						t.Fatalf("%d bytes: %v", size, err)
					}
					if p := o.Extents[0].Pieces; len(p) != 1 || p[0].Volume != 3 {
						t.Errorf("%d bytes are on %v", size, p)
					}
					s.wantBody(key, body)
					if n := s.count('q'); n != repairs+1 {
						t.Errorf("%d repairs were queued, want 1", n-repairs)
					}
				}
			}
		})
	}
}

// TestSingleBesideDown: a volume that is known to be down is passed over.
func TestSingleBesideDown(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.volumes[0].down.Store(true)
	for range 3 {
		s.ProbeRound(bg)
	}
	key := s.keyOn(1, "k")
	s.volumes[0].failPuts(func(*testVolume, put) error {
		t.Error("a volume that is down is asked")
		return errBroken
	})
	for i, known := range []bool{true, false} {
		body := randomBody(100_000 + i)
		o, err := s.putSized(bg, key, body, known)
		if err != nil {
			t.Fatal(err)
		}
		s.wantPieces(o, 1)
	}
	if n := s.count('q'); n != 2 {
		t.Errorf("%d repairs are queued, want 2", n)
	}
}

// TestFrozenSingle: what hangs on a volume goes elsewhere when the volume is found
// to be down.
func TestFrozenSingle(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	key := s.keyOn(1, "k")
	s.volumes[0].failPuts(hangsDurable)
	done := make(chan error, 1)
	go func() {
		_, err := s.putSized(bg, key, "body", true)
		done <- err
	}()
	s.volumes[0].down.Store(true)
	ctx, cancel := context.WithTimeout(bg, 10*time.Second)
	defer cancel()
	for {
		s.ProbeRound(ctx)
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			s.wantBody(key, "body")
			return
		case <-ctx.Done():
			t.Fatal("the write hangs")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestAllRefuse: all volumes refuse for one reason, which is the one
// that the caller sees.
func TestAllRefuse(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{1, 3} {
		s := newCopies(t, 3, replicas)
		for kind, fault := range map[meta.Kind]error{meta.KindNoSpace: volume.ErrNoSpace, meta.KindReadOnly: volume.ErrReadOnly, meta.KindUnavailable: volume.ErrUnavailable} {
			for _, v := range s.volumes {
				v.failPuts(func(*testVolume, put) error { return fmt.Errorf("put: %w", fault) })
			}
			for _, size := range []int{0, 10, 200_000} {
				_, err := s.putSized(bg, "k", randomBody(size), true)
				wantKind(t, err, kind)
			}
		}
		if n := s.blobs(); n != 0 {
			t.Errorf("%d blobs", n)
		}
	}
}

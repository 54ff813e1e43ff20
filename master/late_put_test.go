package master_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

// lateBlobs is a volume that has read the whole body of a put when its caller
// gives up, and stores it much later, as one does whose disk hangs.
type lateBlobs struct {
	volume.Blobs
	mu    sync.Mutex
	hangs bool
	late  []func() error // puts that have not come to their end
}

func (b *lateBlobs) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	b.mu.Lock()
	hangs := b.hangs
	b.mu.Unlock()
	if !hangs {
		return b.Blobs.Put(ctx, id, size, body, desc)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	d, err := desc()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.late = append(b.late, func() error {
		return b.Blobs.Put(context.WithoutCancel(ctx), id, size, bytes.NewReader(content), func() ([]byte, error) { return d, nil })
	})
	return volume.ErrUnavailable
}

func (b *lateBlobs) hang() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hangs = true
}

// land lets all puts come to their end, now and from now on.
func (b *lateBlobs) land(t *testing.T) int {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.late)
	for _, put := range b.late {
		if err := put(); err != nil {
			t.Error(err)
		}
	}
	b.late, b.hangs = nil, false
	return n
}

// TestLatePieces: a copy that the rebalance has given up, and that comes to be on
// its volume all the same, is removed. So it is after a crash in the middle.
func TestLatePieces(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(*store){
		"given up":  func(*store) {},
		"a restart": func(s *store) { s.open() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newBareStore(t, 3)
			var hanging []*lateBlobs
			for _, i := range []int{0, 2} {
				b := &lateBlobs{Blobs: s.volumes[i].Blobs}
				s.volumes[i].Blobs = b
				hanging = append(hanging, b)
			}
			s.open()
			s.createBucket(bucket)
			t.Cleanup(s.check)
			keys := s.fillKeys(40)
			for _, b := range hanging {
				b.hang()
			}
			s.drain(2)
			if name == "a restart" { // the step is cut off when the copies are under way
				s.db.fail(&s.db.before, 2, errors.New("killed"))
			}
			_, err := s.RebalanceStep(context.Background())
			if (err != nil) != (name == "a restart") {
				t.Fatal(err)
			}
			s.db.heal()
			after(s)
			if _, err := s.RebalanceStep(context.Background()); err != nil {
				t.Fatal(err)
			}
			s.clock.advance(time.Second)
			s.collect() // at once: what is not there is no error
			landed := 0
			for _, b := range hanging {
				landed += b.land(t)
			}
			if landed == 0 {
				t.Fatal("nothing was under way")
			}
			s.clock.advance(time.Hour)
			s.collect()
			s.rebalanced()
			s.wantAll(keys)
			s.clock.advance(time.Hour)
			s.collect()
			wantFindings(t, s.fsckStore(master.CheckOptions{}), nil)
		})
	}
}

// TestCheckShort: what there are too few volumes for is no finding.
func TestCheckShort(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if err := s.SetReplicas(context.Background(), "", 3); err != nil {
		t.Fatal(err)
	}
	s.fillKeys(10)
	s.rebalanced()
	if err := s.LoseVolume(context.Background(), meta.VolumeID(2)); err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	r := s.fsckStore(master.CheckOptions{})
	wantFindings(t, r, nil)
	if n := r.Pending[master.FindingFew].Count; n != 10 {
		t.Errorf("%d of 10 are short: %+v", n, r.Pending)
	}
}

// TestCrossedAnswers: a volume that says of a fresh id that it exists has stored the
// blob, or answers something else: what may be there is removed.
func TestCrossedAnswers(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{1, 3} {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			t.Parallel()
			s := newCopiesStore(t, 4, replicas)
			crossed := putFault(func(v *testVolume, p put) error {
				if err := v.store(p); err != nil {
					return err
				}
				return volume.ErrExists
			})
			s.volumes[0].fault.Store(&crossed)
			keys := s.fillKeys(20)
			if len(s.volumes[0].ids(t)) == 0 {
				t.Fatal("nothing was crossed")
			}
			wantFindings(t, s.fsckStore(master.CheckOptions{}), nil)
			s.wantAll(keys)
		})
	}
}

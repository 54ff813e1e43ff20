package volume_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// heldSync stops the first sync of a segment until it is let go.
type heldSync struct {
	once    sync.Once
	reached chan struct{}
	release chan *vfs.Fault
}

func holdSync(faulty *vfs.Faulty) *heldSync {
	h := &heldSync{reached: make(chan struct{}), release: make(chan *vfs.Fault)}
	faulty.SetPlan(vfs.Plan{Hook: func(call vfs.Call) (fault *vfs.Fault) {
		if call.Op == vfs.OpSync {
			h.once.Do(func() {
				close(h.reached)
				fault = <-h.release
			})
		}
		return fault
	}})
	return h
}

// gather starts a put that is held in its sync, and more that wait behind it.
func gather(t *testing.T, s *volume.Store, h *heldSync, waiting int) <-chan error {
	t.Helper()
	errs := make(chan error, waiting+1)
	start := func(n int) {
		id, data := blob(n, 100)
		go func() { errs <- put(context.Background(), s, id, data) }()
	}
	start(0)
	<-h.reached
	for n := range waiting {
		start(n + 1)
	}
	for s.Queued() < waiting {
		runtime.Gosched()
	}
	return errs
}

// TestGroupCommit shows that writers who wait for one sync share the next.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	const waiting = 50
	faulty := vfs.NewFaulty(vfs.NewMem(), vfs.Plan{})
	s := open(t, small(faulty))
	mustPut2(t, s, 1000, 10) // the segment is there
	h := holdSync(faulty)
	syncs, writes := status(t, s).Syncs, status(t, s).Writes
	calls := faulty.Count(vfs.OpWriteAt)
	errs := gather(t, s, h, waiting)
	first, _ := blob(1, 100)
	expectGone(t, s, first) // not visible before it is durable
	h.release <- nil
	for range waiting + 1 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	st := status(t, s)
	if st.Syncs-syncs != 2 || st.Writes-writes != waiting+1 {
		t.Errorf("%d syncs for %d writes, want 2 for %d", st.Syncs-syncs, st.Writes-writes, waiting+1)
	}
	if n := faulty.Count(vfs.OpWriteAt) - calls; n != 2 {
		t.Errorf("%d write calls, want one per batch", n)
	}
	checkStore(t, s)
	closeStore(t, s)
}

// TestFailedSyncTellsAllWaiters fails a sync behind which others wait.
func TestFailedSyncTellsAllWaiters(t *testing.T) {
	t.Parallel()
	const waiting = 20
	faulty := vfs.NewFaulty(vfs.NewMem(), vfs.Plan{})
	s := open(t, small(faulty))
	mustPut2(t, s, 1000, 10)
	h := holdSync(faulty)
	errs := gather(t, s, h, waiting)
	h.release <- &vfs.Fault{Err: syscall.EIO}
	for range waiting + 1 {
		if err := <-errs; !errors.Is(err, volume.ErrReadOnly) {
			t.Errorf("put: %v, want ErrReadOnly", err)
		}
	}
	if st := status(t, s); st.Blobs != 1 {
		t.Errorf("%d blobs visible, want the one from before", st.Blobs)
	}
	closeStore(t, s)
}

// TestCloseWaitsForWriters closes a store while writers wait for a sync.
func TestCloseWaitsForWriters(t *testing.T) {
	t.Parallel()
	const waiting = 5
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem, vfs.Plan{})
	s := open(t, small(faulty))
	h := holdSync(faulty)
	errs := gather(t, s, h, waiting)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	h.release <- nil
	for range waiting + 1 {
		if err := <-errs; err != nil && !errors.Is(err, volume.ErrUnavailable) {
			t.Error(err)
		}
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	s = open(t, small(mem))
	for n := range waiting + 1 {
		id, data := blob(n, 100)
		expect(t, s, id, data)
	}
	closeStore(t, s)
}

// TestRun starts the background work and ends it, by context and by Close.
func TestRun(t *testing.T) {
	t.Parallel()
	cfg := small(vfs.NewMem())
	cfg.ScrubBytesPerSecond = -1
	s := open(t, cfg)
	mustPut2(t, s, 1, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- s.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	go func() { done <- s.Run(t.Context()) }()
	closeStore(t, s)
	if err := <-done; err != nil && !errors.Is(err, volume.ErrUnavailable) {
		t.Error(err)
	}
}

// TestScrub finds damage that nobody reads.
func TestScrub(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	s := open(t, small(mem))
	for n := range 5 {
		mustPut2(t, s, n, 100+2000*n)
	}
	s.ScrubOnce(t.Context())
	if st := status(t, s); st.CorruptReads != 0 {
		t.Errorf("%d corrupt reads in a sound store", st.CorruptReads)
	}
	for _, n := range []int{1, 4} {
		id, _ := blob(n, 0)
		name, at := findRecord(t, small(mem), id)
		edit(t, mem, name, func(b []byte) []byte { b[at+70] ^= 1; return b })
	}
	s.ScrubOnce(t.Context())
	if st := status(t, s); st.CorruptReads != 2 {
		t.Errorf("%d corrupt reads, want 2", st.CorruptReads)
	}
	closeStore(t, s)
}

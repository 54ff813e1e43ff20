package badgerdb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"tdkvs/master/metadb"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// fakeEngine is the real store with a commit that can be watched, held up and
// made to fail.
type fakeEngine struct {
	*store
	entered chan int   // receives the number of keys of each commit
	proceed chan error // what the commit does: nil goes through
}

func (f *fakeEngine) commit(batch *overlay, mark []byte) error {
	f.entered <- batch.Len()
	err := <-f.proceed
	if err == nil {
		return f.store.commit(batch, mark)
	}
	return err
}

// withFake opens a store whose combiner commits by way of a fakeEngine.
func withFake(t *testing.T) (*DB, *fakeEngine) {
	t.Helper()
	db := mustOpen(t, t.TempDir(), Options{})
	db.combiner.close()
	f := &fakeEngine{store: db.store, entered: make(chan int), proceed: make(chan error)}
	db.combiner = newCombiner(f, db.combiner.space, int(db.store.bdb.MaxBatchSize()))
	return db, f
}

func receive[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
		panic("unreachable")
	}
}

func (f *fakeEngine) let(t *testing.T, err error) int {
	t.Helper()
	n := receive(t, "commit", f.entered)
	select {
	case f.proceed <- err:
	case <-time.After(patience):
		t.Fatal("the commit does not go on")
	}
	return n
}

func start(db *DB, ctx context.Context, fn func(metadb.Tx) error) <-chan error {
	ch := make(chan error, 1)
	go func() { ch <- db.Update(ctx, fn) }()
	return ch
}

// waitQueued waits until n requests are in the queue.
func waitQueued(t *testing.T, db *DB, n int) {
	t.Helper()
	queued := func() int {
		db.combiner.mu.Lock()
		defer db.combiner.mu.Unlock()
		return len(db.combiner.queue)
	}
	for deadline := time.Now().Add(patience); queued() < n; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests queued, want %d", queued(), n)
		}
	}
}

// TestBatch holds one commit up; what arrives meanwhile shares the next. One of
// it fails, one panics, one was canceled, and those after them see nothing of it.
func TestBatch(t *testing.T) {
	t.Parallel()
	db, f := withFake(t)
	first := start(db, t.Context(), set("first", "1"))
	receive(t, "first commit", f.entered)

	failure := errors.New("mine")
	ctx, cancel := context.WithCancel(t.Context())
	var got []<-chan error
	for i, fn := range []func(metadb.Tx) error{
		set("a", "1"),
		func(tx metadb.Tx) error { return errors.Join(set("a", "2")(tx), set("b", "2")(tx), failure) },
		func(tx metadb.Tx) error { _ = set("c", "3")(tx); panic("oh") },
		set("d", "canceled"),
		func(tx metadb.Tx) error {
			rows := ""
			err := tx.Scan(nil, nil, func(k, v []byte) (bool, error) { rows += fmt.Sprintf("%s=%s ", k, v); return true, nil })
			if err == nil && rows != "a=1 first=1 " {
				err = fmt.Errorf("the fifth closure sees %q", rows)
			}
			return errors.Join(err, tx.Delete([]byte("first")), set("e", "5")(tx))
		},
		func(tx metadb.Tx) error {
			if _, err := tx.Get([]byte("first")); !errors.Is(err, metadb.ErrNotFound) {
				return fmt.Errorf("the sixth closure does not see the fifth's deletion: %w", err)
			}
			return nil
		},
	} {
		c := t.Context()
		if i == 3 {
			c = ctx
		}
		got = append(got, start(db, c, fn))
		waitQueued(t, db, i+1) // in this order
	}
	cancel()
	if err := receive(t, "canceled Update", got[3]); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled Update = %v", err)
	}
	f.proceed <- nil
	if err := receive(t, "first Update", first); err != nil {
		t.Errorf("first Update: %v", err)
	}
	if n := f.let(t, nil); n != 3 { // a, e and the deletion of first
		t.Errorf("the batch wrote %d keys, want 3", n)
	}
	for i, ch := range got {
		if i == 3 {
			continue
		}
		switch err := receive(t, "Update", ch); {
		case i == 1 && !errors.Is(err, failure), i == 2 && err == nil, i != 1 && i != 2 && err != nil:
			t.Errorf("closure %d: %v", i, err)
		}
	}
	if s := db.Stats(); s.Commits != 2 || s.Updates != 4 {
		t.Errorf("stats %+v, want 2 commits of 4 updates", s)
	}
	expect(t, db, "a", "1")
	expect(t, db, "e", "5")
}

// TestFailedCommit: the outcome of a failed commit is unknown, so nobody is told
// success, nobody reads it, and nothing more is written.
func TestFailedCommit(t *testing.T) {
	t.Parallel()
	db, f := withFake(t)
	ok := start(db, t.Context(), set("a", "1"))
	f.let(t, nil)
	if err := receive(t, "Update", ok); err != nil {
		t.Fatal(err)
	}

	doomed := start(db, t.Context(), set("a", "2"))
	receive(t, "commit", f.entered)
	queued := []<-chan error{
		start(db, t.Context(), set("b", "1")),
		start(db, t.Context(), func(tx metadb.Tx) error { return errors.New("own error") }),
	}
	waitQueued(t, db, 2)
	cause := errors.New("EIO")
	f.proceed <- cause
	if err := receive(t, "failed Update", doomed); !errors.Is(err, metadb.ErrFailed) || !errors.Is(err, cause) {
		t.Errorf("Update = %v, want ErrFailed and its cause", err)
	}
	for _, ch := range queued {
		if err := receive(t, "queued Update", ch); !errors.Is(err, metadb.ErrFailed) {
			t.Errorf("queued Update = %v, want ErrFailed", err)
		}
	}
	if err := db.Update(t.Context(), set("c", "1")); !errors.Is(err, metadb.ErrFailed) {
		t.Errorf("later Update = %v, want ErrFailed", err)
	}
	if err := db.Failed(); !errors.Is(err, metadb.ErrFailed) {
		t.Errorf("Failed = %v", err)
	}
	expect(t, db, "a", "1")
}

// TestBatchBounds: a batch takes no more closures than it may, nor more bytes
// than a transaction of the engine holds.
func TestBatchBounds(t *testing.T) {
	t.Parallel()
	db, f := withFake(t)
	held := start(db, t.Context(), set("first", "1"))
	receive(t, "commit", f.entered)
	var wg sync.WaitGroup
	for i := range maxBatch + 10 {
		wg.Go(func() {
			if err := db.Update(t.Context(), set(fmt.Sprint("k", i), "v")); err != nil {
				t.Error(err)
			}
		})
	}
	waitQueued(t, db, maxBatch+10)
	f.proceed <- nil
	if err := receive(t, "Update", held); err != nil {
		t.Error(err)
	}
	if n := f.let(t, nil); n != maxBatch {
		t.Errorf("the first batch has %d closures, want %d", n, maxBatch)
	}
	if n := f.let(t, nil); n != 10 {
		t.Errorf("the second batch has %d closures, want 10", n)
	}
	wg.Wait()
}

// TestQueueWhenClosing: what is queued when the store closes is either done or
// told so.
func TestQueueWhenClosing(t *testing.T) {
	t.Parallel()
	db, f := withFake(t)
	held := start(db, t.Context(), set("first", "1"))
	receive(t, "commit", f.entered)
	var queued []<-chan error
	for i := range 5 {
		queued = append(queued, start(db, t.Context(), set(fmt.Sprint("k", i), "v")))
	}
	waitQueued(t, db, 5)
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	eventually(t, "the store closes", func() bool {
		db.combiner.mu.Lock()
		defer db.combiner.mu.Unlock()
		return db.combiner.closed
	})
	f.proceed <- nil
	if err := receive(t, "Update under way", held); err != nil {
		t.Errorf("Update under way: %v", err)
	}
	go func() { // should it still take the queued ones
		for {
			select {
			case <-f.entered:
				f.proceed <- nil
			case <-db.combiner.stopped:
				return
			}
		}
	}()
	for _, ch := range queued {
		if err := receive(t, "queued Update", ch); err != nil && !errors.Is(err, metadb.ErrClosed) {
			t.Errorf("queued Update = %v, want nil or ErrClosed", err)
		}
	}
	if err := receive(t, "Close", closed); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// TestRequestsAreNotMixedUp: requests are used again. Whatever becomes of a call, given up,
// failed or done, it gets the outcome of its own function.
func TestRequestsAreNotMixedUp(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, t.TempDir(), Options{})
	var wg sync.WaitGroup
	for caller := range 16 {
		wg.Go(func() {
			for i := range 40 {
				own := fmt.Errorf("of call %d of caller %d", i, caller)
				key, value := fmt.Sprintf("%d/%d", caller, i), own.Error()
				ctx, cancel := context.WithCancel(t.Context())
				if i%3 == 0 {
					go func() {
						time.Sleep(time.Duration(i*caller) * 10 * time.Microsecond)
						cancel()
					}()
				}
				ran := false
				err := db.Update(ctx, func(tx metadb.Tx) error {
					ran = true
					return errors.Join(set(key, value)(tx), map[bool]error{true: own}[i%4 == 1])
				})
				cancel()
				switch {
				case errors.Is(err, context.Canceled) && i%3 == 0 && !ran: // given up in time
				case errors.Is(err, own) && i%4 == 1 && ran:
				case err == nil && i%4 != 1 && ran:
					expect(t, db, key, value)
					continue
				default:
					t.Errorf("%s: ran %v, %v", value, ran, err)
				}
				if err := db.View(t.Context(), func(tx metadb.Tx) error { _, err := tx.Get([]byte(key)); return err }); !errors.Is(err, metadb.ErrNotFound) {
					t.Errorf("%s: what it wrote is there: %v", value, err)
				}
			}
		})
	}
	wg.Wait()
}

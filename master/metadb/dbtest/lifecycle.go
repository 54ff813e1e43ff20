package dbtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master/metadb"
)

var lifecycleTests = []test{
	{name: "CanceledBefore", run: testCanceledBefore},
	{name: "CanceledWhileWaiting", run: testCanceledWhileWaiting},
	{name: "Panic", run: testPanic},
	{name: "Goexit", run: testGoexit},
	{name: "Closed", run: testClosed},
	{name: "CloseWaits", run: testCloseWaits},
	{name: "CloseUnderLoad", run: testCloseUnderLoad},
	{name: "Reopen", durable: true, run: testReopen},
	{name: "ReopenMany", durable: true, run: testReopenMany},
	{name: "Locked", durable: true, run: testLocked},
}

func testCanceledBefore(t *testing.T, e Engine) {
	db := open(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fn := func(tx metadb.Tx) error {
		t.Error("the function ran")
		return nil
	}
	if err := db.Update(ctx, fn); !errors.Is(err, context.Canceled) {
		t.Errorf("Update = %v, want context.Canceled", err)
	}
	if err := db.View(ctx, fn); !errors.Is(err, context.Canceled) {
		t.Errorf("View = %v, want context.Canceled", err)
	}
}

// testCanceledWhileWaiting keeps the store busy with one transaction and cancels
// others meanwhile: what reports a cancellation must not be there, and what
// reports success must.
func testCanceledWhileWaiting(t *testing.T, e Engine) {
	db := open(t, e)
	started, release := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	busy := async(t.Context(), db, func(tx metadb.Tx) error {
		if once.CompareAndSwap(false, true) {
			close(started)
			<-release
		}
		return tx.Set([]byte("busy"), []byte("done"))
	})
	await(t, "start of the first transaction", started)

	ctx, cancel := context.WithCancel(t.Context())
	const n = 8
	var results [n]<-chan error
	for i := range n {
		results[i] = async(ctx, db, func(tx metadb.Tx) error {
			return tx.Set(fmt.Appendf(nil, "waiting/%d", i), nil)
		})
	}
	cancel()
	applied := []string{}
	for i := range n {
		err := await(t, "canceled Update", results[i])
		switch {
		case err == nil:
			applied = append(applied, fmt.Sprintf("waiting/%d=", i))
		case !errors.Is(err, context.Canceled):
			t.Errorf("Update = %v, want nil or context.Canceled", err)
		}
	}
	close(release)
	if err := await(t, "first transaction", busy); err != nil {
		t.Fatal(err)
	}
	put(t, db, "after", "1")
	view(t, db, func(tx metadb.Tx) error {
		return checkRange(tx, []byte("busy"), nil, append([]string{"busy=done"}, applied...))
	})
}

// survives checks that the store goes on after a closure went wrong.
func survives(t *testing.T, db metadb.DB) {
	t.Helper()
	put(t, db, "after", "1")
	view(t, db, func(tx metadb.Tx) error { return checkRange(tx, nil, nil, []string{"after=1"}) })
	if err := db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// testPanic accepts that a panic reaches the caller or comes back as an error.
func testPanic(t *testing.T, e Engine) {
	db := open(t, e)
	run := func(do func(context.Context, func(metadb.Tx) error) error, fn func(metadb.Tx) error) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("panic: %v", v)
			}
		}()
		return do(t.Context(), fn)
	}
	err := run(db.Update, func(tx metadb.Tx) error {
		if err := tx.Set([]byte("k"), []byte("v")); err != nil {
			return err
		}
		panic("in a transaction")
	})
	if err == nil {
		t.Error("Update swallowed a panic")
	}
	if err := run(db.View, func(metadb.Tx) error { panic("in a snapshot") }); err == nil {
		t.Error("View swallowed a panic")
	}
	survives(t, db)
}

// testGoexit is what t.FailNow does inside a closure.
func testGoexit(t *testing.T, e Engine) {
	db := open(t, e)
	for _, do := range []func(context.Context, func(metadb.Tx) error) error{db.Update, db.View} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := do(t.Context(), func(metadb.Tx) error { runtime.Goexit(); return nil }); err == nil {
				t.Error("an abandoned closure was taken for done")
			}
		}()
		await(t, "abandoned closure", done)
	}
	survives(t, db)
}

func testClosed(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "a", "1")
	if err := db.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	fn := func(metadb.Tx) error {
		t.Error("the function ran")
		return nil
	}
	if err := db.Update(t.Context(), fn); !errors.Is(err, metadb.ErrClosed) {
		t.Errorf("Update = %v, want ErrClosed", err)
	}
	if err := db.View(t.Context(), fn); !errors.Is(err, metadb.ErrClosed) {
		t.Errorf("View = %v, want ErrClosed", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	_ = db.Stats() // still answers
}

func testCloseWaits(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "a", "1")
	started, release := make(chan struct{}), make(chan struct{})
	var finished atomic.Bool
	viewed := make(chan error, 1)
	go func() {
		viewed <- db.View(context.WithoutCancel(t.Context()), func(tx metadb.Tx) error {
			close(started)
			<-release
			defer finished.Store(true)
			return errors.Join(check(tx, "a", "1"), checkRange(tx, nil, nil, []string{"a=1"}))
		})
	}()
	await(t, "View", started)
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		err := db.View(t.Context(), func(metadb.Tx) error { return nil })
		if errors.Is(err, metadb.ErrClosed) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("Close does not turn new transactions away")
		}
	}
	close(release)
	if err := await(t, "Close", closed); err != nil {
		t.Errorf("Close: %v", err)
	}
	if !finished.Load() {
		t.Error("Close did not wait for the transaction under way")
	}
	if err := await(t, "View", viewed); err != nil {
		t.Errorf("View under way: %v", err)
	}
}

// testCloseUnderLoad closes among writers: each gets success or ErrClosed.
func testCloseUnderLoad(t *testing.T, e Engine) {
	db := open(t, e)
	var committed atomic.Int64
	go func() {
		for committed.Load() < 20 {
			runtime.Gosched()
		}
		_ = db.Close()
	}()
	inParallel(t, 8, func(g int) error {
		for i := 0; ; i++ {
			err := db.Update(t.Context(), func(tx metadb.Tx) error { return tx.Set(fmt.Appendf(nil, "%d/%d", g, i), nil) })
			if errors.Is(err, metadb.ErrClosed) {
				return nil
			}
			if err != nil {
				return err
			}
			committed.Add(1)
		}
	})
	if err := db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func testReopen(t *testing.T, e Engine) {
	dir := t.TempDir()
	db := openAt(t, e, dir)
	put(t, db, "a", "1", "b", "2", "c", string(repeat('x', metadb.MaxValue)))
	update(t, db, func(tx metadb.Tx) error { return tx.Delete([]byte("b")) })
	for round := range 3 {
		if err := db.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		db = openAt(t, e, dir)
		want(t, db, "a", fmt.Sprint(round+1))
		want(t, db, "b", absent)
		want(t, db, "c", string(repeat('x', metadb.MaxValue)))
		put(t, db, "a", fmt.Sprint(round+2))
	}
}

// testReopenMany overwrites and deletes a good number of keys, enough that an
// engine has to rotate its logs, and looks at each after reopening.
func testReopenMany(t *testing.T, e Engine) {
	dir := t.TempDir()
	db := openAt(t, e, dir)
	const rows, width = 1000, 8 << 10
	key := func(i int) []byte { return fmt.Appendf(nil, "row/%05d", i) }
	value := func(i, pass int) []byte { return repeat(byte(i+pass), width) }
	for pass := range 3 {
		inParallel(t, 4, func(g int) error {
			for i := g * 50; i < rows; i += 4 * 50 {
				err := db.Update(t.Context(), func(tx metadb.Tx) error {
					for j := i; j < i+50; j++ {
						var err error
						if pass == 2 && j%5 == 0 {
							err = tx.Delete(key(j))
						} else {
							err = tx.Set(key(j), value(j, pass))
						}
						if err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	verify := func(tx metadb.Tx) error {
		for i := range rows {
			v := string(value(i, 2))
			if i%5 == 0 {
				v = absent
			}
			if err := check(tx, string(key(i)), v); err != nil {
				return err
			}
		}
		n := 0
		err := tx.Scan([]byte("row/"), []byte("row0"), func(_, _ []byte) (bool, error) { n++; return true, nil })
		if err == nil && n != rows*4/5 {
			err = fmt.Errorf("%d rows, want %d", n, rows*4/5)
		}
		return err
	}
	view(t, db, verify)
	if err := db.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	db = openAt(t, e, dir)
	view(t, db, verify)
}

// testLocked needs Open to fail the testing.TB it is given, with the cause.
func testLocked(t *testing.T, e Engine) {
	dir := t.TempDir()
	db := openAt(t, e, dir)
	put(t, db, "a", "1")
	rec := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if second := e.Open(rec, dir); second != nil {
			_ = second.Close()
		}
	}()
	await(t, "second Open", done)
	if !errors.Is(rec.err, metadb.ErrLocked) {
		t.Errorf("opening a directory twice gave %v, want ErrLocked", rec.err)
	}
	put(t, db, "a", "2")
	want(t, db, "a", "2")
}

// recorder is a testing.TB that keeps what it is failed with.
type recorder struct {
	testing.TB
	err error
}

func (r *recorder) Helper() {}

func (r *recorder) Fatal(args ...any) {
	for _, a := range args {
		if err, ok := a.(error); ok {
			r.err = err
		}
	}
	runtime.Goexit()
}

func (r *recorder) Fatalf(_ string, args ...any) { r.Fatal(args...) }

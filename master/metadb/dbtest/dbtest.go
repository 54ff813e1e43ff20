package dbtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tdkvs/master/metadb"
)

// patience bounds every wait of the suite; reaching it is a failure.
const patience = 30 * time.Second

// Engine says how to open the engine under test.
type Engine struct {
	// Open opens the store in dir, making it where it does not exist. It fails
	// the test itself when it can not. The suite closes what it opened.
	Open func(t testing.TB, dir string) metadb.DB
	// Volatile engines forget everything when closed; the tests of durability
	// do not apply to them.
	Volatile bool
}

// Run holds an engine to the whole contract.
func Run(t *testing.T, e Engine) {
	groups := []struct {
		name  string
		tests []test
	}{
		{"Basic", basicTests},
		{"Scan", scanTests},
		{"Isolation", isolationTests},
		{"Limits", limitTests},
		{"Lifecycle", lifecycleTests},
		{"Model", modelTests},
		{"Follow", followTests},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, tc := range g.tests {
				if tc.durable && e.Volatile {
					continue
				}
				t.Run(tc.name, func(t *testing.T) {
					t.Parallel()
					tc.run(t, e)
				})
			}
		})
	}
}

type test struct {
	name    string
	durable bool // only for engines that keep what they hold
	run     func(t *testing.T, e Engine)
}

// open opens a fresh store that ends with the test.
func open(t *testing.T, e Engine) metadb.DB {
	t.Helper()
	return openAt(t, e, t.TempDir())
}

func openAt(t *testing.T, e Engine, dir string) metadb.DB {
	t.Helper()
	db := e.Open(t, dir)
	t.Cleanup(func() { _ = db.Close() }) // many tests close it themselves
	return db
}

// update commits fn or fails the test.
func update(t *testing.T, db metadb.DB, fn func(metadb.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// view runs fn over a snapshot or fails the test.
func view(t *testing.T, db metadb.DB, fn func(metadb.Tx) error) {
	t.Helper()
	if err := db.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// put commits pairs of key and value.
func put(t *testing.T, db metadb.DB, pairs ...string) {
	t.Helper()
	update(t, db, func(tx metadb.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Set([]byte(pairs[i]), []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
}

// want fails unless key has the value; a value of absent means no such key.
func want(t *testing.T, db metadb.DB, key, value string) {
	t.Helper()
	view(t, db, func(tx metadb.Tx) error { return check(tx, key, value) })
}

const absent = "\x00absent"

func check(tx metadb.Tx, key, value string) error {
	got, err := tx.Get([]byte(key))
	switch {
	case value == absent && errors.Is(err, metadb.ErrNotFound):
		return nil
	case value == absent && err == nil:
		return fmt.Errorf("Get(%q) = %q, want no such key", key, got)
	case err != nil:
		return fmt.Errorf("Get(%q): %w, want %q", key, err, value)
	case string(got) != value:
		return fmt.Errorf("Get(%q) = %q, want %q", key, got, value)
	}
	return nil
}

// scan collects [start, end) as "key=value" strings, by Scan.
func scan(tx metadb.Tx, start, end []byte) ([]string, error) {
	out := []string{}
	err := tx.Scan(start, end, func(k, v []byte) (bool, error) {
		out = append(out, string(k)+"="+string(v))
		return true, nil
	})
	return out, err
}

// seek collects [start, end) as "key=value" strings, by a cursor.
func seek(tx metadb.Tx, start, end []byte) ([]string, error) {
	out := []string{}
	c := tx.Seek(start, end)
	for ; c.Valid(); c.Next() {
		v, err := c.Value()
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		out = append(out, string(c.Key())+"="+string(v))
	}
	return out, c.Close()
}

// checkRange compares [start, end) with want, by both ways of reading it.
func checkRange(tx metadb.Tx, start, end []byte, want []string) error {
	for _, way := range []struct {
		name string
		read func(metadb.Tx, []byte, []byte) ([]string, error)
	}{{"Scan", scan}, {"Seek", seek}} {
		got, err := way.read(tx, start, end)
		if err != nil {
			return fmt.Errorf("%s(%q, %q): %w", way.name, start, end, err)
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			return fmt.Errorf("%s(%q, %q) = %q, want %q", way.name, start, end, got, want)
		}
	}
	return nil
}

// await receives from ch or fails the test.
func await[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
		panic("unreachable")
	}
}

// async runs an Update beside the test and hands back its error.
func async(ctx context.Context, db metadb.DB, fn func(metadb.Tx) error) <-chan error {
	ch := make(chan error, 1)
	go func() { ch <- db.Update(ctx, fn) }()
	return ch
}

func repeat(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

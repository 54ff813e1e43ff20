package dbtest

import (
	"errors"
	"fmt"
	"testing"

	"tdkvs/master/metadb"
)

var scanTests = []test{
	{name: "OrderAndBounds", run: testOrderAndBounds},
	{name: "StopsEarly", run: testScanStopsEarly},
	{name: "Cursor", run: testCursor},
	{name: "CursorJumps", run: testCursorJumps},
	{name: "CursorsSideBySide", run: testCursorsSideBySide},
	{name: "CursorSeesLaterWrites", run: testCursorSeesLaterWrites},
	{name: "CursorClosed", run: testCursorClosed},
}

func testOrderAndBounds(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "d", "4", "a", "1", "c", "3", "b", "2")
	cases := []struct {
		start, end []byte
		want       []string
	}{
		{nil, nil, []string{"a=1", "b=2", "c=3", "d=4"}},
		{[]byte{}, nil, []string{"a=1", "b=2", "c=3", "d=4"}},
		{[]byte("b"), nil, []string{"b=2", "c=3", "d=4"}},
		{[]byte("b"), []byte("d"), []string{"b=2", "c=3"}},
		{[]byte("b0"), []byte("d"), []string{"c=3"}},
		{nil, []byte("c"), []string{"a=1", "b=2"}},
		{[]byte("c"), []byte("c"), []string{}},
		{[]byte("d"), []byte("a"), []string{}},
		{nil, []byte{}, []string{}},
		{[]byte("e"), nil, []string{}},
		{[]byte("d"), []byte("zzz"), []string{"d=4"}},
	}
	both := func(tx metadb.Tx) error {
		for _, c := range cases {
			if err := checkRange(tx, c.start, c.end, c.want); err != nil {
				return err
			}
		}
		return nil
	}
	view(t, db, both)
	update(t, db, both)
	update(t, db, func(tx metadb.Tx) error { // the same from the transaction's own writes
		for _, k := range []string{"a", "b", "c", "d"} {
			v, err := tx.Get([]byte(k))
			if err != nil {
				return err
			}
			if err := errors.Join(tx.Delete([]byte(k)), tx.Set([]byte(k), v)); err != nil {
				return err
			}
		}
		return both(tx)
	})
}

func testScanStopsEarly(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "a", "1", "b", "2", "c", "3")
	failure := errors.New("enough")
	view(t, db, func(tx metadb.Tx) error {
		n := 0
		if err := tx.Scan(nil, nil, func(_, _ []byte) (bool, error) { n++; return n < 2, nil }); err != nil || n != 2 {
			return fmt.Errorf("a Scan went over %d keys, %w, want 2", n, err)
		}
		n = 0
		err := tx.Scan(nil, nil, func(_, _ []byte) (bool, error) { n++; return true, failure })
		if !errors.Is(err, failure) || n != 1 {
			return fmt.Errorf("a Scan went over %d keys, %w, want 1 and the error of its function", n, err)
		}
		return nil
	})
}

func testCursor(t *testing.T, e Engine) {
	db := open(t, e)
	view(t, db, func(tx metadb.Tx) error {
		c := tx.Seek(nil, nil)
		if c.Valid() {
			return errors.Join(errors.New("a cursor over nothing is valid"), c.Close())
		}
		c.Next()
		c.SeekTo([]byte("a"))
		if c.Valid() {
			return errors.Join(errors.New("a cursor over nothing became valid"), c.Close())
		}
		return c.Close()
	})
}

// jumps moves a cursor over a, b, bb, c, d within [a, d) and says where it is.
func jumps(tx metadb.Tx) error {
	c := tx.Seek([]byte("a"), []byte("d"))
	steps := []struct {
		to   string // empty: Next
		want string // empty: not valid
	}{
		{"a", "a"}, // where it is
		{"b", "b"}, // an existing key
		{"a", "b"}, // never backward
		{"b", "b"},
		{"ba", "bb"}, // between keys
		{"", "c"},
		{"bb", "c"},
		{"cc", ""}, // beyond the last key, before end
		{"a", ""},  // and it stays there
		{"", ""},
	}
	for i, s := range steps {
		if s.to == "" {
			c.Next()
		} else {
			c.SeekTo([]byte(s.to))
		}
		switch {
		case c.Valid() != (s.want != ""):
			return errors.Join(fmt.Errorf("step %d, to %q: valid is %v", i, s.to, c.Valid()), c.Close())
		case c.Valid() && string(c.Key()) != s.want:
			return errors.Join(fmt.Errorf("step %d, to %q: at %q, want %q", i, s.to, c.Key(), s.want), c.Close())
		case c.Valid():
			if v, err := c.Value(); err != nil || string(v) != "v"+s.want {
				return errors.Join(fmt.Errorf("step %d: value %q, %w", i, v, err), c.Close())
			}
		}
	}
	if err := c.Close(); err != nil {
		return err
	}
	c = tx.Seek([]byte("a"), []byte("d"))
	c.SeekTo([]byte("d")) // d exists, but the end is exclusive
	if c.Valid() {
		return errors.Join(fmt.Errorf("beyond its end the cursor is at %q", c.Key()), c.Close())
	}
	return c.Close()
}

func testCursorJumps(t *testing.T, e Engine) {
	db := open(t, e)
	update(t, db, func(tx metadb.Tx) error {
		for _, k := range []string{"a", "b", "bb", "c", "d"} {
			if err := tx.Set([]byte(k), []byte("v"+k)); err != nil {
				return err
			}
		}
		return jumps(tx)
	})
	view(t, db, jumps)
	update(t, db, func(tx metadb.Tx) error { // half committed, half its own
		err := errors.Join(
			tx.Delete([]byte("b")), tx.Set([]byte("b"), []byte("vb")),
			tx.Set([]byte("ab"), nil), tx.Delete([]byte("ab")),
			tx.Set([]byte("c"), []byte("vc")),
		)
		return errors.Join(err, jumps(tx))
	})
}

func testCursorsSideBySide(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "a", "1", "b", "2", "c", "3")
	walk := func(tx metadb.Tx) error {
		one, two := tx.Seek(nil, nil), tx.Seek([]byte("b"), nil)
		one.Next()
		one.Next()
		err := checkRange(tx, nil, nil, []string{"a=1", "b=2", "c=3"})
		if err == nil && (!one.Valid() || !two.Valid() || string(one.Key()) != "c" || string(two.Key()) != "b") {
			err = errors.New("cursors disturb each other")
		}
		return errors.Join(err, one.Close(), two.Close())
	}
	view(t, db, walk)
	update(t, db, walk)
}

// testCursorSeesLaterWrites allows a cursor to show or to miss what the
// transaction wrote ahead of it since, but not to lose its place, repeat or
// skip any other key.
func testCursorSeesLaterWrites(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "a", "1", "b", "2", "c", "3", "d", "4")
	update(t, db, func(tx metadb.Tx) error {
		c := tx.Seek(nil, nil)
		var seen string
		for ; c.Valid(); c.Next() {
			k := string(c.Key())
			seen += k
			err := errors.Join(
				tx.Set([]byte(k), []byte("touched")),
				tx.Set([]byte("0"+k), []byte("behind")),
			)
			if k == "b" {
				err = errors.Join(err, tx.Delete([]byte("b")))
			}
			if err != nil {
				return errors.Join(err, c.Close())
			}
		}
		if seen != "abcd" {
			return errors.Join(fmt.Errorf("the cursor went over %q, want abcd", seen), c.Close())
		}
		return c.Close()
	})
	view(t, db, func(tx metadb.Tx) error {
		return checkRange(tx, []byte("a"), nil, []string{"a=touched", "c=touched", "d=touched"})
	})
}

func testCursorClosed(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "a", "1", "b", "2")
	view(t, db, func(tx metadb.Tx) error {
		c := tx.Seek(nil, nil)
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			return err
		}
		c.Next()
		c.SeekTo([]byte("b"))
		if c.Valid() {
			return errors.New("a closed cursor is valid")
		}
		return nil
	})
	// One left open must not keep the store from closing.
	view(t, db, func(tx metadb.Tx) error {
		if c := tx.Seek(nil, nil); !c.Valid() {
			return errors.New("no key found")
		}
		return nil
	})
	if err := db.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

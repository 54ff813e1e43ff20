package badgerdb

import (
	"fmt"
	"strings"
	"testing"

	"tdkvs/master/metadb"
)

// A walk shows what keys hold now, once, however often they were written or
// deleted before: less often than it takes to jump, as often, and more often.
func TestWalkPastStaleValues(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, t.TempDir(), Options{MemTableSize: smallest})
	update := func(fn func(metadb.Tx) error) {
		t.Helper()
		if err := db.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	for n := range 2*maxStale + 4 {
		for i := range n + 1 {
			update(set(fmt.Sprintf("%02d", n), fmt.Sprint(i)))
			update(set(fmt.Sprintf("%02d gone", n), fmt.Sprint(i)))
		}
		update(func(tx metadb.Tx) error { return tx.Delete([]byte(fmt.Sprintf("%02d gone", n))) })
		want = append(want, fmt.Sprintf("%02d=%d", n, n))
	}
	walk := func(start, end string, move func(c metadb.Cursor)) string {
		t.Helper()
		var got []string
		err := db.View(t.Context(), func(tx metadb.Tx) error {
			c := tx.Seek([]byte(start), []byte(end))
			for ; c.Valid(); move(c) {
				v, err := c.Value()
				if err != nil {
					return err
				}
				got = append(got, string(c.Key())+"="+string(v))
			}
			return c.Close()
		})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(got, " ")
	}
	for first := range want {
		rest := strings.Join(want[first:], " ")
		start := fmt.Sprintf("%02d", first)
		if got := walk(start, "~", metadb.Cursor.Next); got != rest {
			t.Errorf("by Next from %s: got %s, want %s", start, got, rest)
		}
		if got := walk(start, "~", func(c metadb.Cursor) { c.SeekTo(append([]byte(nil), string(c.Key())+" "...)) }); got != rest {
			t.Errorf("by SeekTo from %s: got %s, want %s", start, got, rest)
		}
		if got := walk(start, start+" ", metadb.Cursor.Next); got != want[first] {
			t.Errorf("only %s: got %s", start, got)
		}
	}
}

// BenchmarkWalkBesideHotKey walks three keys of which one was written often.
func BenchmarkWalkBesideHotKey(b *testing.B) {
	for _, writes := range []int{1, 20000} {
		b.Run(fmt.Sprint(writes), func(b *testing.B) {
			db := mustOpen(b, b.TempDir(), Options{})
			for _, key := range []string{"a", "c"} {
				if err := db.Update(b.Context(), set(key, "")); err != nil {
					b.Fatal(err)
				}
			}
			for range writes {
				if err := db.Update(b.Context(), set("b", strings.Repeat("x", 300))); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				err := db.View(b.Context(), func(tx metadb.Tx) error {
					return tx.Scan(nil, nil, func(_, _ []byte) (bool, error) { return true, nil })
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

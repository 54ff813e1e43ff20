package badgerdb

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"tdkvs/master/metadb"
)

func (c *rowCache) held() (rows, size int) {
	for i := range c.parts {
		p := &c.parts[i]
		for _, generation := range []map[string]cachedRow{p.young, p.old} {
			for key, row := range generation {
				rows++
				size += rowSize([]byte(key), row)
			}
		}
	}
	return rows, size
}

// TestRowCacheRefusesWhatIsOld goes through the orders in which a read and a commit
// can meet.
func TestRowCacheRefusesWhatIsOld(t *testing.T) {
	t.Parallel()
	key, first, second := []byte("k"), cachedRow{value: []byte("1"), since: 3}, cachedRow{value: []byte("2"), since: 5}
	for _, tt := range []struct {
		name string
		do   func(c *rowCache)
		seq  uint64
		want *cachedRow // nil: the cache does not know
	}{
		{"read", func(c *rowCache) { c.put(key, first, 3) }, 4, &first},
		{"read in an earlier snapshot", func(c *rowCache) { c.put(key, first, 3) }, 2, nil},
		{"read, then written", func(c *rowCache) { c.put(key, first, 4); c.replace(key, second.value, 5) }, 5, &second},
		{"and asked for before", func(c *rowCache) { c.put(key, first, 4); c.replace(key, second.value, 5) }, 4, nil},
		{"written, then put by one who read before", func(c *rowCache) { c.replace(key, second.value, 5); c.put(key, first, 4) }, 5, nil},
		{"the same, asked for before", func(c *rowCache) { c.replace(key, second.value, 5); c.put(key, first, 4) }, 4, nil},
		{"written, then put by one who read after", func(c *rowCache) { c.replace(key, second.value, 5); c.put(key, second, 5) }, 5, &second},
		{"read, then deleted", func(c *rowCache) { c.put(key, first, 4); c.replace(key, nil, 5) }, 5, &cachedRow{value: nil, since: 5}},
		{"found missing", func(c *rowCache) { c.put(key, cachedRow{value: nil, since: 4}, 4) }, 4, &cachedRow{value: nil, since: 4}},
		{"found missing, asked for before", func(c *rowCache) { c.put(key, cachedRow{value: nil, since: 4}, 4) }, 3, nil},
		{"found missing, then written", func(c *rowCache) { c.put(key, cachedRow{value: nil, since: 4}, 4); c.replace(key, second.value, 5) }, 5, &second},
		{"too long", func(c *rowCache) { c.put(key, cachedRow{value: make([]byte, cacheRow+1), since: 3}, 3) }, 4, nil},
		{"becomes too long", func(c *rowCache) { c.put(key, first, 3); c.replace(key, make([]byte, cacheRow+1), 4) }, 4, nil},
		{"passed to the old generation, then written", func(c *rowCache) {
			c.put(key, first, 3)
			c.age(key)
			c.replace(key, second.value, 5)
		}, 5, nil},
		{"passed to the old generation", func(c *rowCache) { c.put(key, first, 3); c.age(key) }, 5, &first},
		{"passed twice", func(c *rowCache) { c.put(key, first, 3); c.age(key); c.age(key) }, 5, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newRowCache()
			tt.do(c)
			row, ok := c.get(key, tt.seq)
			if want := tt.want; ok != (want != nil) || ok && (row.since != want.since || !bytes.Equal(row.value, want.value) || (row.value == nil) != (want.value == nil)) {
				t.Fatalf("the snapshot of commit %d is given %v, %v; want %v", tt.seq, row, ok, want)
			}
		})
	}
}

// age makes the young generation of a key's part the old one.
func (c *rowCache) age(key []byte) {
	p := c.part(key)
	p.young, p.old, p.size = map[string]cachedRow{}, p.young, 0
}

func TestRowCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newRowCache()
	for i := range 100_000 {
		key := []byte("key " + strconv.Itoa(i))
		c.put(key, cachedRow{value: make([]byte, i%1000), since: 1}, 1)
		c.get([]byte("key "+strconv.Itoa(i/2)), 1)
		if i%5 == 0 {
			c.decoded(key, 1, i)
		}
		if i%3 == 0 {
			c.replace(key, make([]byte, i%2000), 1)
		}
	}
	rows, size := c.held()
	if most := cacheBytes + cacheParts*(cacheRow+cacheOverhead+20); size > most || rows < 1000 {
		t.Fatalf("%d rows of %d bytes are held, want at most %d bytes", rows, size, most)
	}
	for i := range c.parts {
		p, size := &c.parts[i], 0
		for key, row := range p.young {
			size += rowSize([]byte(key), row)
		}
		if size != p.size {
			t.Fatalf("a generation of %d bytes is taken for one of %d", size, p.size)
		}
	}
}

// TestViewsBesideCommits has Views open while their keys are written, deleted and
// made: each goes on to see its own state, whether it has read the keys before
// or not, and leaves nothing of it to those that come later.
func TestViewsBesideCommits(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{false, true} {
		t.Run(fmt.Sprint("known before ", known), func(t *testing.T) {
			t.Parallel()
			db := mustOpen(t, t.TempDir(), Options{})
			update := func(fns ...func(metadb.Tx) error) {
				t.Helper()
				for _, fn := range fns {
					if err := db.Update(t.Context(), fn); err != nil {
						t.Fatal(err)
					}
				}
			}
			update(set("changed", "old"), set("deleted", "old"))
			before := map[string]string{"changed": "old", "deleted": "old", "made": ""}
			after := map[string]string{"changed": "new", "deleted": "", "made": "new"}
			err := db.View(t.Context(), func(old metadb.Tx) error {
				if known {
					if err := holds(old, before); err != nil {
						return err
					}
				}
				update(set("changed", "new"), set("made", "new"), func(tx metadb.Tx) error { return tx.Delete([]byte("deleted")) })
				for range 2 {
					if err := holds(old, before); err != nil {
						return fmt.Errorf("the View from before: %w", err)
					}
					if err := db.View(t.Context(), func(tx metadb.Tx) error { return holds(tx, after) }); err != nil {
						return fmt.Errorf("a View from after: %w", err)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// holds reports a key that does not hold what it should; "" stands for nothing.
func holds(tx metadb.Tx, want map[string]string) error {
	for key, value := range want {
		got, err := tx.Get([]byte(key))
		if errors.Is(err, metadb.ErrNotFound) && value == "" {
			continue
		}
		if err != nil || string(got) != value {
			return fmt.Errorf("%q holds %q, %v; want %q", key, got, err, value)
		}
	}
	return nil
}

// TestReadersBesideWriters has readers ask for the keys that writers count up and
// delete in turns: whoever begins to read after a write was acknowledged sees it
// or a later one, two keys that are written together are never seen apart, and no
// reader sees a key go back.
func TestReadersBesideWriters(t *testing.T) {
	t.Parallel()
	const keys, rounds, readers = 4, 300, 4
	db := mustOpen(t, t.TempDir(), Options{})
	var acknowledged [keys]atomic.Int64
	var writing, reading sync.WaitGroup
	for k := range keys {
		writing.Go(func() {
			for n := int64(1); n <= rounds; n++ {
				if err := db.Update(t.Context(), writePair(k, n)); err != nil {
					t.Error(err)
					return
				}
				acknowledged[k].Store(n)
			}
		})
	}
	done := make(chan struct{})
	for range readers {
		reading.Go(func() {
			var seen [keys]int64
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				k := i % keys
				least := max(acknowledged[k].Load(), seen[k])
				n, err := readPair(db, t, k)
				if err != nil || n < least {
					t.Errorf("key %d: read %d, %v; want at least %d", k, n, err, least)
					return
				}
				seen[k] = n
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
}

// writePair writes a number to a key, and to another one, which every third
// deletes.
func writePair(k int, n int64) func(metadb.Tx) error {
	return func(tx metadb.Tx) error {
		value := []byte(strconv.FormatInt(n, 10))
		if err := tx.Set([]byte("a"+strconv.Itoa(k)), value); err != nil {
			return err
		}
		if n%3 == 0 {
			return tx.Delete([]byte("b" + strconv.Itoa(k)))
		}
		return tx.Set([]byte("b"+strconv.Itoa(k)), value)
	}
}

// readPair returns the number that both keys hold, 0 where nothing was written.
func readPair(db *DB, t *testing.T, k int) (n int64, err error) {
	err = db.View(t.Context(), func(tx metadb.Tx) error {
		a, err := tx.Get([]byte("a" + strconv.Itoa(k)))
		if errors.Is(err, metadb.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if n, err = strconv.ParseInt(string(a), 10, 64); err != nil {
			return err
		}
		want := string(a)
		if n%3 == 0 {
			want = ""
		}
		return holds(tx, map[string]string{"b" + strconv.Itoa(k): want})
	})
	return n, err
}

// TestDecodedRows has rows decoded by Views: what is made of one is kept from the
// second time on and handed to all who see that row, and to nobody who sees another.
func TestDecodedRows(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, t.TempDir(), Options{})
	write := func(fn func(metadb.Tx) error) {
		t.Helper()
		if err := db.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	type made struct{ key, value string }
	decode := func(key, value []byte) (any, error) { return &made{string(key), string(value)}, nil }
	read := func(tx metadb.Tx) *made {
		t.Helper()
		got, err := metadb.Decoded(tx, []byte("k"), decode)
		if errors.Is(err, metadb.ErrNotFound) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		return got.(*made)
	}
	now := func() (got *made) {
		t.Helper()
		if err := db.View(t.Context(), func(tx metadb.Tx) error { got = read(tx); return nil }); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if now() != nil {
		t.Error("something is made of nothing")
	}
	write(set("k", "old"))
	now()
	old := now()
	if old != now() || *old != (made{"k", "old"}) {
		t.Errorf("%v is not kept", old)
	}
	err := db.View(t.Context(), func(before metadb.Tx) error {
		write(set("k", "new"))
		if got := read(before); *got != *old {
			t.Errorf("a View from before the commit is given %v", got)
		}
		now()
		if got := now(); *got != (made{"k", "new"}) || got != now() {
			t.Errorf("a View from after the commit is given %v", got)
		}
		if got := read(before); *got != *old {
			t.Errorf("a View from before the commit is then given %v", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	write(func(tx metadb.Tx) error {
		if got := read(tx); got == now() || *got != (made{"k", "new"}) {
			return fmt.Errorf("an Update is given %v", got)
		}
		if err := tx.Delete([]byte("k")); err != nil {
			return err
		}
		if got := read(tx); got != nil {
			return fmt.Errorf("an Update is given %v, which it has deleted", got)
		}
		return nil
	})
	if got := now(); got != nil {
		t.Errorf("%v is made of what was deleted", got)
	}
}

// TestBadRowsAreDecodedAnew: an error of decoding is not kept.
func TestBadRowsAreDecodedAnew(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, t.TempDir(), Options{})
	if err := db.Update(t.Context(), set("k", "v")); err != nil {
		t.Fatal(err)
	}
	bad, tries := errors.New("bad"), 0
	for range 4 {
		err := db.View(t.Context(), func(tx metadb.Tx) error {
			_, err := metadb.Decoded(tx, []byte("k"), func(_, _ []byte) (any, error) { tries++; return nil, bad })
			return err
		})
		if !errors.Is(err, bad) {
			t.Fatal(err)
		}
	}
	if tries != 4 {
		t.Errorf("it was decoded %d times", tries)
	}
}

// TestRowCacheBothGenerations: two Views put a row that both had missed, and the
// generations change in between; what a commit then writes is too long to be held.
func TestRowCacheBothGenerations(t *testing.T) {
	t.Parallel()
	c := newRowCache()
	key, row := []byte("k"), cachedRow{value: []byte("1"), since: 3}
	c.put(key, row, 3)
	c.age(key)
	c.put(key, row, 3)
	c.replace(key, make([]byte, cacheRow+1), 5)
	if row, ok := c.get(key, 5); ok {
		t.Fatalf("a snapshot of commit 5 is given what commit 3 wrote: %v", row)
	}
}

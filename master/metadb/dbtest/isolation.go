package dbtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"tdkvs/master/metadb"
)

var isolationTests = []test{
	{name: "Snapshot", run: testSnapshot},
	{name: "ViewSeesAcknowledged", run: testViewSeesAcknowledged},
	{name: "LostUpdate", run: testLostUpdate},
	{name: "WriteSkew", run: testWriteSkew},
	{name: "Phantoms", run: testPhantoms},
	{name: "FailuresBesideSuccesses", run: testFailuresBesideSuccesses},
	{name: "Transfers", run: testTransfers},
}

// testSnapshot changes everything under an open View.
func testSnapshot(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "a", "1", "b", "2", "c", "3")
	old := []string{"a=1", "b=2", "c=3"}
	view(t, db, func(tx metadb.Tx) error {
		c := tx.Seek(nil, nil)
		err := await(t, "Update beside a View", async(t.Context(), db, func(tx metadb.Tx) error {
			return errors.Join(tx.Set([]byte("a"), []byte("new")), tx.Delete([]byte("b")), tx.Set([]byte("bb"), []byte("x")))
		}))
		if err != nil {
			return err
		}
		var walked []string
		for ; c.Valid(); c.Next() {
			v, err := c.Value()
			if err != nil {
				return err
			}
			walked = append(walked, string(c.Key())+"="+string(v))
		}
		if fmt.Sprint(walked) != fmt.Sprint(old) {
			err = fmt.Errorf("a cursor opened before the change went over %q, want %q", walked, old)
		}
		return errors.Join(err, c.Close(),
			checkRange(tx, nil, nil, old), check(tx, "a", "1"), check(tx, "b", "2"), check(tx, "bb", absent))
	})
	view(t, db, func(tx metadb.Tx) error {
		return checkRange(tx, nil, nil, []string{"a=new", "bb=x", "c=3"})
	})
}

// testViewSeesAcknowledged has each goroutine read back, in a new View, what it
// was just told is committed.
func testViewSeesAcknowledged(t *testing.T, e Engine) {
	db := open(t, e)
	inParallel(t, 8, func(g int) error {
		key := "k" + strconv.Itoa(g)
		for i := range 20 {
			v := strconv.Itoa(i)
			if err := db.Update(t.Context(), func(tx metadb.Tx) error { return tx.Set([]byte(key), []byte(v)) }); err != nil {
				return err
			}
			if err := db.View(t.Context(), func(tx metadb.Tx) error { return check(tx, key, v) }); err != nil {
				return err
			}
		}
		return nil
	})
}

func testLostUpdate(t *testing.T, e Engine) {
	db := open(t, e)
	const writers, rounds = 8, 40
	var seen sync.Map // every value acknowledged: a counter gives each once
	inParallel(t, writers, func(int) error {
		for range rounds {
			var n int
			err := db.Update(t.Context(), func(tx metadb.Tx) error {
				var err error
				n, err = increment(tx, "counter")
				return err
			})
			if err != nil {
				return err
			}
			if _, twice := seen.LoadOrStore(n, true); twice {
				return fmt.Errorf("two transactions both counted to %d", n)
			}
		}
		return nil
	})
	want(t, db, "counter", strconv.Itoa(writers*rounds))
}

// testWriteSkew lets two doctors go off duty, each only while the other is on.
func testWriteSkew(t *testing.T, e Engine) {
	db := open(t, e)
	for round := range 40 {
		put(t, db, "on/a", "yes", "on/b", "yes")
		inParallel(t, 2, func(g int) error {
			mine, other := []byte("on/a"), []byte("on/b")
			if g == 1 {
				mine, other = other, mine
			}
			return db.Update(t.Context(), func(tx metadb.Tx) error {
				v, err := tx.Get(other)
				if err != nil {
					return err
				}
				runtime.Gosched()
				if string(v) != "yes" {
					return nil
				}
				return tx.Set(mine, []byte("no"))
			})
		})
		view(t, db, func(tx metadb.Tx) error {
			a, errA := tx.Get([]byte("on/a"))
			b, errB := tx.Get([]byte("on/b"))
			if string(a) != "yes" && string(b) != "yes" {
				return fmt.Errorf("round %d: nobody is on duty", round)
			}
			return errors.Join(errA, errB)
		})
	}
}

// testPhantoms lets many insert into a range that may hold only so many.
func testPhantoms(t *testing.T, e Engine) {
	db := open(t, e)
	const limit = 5
	var inserted atomic.Int64
	inParallel(t, 8, func(g int) error {
		for i := range 10 {
			var full bool
			err := db.Update(t.Context(), func(tx metadb.Tx) error {
				n := 0
				err := tx.Scan([]byte("seat/"), []byte("seat0"), func(_, _ []byte) (bool, error) { n++; return true, nil })
				if err != nil {
					return err
				}
				runtime.Gosched()
				if full = n >= limit; full {
					return nil
				}
				return tx.Set(fmt.Appendf(nil, "seat/%d-%d", g, i), nil)
			})
			if err != nil {
				return err
			}
			if !full {
				inserted.Add(1)
			}
		}
		return nil
	})
	if n := inserted.Load(); n != limit {
		t.Errorf("%d inserts acknowledged, want %d", n, limit)
	}
	view(t, db, func(tx metadb.Tx) error {
		if got, err := scan(tx, []byte("seat/"), []byte("seat0")); err != nil || len(got) != limit {
			return fmt.Errorf("%d seats taken, %w, want %d", len(got), err, limit)
		}
		return nil
	})
}

// testFailuresBesideSuccesses mixes transactions that fail after writing into
// those that succeed: exactly the writes of the latter must be there.
func testFailuresBesideSuccesses(t *testing.T, e Engine) {
	db := open(t, e)
	failure := errors.New("rolled back")
	const writers, rounds = 8, 30
	inParallel(t, writers, func(g int) error {
		for i := range rounds {
			fail := i%3 == 0
			err := db.Update(t.Context(), func(tx metadb.Tx) error {
				if _, err := increment(tx, "counter"); err != nil {
					return err
				}
				if err := tx.Set(fmt.Appendf(nil, "row/%02d/%02d", g, i), nil); err != nil {
					return err
				}
				if fail {
					return failure
				}
				return nil
			})
			if fail != errors.Is(err, failure) || !fail && err != nil {
				return fmt.Errorf("writer %d, round %d: %w", g, i, err)
			}
		}
		return nil
	})
	const kept = writers * rounds * 2 / 3
	want(t, db, "counter", strconv.Itoa(kept))
	view(t, db, func(tx metadb.Tx) error {
		rows, err := scan(tx, []byte("row/"), []byte("row0"))
		if err == nil && len(rows) != kept {
			err = fmt.Errorf("%d rows, want %d", len(rows), kept)
		}
		return err
	})
}

// testTransfers moves money about while readers add it all up.
func testTransfers(t *testing.T, e Engine) {
	db := open(t, e)
	const accounts, total = 16, 16 * 100
	account := func(i int) []byte { return fmt.Appendf(nil, "account/%02d", i) }
	update(t, db, func(tx metadb.Tx) error {
		for i := range accounts {
			if err := tx.Set(account(i), []byte("100")); err != nil {
				return err
			}
		}
		return nil
	})
	sum := func(tx metadb.Tx) error {
		have := 0
		err := tx.Scan([]byte("account/"), []byte("account0"), func(_, v []byte) (bool, error) {
			n, err := strconv.Atoi(string(v))
			have += n
			return true, err
		})
		if err == nil && have != total {
			err = fmt.Errorf("the accounts hold %d, want %d", have, total)
		}
		return err
	}
	inParallel(t, 8, func(g int) error {
		rnd := rand.New(rand.NewPCG(uint64(g), 1))
		for range 40 {
			if g%4 == 3 {
				if err := db.View(t.Context(), sum); err != nil {
					return err
				}
				continue
			}
			from, to, amount := rnd.IntN(accounts), rnd.IntN(accounts), rnd.IntN(50)
			err := db.Update(t.Context(), func(tx metadb.Tx) error {
				if err := add(tx, account(from), -amount); err != nil {
					return err
				}
				return errors.Join(add(tx, account(to), amount), sum(tx))
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	view(t, db, sum)
}

func increment(tx metadb.Tx, key string) (int, error) {
	err := add(tx, []byte(key), 1)
	if err != nil {
		return 0, err
	}
	v, err := tx.Get([]byte(key))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(v))
}

func add(tx metadb.Tx, key []byte, amount int) error {
	n := 0
	v, err := tx.Get(key)
	switch {
	case errors.Is(err, metadb.ErrNotFound):
	case err != nil:
		return err
	default:
		if n, err = strconv.Atoi(string(v)); err != nil {
			return err
		}
	}
	return tx.Set(key, strconv.AppendInt(nil, int64(n+amount), 10))
}

// inParallel runs fn in n goroutines that start together, and fails the test
// with what went wrong.
func inParallel(t *testing.T, n int, fn func(g int) error) {
	t.Helper()
	start := make(chan struct{})
	errs := make(chan error, n)
	for g := range n {
		go func() {
			<-start
			errs <- fn(g)
		}()
	}
	close(start)
	for range n {
		if err := await(t, "parallel transactions", errs); err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

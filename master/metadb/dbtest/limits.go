package dbtest

import (
	"errors"
	"fmt"
	"testing"

	"tdkvs/master/metadb"
)

var limitTests = []test{
	{name: "Value", run: testLimitValue},
	{name: "TxOps", run: testLimitTxOps},
	{name: "TxBytes", run: testLimitTxBytes},
	{name: "ManyFull", run: testManyFull},
}

// tooLarge runs fn, which must fail with ErrTooLarge and leave nothing behind,
// also when the closure overlooks the error.
func tooLarge(t *testing.T, db metadb.DB, fn func(metadb.Tx) error) {
	t.Helper()
	first := func(tx metadb.Tx) error { return tx.Set([]byte("first"), []byte("x")) }
	err := db.Update(t.Context(), func(tx metadb.Tx) error { return errors.Join(first(tx), fn(tx)) })
	if !errors.Is(err, metadb.ErrTooLarge) {
		t.Errorf("Update = %v, want ErrTooLarge", err)
	}
	err = db.Update(t.Context(), func(tx metadb.Tx) error {
		err := errors.Join(first(tx), fn(tx))
		if !errors.Is(err, metadb.ErrTooLarge) {
			return fmt.Errorf("the write gave %w, want ErrTooLarge", err)
		}
		return nil
	})
	if !errors.Is(err, metadb.ErrTooLarge) {
		t.Errorf("Update whose closure overlooked the error = %v, want ErrTooLarge", err)
	}
	view(t, db, func(tx metadb.Tx) error { return checkRange(tx, nil, nil, []string{}) })
}

func testLimitValue(t *testing.T, e Engine) {
	db := open(t, e)
	tooLarge(t, db, func(tx metadb.Tx) error {
		return tx.Set([]byte("k"), repeat('x', metadb.MaxValue+1))
	})
	full := string(repeat('x', metadb.MaxValue))
	put(t, db, "k", full)
	want(t, db, "k", full)
}

func testLimitTxOps(t *testing.T, e Engine) {
	db := open(t, e)
	write := func(tx metadb.Tx, n int) error {
		for i := range n {
			var err error
			if i%2 == 0 {
				err = tx.Set(fmt.Appendf(nil, "k%03d", i), nil)
			} else {
				err = tx.Delete(fmt.Appendf(nil, "d%03d", i))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	tooLarge(t, db, func(tx metadb.Tx) error { return write(tx, metadb.MaxTxOps+1) })
	update(t, db, func(tx metadb.Tx) error { return write(tx, metadb.MaxTxOps) })
	view(t, db, func(tx metadb.Tx) error {
		if rows, err := scan(tx, nil, nil); err != nil || len(rows) != metadb.MaxTxOps/2 {
			return fmt.Errorf("%d rows, %w", len(rows), err)
		}
		return nil
	})
}

// fill writes exactly n bytes of keys and values.
func fill(tx metadb.Tx, prefix string, n int) error {
	for i := 0; n > 0; i++ {
		key := fmt.Appendf(nil, "%s%02d", prefix, i)
		size := min(n, metadb.MaxValue) - len(key)
		if err := tx.Set(key, repeat(byte('a'+i), size)); err != nil {
			return err
		}
		n -= size + len(key)
	}
	return nil
}

func testLimitTxBytes(t *testing.T, e Engine) {
	db := open(t, e)
	tooLarge(t, db, func(tx metadb.Tx) error { return fill(tx, "k", metadb.MaxTxBytes+metadb.MaxValue) })
	update(t, db, func(tx metadb.Tx) error { return fill(tx, "k", metadb.MaxTxBytes) })
	view(t, db, func(tx metadb.Tx) error {
		n := 0
		err := tx.Scan(nil, nil, func(k, v []byte) (bool, error) { n += len(k) + len(v); return true, nil })
		if err == nil && n != metadb.MaxTxBytes {
			err = fmt.Errorf("%d bytes stored, want %d", n, metadb.MaxTxBytes)
		}
		return err
	})
}

// testManyFull commits transactions of the greatest size at once, so that an
// engine which shares commits must still keep to its own limits.
func testManyFull(t *testing.T, e Engine) {
	db := open(t, e)
	const writers = 12
	inParallel(t, writers, func(g int) error {
		return db.Update(t.Context(), func(tx metadb.Tx) error {
			return fill(tx, fmt.Sprintf("%02d/", g), metadb.MaxTxBytes)
		})
	})
	view(t, db, func(tx metadb.Tx) error {
		n := 0
		err := tx.Scan(nil, nil, func(k, v []byte) (bool, error) { n += len(k) + len(v); return true, nil })
		if err == nil && n != writers*metadb.MaxTxBytes {
			err = fmt.Errorf("%d bytes stored, want %d", n, writers*metadb.MaxTxBytes)
		}
		return err
	})
}

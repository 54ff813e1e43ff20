package dbtest

import (
	"errors"
	"fmt"
	"testing"

	"tdkvs/master/metadb"
)

var basicTests = []test{
	{name: "SetGetDelete", run: testSetGetDelete},
	{name: "OwnWrites", run: testOwnWrites},
	{name: "EmptyKeyAndValue", run: testEmptyKeyAndValue},
	{name: "BinaryKeys", run: testBinaryKeys},
	{name: "Atomicity", run: testAtomicity},
	{name: "ErrorUnchanged", run: testErrorUnchanged},
	{name: "ReadOnly", run: testReadOnly},
	{name: "ArgumentsNotAliased", run: testArgumentsNotAliased},
	{name: "ResultsStayValid", run: testResultsStayValid},
	{name: "Stats", run: testStats},
}

func testSetGetDelete(t *testing.T, e Engine) {
	db := open(t, e)
	want(t, db, "a", absent)
	put(t, db, "a", "1", "b", "2")
	want(t, db, "a", "1")
	want(t, db, "b", "2")
	put(t, db, "a", "3")
	want(t, db, "a", "3")
	update(t, db, func(tx metadb.Tx) error {
		return errors.Join(tx.Delete([]byte("a")), tx.Delete([]byte("never there")))
	})
	want(t, db, "a", absent)
	want(t, db, "b", "2")
	put(t, db, "a", "4")
	want(t, db, "a", "4")
}

func testOwnWrites(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "a", "1", "c", "3", "e", "5", "g", "7")
	update(t, db, func(tx metadb.Tx) error {
		err := errors.Join(
			tx.Set([]byte("b"), []byte("new")),
			tx.Set([]byte("c"), []byte("over")),
			tx.Delete([]byte("e")),
			tx.Set([]byte("f"), []byte("gone")),
			tx.Delete([]byte("f")),
			tx.Delete([]byte("g")),
			tx.Set([]byte("g"), []byte("back")),
			tx.Set([]byte("h"), []byte("x")),
			tx.Set([]byte("h"), []byte("last")),
		)
		if err != nil {
			return err
		}
		for k, v := range map[string]string{"a": "1", "b": "new", "c": "over", "e": absent, "f": absent, "g": "back", "h": "last"} {
			if err := check(tx, k, v); err != nil {
				return err
			}
		}
		return errors.Join(
			checkRange(tx, nil, nil, []string{"a=1", "b=new", "c=over", "g=back", "h=last"}),
			checkRange(tx, []byte("b"), []byte("g"), []string{"b=new", "c=over"}),
		)
	})
	view(t, db, func(tx metadb.Tx) error {
		return checkRange(tx, nil, nil, []string{"a=1", "b=new", "c=over", "g=back", "h=last"})
	})
}

func testEmptyKeyAndValue(t *testing.T, e Engine) {
	db := open(t, e)
	update(t, db, func(tx metadb.Tx) error {
		if err := errors.Join(tx.Set([]byte("empty"), nil), tx.Set([]byte{}, []byte("no key"))); err != nil {
			return err
		}
		return errors.Join(check(tx, "empty", ""), check(tx, "", "no key"))
	})
	want(t, db, "empty", "")
	want(t, db, "", "no key")
	view(t, db, func(tx metadb.Tx) error {
		return checkRange(tx, nil, nil, []string{"=no key", "empty="})
	})
	update(t, db, func(tx metadb.Tx) error { return tx.Delete(nil) })
	want(t, db, "", absent)
}

// binaryKeys are in order. The last but two is the prefix that one engine keeps
// for itself.
var binaryKeys = []string{
	"\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "!badger!x", "a", "a\x00", "a\x00b", "a\x01", "a/", "a//b", "a/b", "aa",
	"\x7f", "\x80", "\xc3\x28", "\xfe\xff\xff", "\xff", "\xff\x00", "\xff\xff", "\xff\xff\xff",
}

func testBinaryKeys(t *testing.T, e Engine) {
	db := open(t, e)
	var all []string
	update(t, db, func(tx metadb.Tx) error {
		all = all[:0]
		for i, k := range binaryKeys {
			v := fmt.Sprint(i)
			all = append(all, k+"="+v)
			if err := tx.Set([]byte(k), []byte(v)); err != nil {
				return err
			}
		}
		return checkRange(tx, nil, nil, all)
	})
	view(t, db, func(tx metadb.Tx) error {
		for i, k := range binaryKeys {
			err := errors.Join(
				check(tx, k, fmt.Sprint(i)),
				checkRange(tx, []byte(k), nil, all[i:]),
				checkRange(tx, nil, []byte(k), all[:i]),
				checkRange(tx, []byte(k), append([]byte(k), 0), all[i:i+1]),
			)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func testAtomicity(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "kept", "1", "kept too", "2")
	failure := errors.New("no")
	err := db.Update(t.Context(), func(tx metadb.Tx) error {
		return errors.Join(
			tx.Set([]byte("kept"), []byte("overwritten")),
			tx.Delete([]byte("kept too")),
			tx.Set([]byte("new"), []byte("x")),
			failure,
		)
	})
	if !errors.Is(err, failure) {
		t.Fatalf("Update = %v, want the error of its function", err)
	}
	view(t, db, func(tx metadb.Tx) error {
		return checkRange(tx, nil, nil, []string{"kept=1", "kept too=2"})
	})
}

func testErrorUnchanged(t *testing.T, e Engine) {
	db := open(t, e)
	failure := errors.New("mine")
	fn := func(metadb.Tx) error { return failure }
	if err := db.Update(t.Context(), fn); err != failure { //nolint:errorlint // it must be the very error
		t.Errorf("Update = %v, want its function's own error", err)
	}
	if err := db.View(t.Context(), fn); err != failure { //nolint:errorlint // it must be the very error
		t.Errorf("View = %v, want its function's own error", err)
	}
}

func testReadOnly(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "a", "1")
	view(t, db, func(tx metadb.Tx) error {
		if err := tx.Set([]byte("a"), []byte("2")); !errors.Is(err, metadb.ErrReadOnly) {
			return fmt.Errorf("writing in a View by Set gave %v, want ErrReadOnly", err)
		}
		if err := tx.Delete([]byte("a")); !errors.Is(err, metadb.ErrReadOnly) {
			return fmt.Errorf("writing in a View by Delete gave %v, want ErrReadOnly", err)
		}
		return check(tx, "a", "1")
	})
	want(t, db, "a", "1")
}

func testArgumentsNotAliased(t *testing.T, e Engine) {
	db := open(t, e)
	put(t, db, "b", "0")
	update(t, db, func(tx metadb.Tx) error {
		key, value := []byte("key"), []byte("value")
		if err := tx.Set(key, value); err != nil {
			return err
		}
		copy(key, "xxx")
		copy(value, "yyyyy")
		if err := errors.Join(check(tx, "key", "value"), check(tx, "xxx", absent)); err != nil {
			return err
		}

		key = []byte("b")
		if err := tx.Delete(key); err != nil {
			return err
		}
		key[0] = 'k'
		if err := errors.Join(check(tx, "b", absent), check(tx, "key", "value")); err != nil {
			return err
		}

		start, end := []byte("a"), []byte("z")
		c := tx.Seek(start, end)
		start[0], end[0] = 'z', 'a'
		if !c.Valid() || string(c.Key()) != "key" {
			return errors.Join(errors.New("the cursor follows the caller's buffer"), c.Close())
		}
		c.Next()
		if c.Valid() {
			return errors.Join(fmt.Errorf("the cursor went on to %q", c.Key()), c.Close())
		}
		return c.Close()
	})
	want(t, db, "key", "value")
	want(t, db, "b", absent)
}

// testResultsStayValid keeps every slice it was handed to the end of the
// transaction, while other reads and writes go on.
func testResultsStayValid(t *testing.T, e Engine) {
	db := open(t, e)
	const n = 100
	name := func(i int) string { return fmt.Sprintf("k%03d", i) }
	value := func(i int) string { return string(repeat(byte('a'+i%26), 100+i)) }
	update(t, db, func(tx metadb.Tx) error {
		for i := range n {
			if err := tx.Set([]byte(name(i)), []byte(value(i))); err != nil {
				return err
			}
		}
		return nil
	})

	read := func(tx metadb.Tx, churn func(i int) error) error {
		var got, keys, values [][]byte
		for i := range n {
			v, err := tx.Get([]byte(name(i)))
			if err != nil {
				return err
			}
			got = append(got, v)
		}
		err := tx.Scan(nil, nil, func(k, v []byte) (bool, error) {
			keys, values = append(keys, k), append(values, v)
			return true, nil
		})
		if err != nil {
			return err
		}
		for i := range n {
			if err := churn(i); err != nil {
				return err
			}
		}
		for i := range n {
			if string(got[i]) != value(i) || string(keys[i]) != name(i) || string(values[i]) != value(i) {
				return fmt.Errorf("results %d changed before the transaction ended", i)
			}
		}
		return nil
	}
	view(t, db, func(tx metadb.Tx) error {
		return read(tx, func(i int) error {
			return errors.Join(check(tx, name(n-1-i), value(n-1-i)), check(tx, name(i), value(i)))
		})
	})
	update(t, db, func(tx metadb.Tx) error {
		return read(tx, func(i int) error { return tx.Set([]byte(name(i)), []byte("other")) })
	})
}

func testStats(t *testing.T, e Engine) {
	db := open(t, e)
	before := db.Stats()
	for range 5 {
		put(t, db, "a", "1")
	}
	after := db.Stats()
	if n := after.Updates - before.Updates; n != 5 {
		t.Errorf("5 updates counted as %d", n)
	}
	if n := after.Commits - before.Commits; n < 1 || n > 5 {
		t.Errorf("5 updates in turn counted as %d commits", n)
	}
}

package dbtest

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"

	"tdkvs/master/metadb"
)

// followTests are of metadb.Followed, which every engine here is.
var followTests = []test{
	{"Commits", false, testFollowCommits},
	{"Refused", false, testFollowRefused},
	{"Uncertain", false, testFollowUncertain},
	{"LastCommit", false, testLastCommit},
	{"LastCommitKept", true, testLastCommitKept},
	{"Apply", false, testApply},
	{"ViewAt", false, testViewAt},
}

// follower remembers commits, and can refuse them or fail.
type follower struct {
	mu      sync.Mutex
	seqs    []uint64
	commits [][]metadb.Change
	refuse  error
	fail    error
	waited  int
}

func (f *follower) Begin(seq uint64, writes iter.Seq[metadb.Change]) (metadb.Pending, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, nil, f.refuse
	}
	var all []metadb.Change
	for c := range writes {
		all = append(all, cloneChange(c))
	}
	f.seqs, f.commits = append(f.seqs, seq), append(f.commits, all)
	return f, markOf(seq), nil
}

func (f *follower) Wait() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waited++
	return f.fail
}

func markOf(seq uint64) []byte { return fmt.Appendf(nil, "mark of %d", seq) }

func cloneChange(c metadb.Change) metadb.Change {
	return metadb.Change{Key: bytes.Clone(c.Key), Value: bytes.Clone(c.Value), Deleted: c.Deleted}
}

func sameChanges(a, b []metadb.Change) bool {
	return slices.EqualFunc(a, b, func(x, y metadb.Change) bool {
		return bytes.Equal(x.Key, y.Key) && bytes.Equal(x.Value, y.Value) && x.Deleted == y.Deleted
	})
}

func set(key, value string) metadb.Change {
	return metadb.Change{Key: []byte(key), Value: []byte(value)}
}

func deleted(key string) metadb.Change { return metadb.Change{Key: []byte(key), Deleted: true} }

func followed(t *testing.T, e Engine) (metadb.DB, metadb.Followed) {
	t.Helper()
	db := open(t, e)
	f, ok := db.(metadb.Followed)
	if !ok {
		t.Fatalf("%T is not metadb.Followed", db)
	}
	return db, f
}

func commit(t *testing.T, db metadb.DB, changes ...metadb.Change) {
	t.Helper()
	if err := db.Update(t.Context(), writing(changes...)); err != nil {
		t.Fatal(err)
	}
}

func writing(changes ...metadb.Change) func(metadb.Tx) error {
	return func(tx metadb.Tx) error {
		for _, c := range changes {
			err := tx.Delete(c.Key)
			if !c.Deleted {
				err = tx.Set(c.Key, c.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func expectPosition(t *testing.T, db metadb.Followed, seq uint64, mark []byte) {
	t.Helper()
	if s, m := db.Position(); s != seq || !bytes.Equal(m, mark) {
		t.Errorf("position %d %q, want %d %q", s, m, seq, mark)
	}
}

// base is the number of the commit before the first one of a test: stores need not be
// new to hold nothing.
func base(db metadb.Followed) uint64 {
	seq, _ := db.Position()
	return seq
}

func testFollowCommits(t *testing.T, e Engine) {
	db, fdb := followed(t, e)
	n := base(fdb)
	commit(t, db, set("before", ""))
	expectPosition(t, fdb, n+1, nil)
	f := &follower{}
	fdb.Follow(f)
	commit(t, db, set("b", "2"), set("a", "1"), deleted("before"), set("b", "3"))
	commit(t, db) // nothing: no commit
	boom := errors.New("boom")
	err := db.Update(t.Context(), func(tx metadb.Tx) error {
		if err := tx.Set([]byte("never"), nil); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Error(err)
	}
	commit(t, db, deleted("missing"))
	expected := [][]metadb.Change{{set("a", "1"), set("b", "3"), deleted("before")}, {deleted("missing")}}
	if !slices.Equal(f.seqs, []uint64{n + 2, n + 3}) || !slices.EqualFunc(f.commits, expected, sameChanges) || f.waited != 2 {
		t.Errorf("told of %v %v, waited for %d", f.seqs, f.commits, f.waited)
	}
	expectPosition(t, fdb, n+3, markOf(n+3))
}

// testFollowRefused shows that a commit that the follower refuses leaves nothing behind.
func testFollowRefused(t *testing.T, e Engine) {
	db, fdb := followed(t, e)
	n := base(fdb)
	f := &follower{refuse: fmt.Errorf("no room: %w", metadb.ErrNotFollowed)}
	fdb.Follow(f)
	if err := db.Update(t.Context(), writing(set("a", "1"))); !errors.Is(err, metadb.ErrNotFollowed) {
		t.Errorf("%v", err)
	}
	want(t, db, "a", absent)
	expectPosition(t, fdb, n, nil)
	if err := db.Update(t.Context(), writing()); err != nil {
		t.Errorf("a transaction that writes nothing: %v", err)
	}
	f.mu.Lock()
	f.refuse = nil
	f.mu.Unlock()
	commit(t, db, set("a", "2"))
	expectPosition(t, fdb, n+1, markOf(n+1))
}

// testFollowUncertain shows that a commit that the follower loses fails, and is seen.
func testFollowUncertain(t *testing.T, e Engine) {
	db, fdb := followed(t, e)
	n := base(fdb)
	f := &follower{fail: metadb.ErrUncertain}
	fdb.Follow(f)
	if err := db.Update(t.Context(), writing(set("a", "1"))); !errors.Is(err, metadb.ErrUncertain) {
		t.Errorf("%v", err)
	}
	expectPosition(t, fdb, n+1, markOf(n+1))
	want(t, db, "a", "1")
}

func expectLast(t *testing.T, db metadb.Followed, want ...metadb.Change) {
	t.Helper()
	if got, err := db.LastCommit(t.Context()); err != nil || !sameChanges(got, want) {
		t.Errorf("last commit %v, %v; want %v", got, err, want)
	}
}

func testLastCommit(t *testing.T, e Engine) {
	db, fdb := followed(t, e)
	commit(t, db, set("a", "1"), set("b", "2"), set("c", ""))
	expectLast(t, fdb, set("a", "1"), set("b", "2"), set("c", ""))
	commit(t, db, deleted("a"), set("c", "3"), deleted("nothing"))
	expectLast(t, fdb, deleted("a"), set("c", "3"), deleted("nothing"))
	commit(t, db, deleted("b"))
	expectLast(t, fdb, deleted("b"))
}

// testLastCommitKept shows that deletions of the last commit are told after a restart.
func testLastCommitKept(t *testing.T, e Engine) {
	dir := t.TempDir()
	db := e.Open(t, dir)
	fdb, _ := db.(metadb.Followed)
	n := base(fdb)
	fdb.Follow(&follower{})
	for i := range 50 {
		commit(t, db, set(fmt.Sprint("k", i), "1"))
	}
	commit(t, db, deleted("k1"), deleted("k2"))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = e.Open(t, dir)
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	fdb, _ = db.(metadb.Followed)
	expectPosition(t, fdb, n+51, markOf(n+51))
	expectLast(t, fdb, deleted("k1"), deleted("k2"))
}

func testApply(t *testing.T, e Engine) {
	db, fdb := followed(t, e)
	n := base(fdb)
	f := &follower{}
	fdb.Follow(f)
	commit(t, db, set("a", "1"), set("b", "1"))
	if err := fdb.Apply(t.Context(), n+3, nil, nil); err == nil {
		t.Error("a commit was left out")
	}
	if err := fdb.Apply(t.Context(), n+2, []byte("m"), []metadb.Change{deleted("a"), set("c", "2")}); err != nil {
		t.Fatal(err)
	}
	expectPosition(t, fdb, n+2, []byte("m"))
	want(t, db, "a", absent)
	want(t, db, "c", "2")
	expectLast(t, fdb, deleted("a"), set("c", "2"))
	commit(t, db, set("d", "4"))
	if !slices.Equal(f.seqs, []uint64{n + 1, n + 3}) {
		t.Errorf("told of %v", f.seqs)
	}
}

func testViewAt(t *testing.T, e Engine) {
	db, fdb := followed(t, e)
	n := base(fdb)
	commit(t, db, set("a", "1"))
	commit(t, db, set("a", "2"))
	err := fdb.ViewAt(t.Context(), func(seq uint64, tx metadb.Tx) error {
		commit(t, db, set("a", "3"))
		v, err := tx.Get([]byte("a"))
		if seq != n+2 || string(v) != "2" || err != nil {
			t.Errorf("at %d: %q, %v", seq, v, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

package badgerdb

import (
	"bytes"
	"fmt"
	"testing"

	"tdkvs/master/metadb"
)

// TestWritesAfterApply: commits that were made elsewhere turn Badger's log as others do,
// and room is found for those that come behind them.
func TestWritesAfterApply(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, t.TempDir(), Options{MemTableSize: smallest})
	value := bytes.Repeat([]byte{'.'}, 60<<10)
	seq, _ := db.Position()
	for i := range 300 { // 18 MB: more than two logs
		seq++
		if err := db.Apply(t.Context(), seq, nil, []metadb.Change{{Key: fmt.Appendf(nil, "%08d", i), Value: value}}); err != nil {
			t.Fatal(i, err)
		}
	}
	for i := range 300 {
		if err := db.Update(t.Context(), func(tx metadb.Tx) error { return tx.Set(fmt.Appendf(nil, "u%08d", i), value) }); err != nil {
			t.Fatalf("update %d: %v", i, err)
		}
	}
}

// TestApplyBesideReopen: Badger is not closed in the middle of a commit that was made
// elsewhere, to be opened in another way.
func TestApplyBesideReopen(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, t.TempDir(), Options{MemTableSize: smallest})
	seq, _ := db.Position()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := db.store.reopen(db.keeper.open); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for i := range 100 {
		seq++
		if err := db.Apply(t.Context(), seq, nil, []metadb.Change{{Key: fmt.Appendf(nil, "%08d", i), Value: []byte("x")}}); err != nil {
			t.Errorf("commit %d: %v", i, err)
			break
		}
	}
	close(stop)
	<-done
}

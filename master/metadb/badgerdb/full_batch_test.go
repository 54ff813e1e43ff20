package badgerdb

import (
	"encoding/binary"
	"sync"
	"testing"

	"tdkvs/master/metadb"
)

// TestFullBatch shares one commit between as many of the largest transactions,
// by number of writes, as a batch takes, with the shortest keys: what Badger
// refuses as too large would make the store read-only.
func TestFullBatch(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"smallest memtable": smallest, "default memtable": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := mustOpen(t, t.TempDir(), Options{MemTableSize: size})
			entered, gate := make(chan struct{}), make(chan struct{})
			open := sync.OnceFunc(func() { close(gate) })
			t.Cleanup(open)
			var got []<-chan error
			for i := range maxBatch {
				got = append(got, start(db, t.Context(), func(tx metadb.Tx) error {
					if i == 0 {
						close(entered)
						<-gate
					}
					for j := range metadb.MaxTxOps {
						key := binary.BigEndian.AppendUint16(nil, uint16(i*metadb.MaxTxOps+j))
						if err := tx.Delete(key); err != nil {
							return err
						}
					}
					return nil
				}))
				if i == 0 {
					receive(t, "first update", entered)
				}
				waitQueued(t, db, i)
			}
			open()
			for i, ch := range got {
				if err := receive(t, "update", ch); err != nil {
					t.Fatalf("update %d: %v", i, err)
				}
			}
		})
	}
}

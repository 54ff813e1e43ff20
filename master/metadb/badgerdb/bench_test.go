package badgerdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"tdkvs/master/metadb"
)

// BenchmarkPut commits what storing an object does: read bucket, object and
// usage, write object and usage. Each iteration is one durable transaction.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 32, 64} {
		b.Run(fmt.Sprintf("combined/writers=%d", writers), func(b *testing.B) {
			db := mustOpen(b, b.TempDir(), Options{})
			before := db.Stats()
			inParallel(b, writers, func(rnd *rand.Rand) error {
				return db.Update(b.Context(), putObject(rnd.Uint64()))
			})
			after := db.Stats()
			b.ReportMetric(float64(after.Updates-before.Updates)/float64(after.Commits-before.Commits), "txn/commit")
		})
		b.Run(fmt.Sprintf("plain/writers=%d", writers), func(b *testing.B) {
			opt := badgerOptions(b.TempDir(), Options{}.withDefaults())
			bdb, err := badger.Open(opt)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = bdb.Close() }()
			inParallel(b, writers, func(rnd *rand.Rand) error {
				return bdb.Update(func(txn *badger.Txn) error { return putObject(rnd.Uint64())(plainTx{txn: txn}) })
			})
		})
	}
}

// inParallel runs b.N calls of fn over some goroutines.
func inParallel(b *testing.B, writers int, fn func(rnd *rand.Rand) error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error, writers)
	b.ResetTimer()
	for g := range writers {
		go func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 1))
			for left.Add(-1) >= 0 {
				if err := fn(rnd); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "txn/s")
}

// putObject writes a record of the size that an object's metadata has.
func putObject(id uint64) func(metadb.Tx) error {
	return func(tx metadb.Tx) error {
		if _, err := tx.Get([]byte("bucket/photos")); err != nil && !errors.Is(err, metadb.ErrNotFound) {
			return err
		}
		key := fmt.Appendf(nil, "object/photos/2026/album-%03d/IMG_%016x.jpg", id%500, id)
		if _, err := tx.Get(key); err != nil && !errors.Is(err, metadb.ErrNotFound) {
			return err
		}
		usage := make([]byte, 16)
		if v, err := tx.Get([]byte("usage/photos")); err == nil {
			copy(usage, v)
		}
		binary.BigEndian.PutUint64(usage, binary.BigEndian.Uint64(usage)+1)
		record := make([]byte, 0, 256)
		for i := range uint64(10) { // digests and ids: noise that does not compress
			record = binary.BigEndian.AppendUint64(record, (id+i)*0x9E3779B97F4A7C15)
		}
		record = append(record, "image/jpeg;STANDARD;owner=0123456789abcdef;x-amz-meta-mtime=1700000000.123456789;crc64nvme=FULL_OBJECT"...)
		return errors.Join(tx.Set(key, record), tx.Set([]byte("usage/photos"), usage))
	}
}

// plainTx lets putObject run in a transaction of Badger itself.
type plainTx struct {
	metadb.Tx
	txn *badger.Txn
}

func (p plainTx) Get(key []byte) ([]byte, error) {
	item, err := p.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, metadb.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

func (p plainTx) Set(key, value []byte) error { return p.txn.Set(key, value) }

// BenchmarkViewUnderLoad reads while writers keep the disk busy: a View must not
// wait for their syncs.
func BenchmarkViewUnderLoad(b *testing.B) {
	db := mustOpen(b, b.TempDir(), Options{})
	stop := make(chan struct{})
	writing := make(chan error, 1)
	go func() {
		for id := uint64(0); ; id++ {
			select {
			case <-stop:
				writing <- nil
				return
			default:
			}
			if err := db.Update(b.Context(), putObject(id)); err != nil {
				writing <- err
				return
			}
		}
	}()
	for b.Loop() {
		err := db.View(b.Context(), func(tx metadb.Tx) error {
			_, err := tx.Get([]byte("usage/photos"))
			if errors.Is(err, metadb.ErrNotFound) {
				return nil
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	close(stop)
	if err := <-writing; err != nil {
		b.Fatal(err)
	}
}

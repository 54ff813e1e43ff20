package badgerdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"tdkvs/failpoint"
	"tdkvs/master/metadb"
)

// dataPrefix is put before every key. It keeps the empty key, and keys that
// begin like Badger's own, possible, and leaves room for keys of the engine.
const dataPrefix = 'd'

// seqKey holds the number of the newest commit. Badger itself knows only those of
// the entries that it still has, and what a commit has deleted leaves none. The mark
// that came with the commit follows.
func seqKey() []byte { return []byte{'s'} }

func seqValue(seq uint64, mark []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, seqLen+len(mark)), seq), mark...)
}

const seqLen = 8

// store is Badger as the combiner sees it: snapshots of what is durable, and
// commits of whole batches, one at a time.
type store struct {
	gate sync.RWMutex // held for reading while bdb is used, for writing to open another
	bdb  *badger.DB
	log  activeLog // of the committing goroutine
	rows *rowCache

	mu        sync.Mutex // guards the fields below
	committed uint64     // timestamp of the newest durable commit
	mark      []byte     // that came with it; not changed
	reading   map[uint64]int
}

func newStore(dir string, bdb *badger.DB) (*store, error) {
	newest, mark, err := newestCommit(bdb)
	if err != nil {
		return nil, err
	}
	s := &store{bdb: bdb, log: activeLog{dir: dir}, rows: newRowCache(), committed: newest, mark: mark, reading: map[uint64]int{}}
	s.keepFrom(s.committed)
	return s, nil
}

// keepFrom has compaction keep what states from ts on can see, and the newest commit,
// whose deletions LastCommit tells.
func (s *store) keepFrom(ts uint64) {
	s.bdb.SetDiscardTs(min(ts, max(s.committed, 1)-1))
}

// position returns the number of the newest commit and its mark.
func (s *store) position() (uint64, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed, s.mark
}

// newestCommit is the number of the newest commit, 0 in a new store, and its mark.
func newestCommit(bdb *badger.DB) (uint64, []byte, error) {
	txn := bdb.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	item, err := txn.Get(seqKey())
	if errors.Is(err, badger.ErrKeyNotFound) { // a release before this one made it, or nothing was committed
		return bdb.MaxVersion(), nil, nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("%w: number of the newest commit: %w", metadb.ErrCorrupt, err)
	}
	value, err := itemValue(item)
	if err == nil && len(value) < seqLen {
		err = fmt.Errorf("%w: the number of the newest commit has %d bytes", metadb.ErrCorrupt, len(value))
	}
	if err != nil {
		return 0, nil, err
	}
	seq := binary.BigEndian.Uint64(value)
	if newer := bdb.MaxVersion(); newer > seq {
		return newer, nil, nil
	}
	return seq, clone(value[seqLen:]), nil
}

// snapshot opens the newest durable state for reading.
func (s *store) snapshot() snapshot {
	snap := new(badgerSnapshot)
	s.open(snap)
	return snap
}

// open makes snap a snapshot of the newest durable state.
func (s *store) open(snap *badgerSnapshot) {
	s.gate.RLock()
	s.mu.Lock()
	defer s.mu.Unlock()
	snap.store, snap.ts = s, s.committed
	s.reading[snap.ts]++
}

func (s *store) doneReading(ts uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading[ts]--; s.reading[ts] == 0 {
		delete(s.reading, ts)
	}
}

// commit writes a batch and its mark and makes them durable. After an error the outcome is
// unknown, so the store must take no further commit; readers stay at the commit
// before.
func (s *store) commit(batch *overlay, mark []byte) error {
	ts := s.committed + 1 // only this goroutine changes it
	txn := s.bdb.NewTransactionAt(s.committed, true)
	defer txn.Discard()
	at := seqValue(ts, mark)
	err := txn.Set(seqKey(), at)
	if err != nil {
		return err
	}
	batch.Scan(func(w *write) bool {
		if w.deleted {
			err = txn.Delete(w.stored)
		} else {
			err = txn.Set(w.stored, w.value)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	failpoint.At("commit/begun")
	if err := txn.CommitAt(ts, nil); err != nil {
		return err
	}
	failpoint.At("commit/written")
	if err := s.log.sync(); err != nil {
		return fmt.Errorf("sync log: %w", err)
	}
	failpoint.At("commit/durable")
	batch.Scan(func(w *write) bool {
		if w.deleted {
			s.rows.replace(w.key(), nil, ts)
		} else {
			s.rows.replace(w.key(), w.value, ts)
		}
		return true
	})
	s.keepFrom(s.advance(ts, at[seqLen:]))
	return nil
}

// advance makes ts the state to read and returns the oldest state still read:
// compaction may drop what no later one can see.
func (s *store) advance(ts uint64, mark []byte) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed, s.mark = ts, mark
	oldest := ts
	for t := range s.reading {
		oldest = min(oldest, t)
	}
	return oldest
}

func (s *store) close() error { return errors.Join(s.log.forget(), s.bdb.Close()) }

// reopen closes Badger and opens it again, in another way, while nobody uses it;
// it reports false where somebody does.
func (s *store) reopen(open func() (*badger.DB, error)) (bool, error) {
	if !s.gate.TryLock() {
		return false, nil
	}
	defer s.gate.Unlock()
	if err := s.close(); err != nil {
		return true, err
	}
	bdb, err := open()
	if err != nil {
		return true, err
	}
	s.bdb = bdb
	s.keepFrom(s.committed)
	return true, nil
}

// badgerSnapshot is a snapshot over a read-only transaction.
type badgerSnapshot struct {
	store *store
	ts    uint64
	keeps bool        // what it reads goes to the cache
	txn   *badger.Txn // nil: not needed yet
	buf   []byte      // for prefixed keys
}

// badger returns the snapshot's transaction.
func (s *badgerSnapshot) badger() *badger.Txn {
	if s.txn == nil {
		s.txn = s.store.bdb.NewTransactionAt(s.ts, false)
	}
	return s.txn
}

func (s *badgerSnapshot) get(key []byte) ([]byte, error) {
	row, _, err := s.row(key)
	return row.value, err
}

// row returns what a key holds, and whether that was held in memory.
func (s *badgerSnapshot) row(key []byte) (row cachedRow, held bool, err error) {
	row, held = s.store.rows.get(key, s.ts)
	if !held {
		if row, err = s.read(key); err != nil {
			return cachedRow{}, false, err
		}
		if s.keeps {
			s.store.rows.put(key, row, s.ts)
		}
	}
	if row.value == nil {
		return cachedRow{}, held, metadb.ErrNotFound
	}
	return row, held, nil
}

// decoded returns what decode makes of the value of a key. It is kept of rows that
// are asked for more than once.
func (s *badgerSnapshot) decoded(key []byte, decode func(key, value []byte) (any, error)) (any, error) {
	row, held, err := s.row(key)
	if err != nil || row.decoded != nil {
		return row.decoded, err
	}
	made, err := decode(key, row.value)
	if err == nil && held && s.keeps {
		s.store.rows.decoded(key, row.since, made)
	}
	return made, err
}

// read asks Badger what a key holds.
func (s *badgerSnapshot) read(key []byte) (cachedRow, error) {
	s.buf = prefixed(s.buf[:0], key)
	item, err := s.badger().Get(s.buf)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return cachedRow{since: s.ts}, nil
	}
	if err != nil {
		return cachedRow{}, fmt.Errorf("%w: get %q: %w", metadb.ErrCorrupt, key, err)
	}
	value, err := itemValue(item)
	if value == nil {
		value = []byte{}
	}
	return cachedRow{value: value, since: item.Version()}, err
}

func (s *badgerSnapshot) iterate(start, end []byte) iterator {
	opt := badger.IteratorOptions{Prefix: []byte{dataPrefix}, AllVersions: true}
	if end != nil {
		opt.Prefix = append(opt.Prefix, commonPrefix(start, end)...)
	}
	return &badgerIterator{it: s.badger().NewIterator(opt), end: end}
}

func (s *badgerSnapshot) close() {
	if s.txn != nil {
		s.txn.Discard()
	}
	s.store.doneReading(s.ts)
	s.store.gate.RUnlock()
}

// badgerIterator is an iterator over Badger's, without the data prefix. Badger
// keeps what a key held before until a compaction drops it, and by itself steps
// over all of that, one by one: beside a key that is written all the time every
// scan would pay for each write. So this one sees all and jumps.
type badgerIterator struct {
	it   *badger.Iterator // over all that keys held, newest first
	end  []byte
	buf  []byte // for prefixed keys
	last []byte // the prefixed key that was passed last
}

// maxStale is how many old values of one key are stepped over before a jump,
// which costs about as much.
const maxStale = 8

func (i *badgerIterator) valid() bool {
	return i.it.Valid() && (i.end == nil || bytes.Compare(i.key(), i.end) < 0)
}

func (i *badgerIterator) key() []byte { return i.it.Item().Key()[1:] }

func (i *badgerIterator) value() ([]byte, error) { return itemValue(i.it.Item()) }

func (i *badgerIterator) next() {
	i.last = append(i.last[:0], i.it.Item().Key()...)
	i.it.Next()
	i.settle()
}

func (i *badgerIterator) seek(key []byte) {
	if i.end != nil && bytes.Compare(key, i.end) > 0 {
		key = i.end // not outside the iterator's prefix by way of an upper bound below start
	}
	i.buf, i.last = prefixed(i.buf[:0], key), i.last[:0]
	i.it.Seek(i.buf)
	i.settle()
}

// settle moves on to what a key holds now: past what the last one held before,
// and past keys that were deleted.
func (i *badgerIterator) settle() {
	for stale := 0; i.it.Valid(); {
		item := i.it.Item()
		switch same := bytes.Equal(item.Key(), i.last); {
		case !same && !item.IsDeletedOrExpired():
			return
		case !same:
			i.last, stale = append(i.last[:0], item.Key()...), 0
		case stale == maxStale:
			i.buf, stale = append(append(i.buf[:0], i.last...), 0), 0
			i.it.Seek(i.buf) // the first key behind it
			continue
		default:
			stale++
		}
		i.it.Next()
	}
}

func (i *badgerIterator) close() { i.it.Close() }

// itemValue returns an item's value without a copy: it lies in the item's own
// buffer, which Badger reuses when an iterator moves on and otherwise never.
func itemValue(item *badger.Item) ([]byte, error) {
	var v []byte
	err := item.Value(func(b []byte) error { v = b; return nil })
	if err != nil {
		return nil, fmt.Errorf("%w: value of %q: %w", metadb.ErrCorrupt, item.Key()[1:], err)
	}
	return v, nil
}

func prefixed(buf, key []byte) []byte {
	return append(append(buf, dataPrefix), key...)
}

// commonPrefix returns what all keys of [a, b) begin with, at least.
func commonPrefix(a, b []byte) []byte {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

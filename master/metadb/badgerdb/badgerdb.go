package badgerdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"tdkvs/master/metadb"
)

// DB is a metadb.DB kept in a directory. A closure of Update runs on the goroutine of
// whoever calls Update at the time: it must not call Update itself, nor end its goroutine.
type DB struct {
	dir      string
	log      *slog.Logger
	lock     *os.File
	store    *store
	combiner *combiner
	space    *space
	keeper   *keeper

	mu      sync.Mutex // guards the fields below
	idle    sync.Cond  // signaled when viewing falls to zero
	viewing int        // Views under way
	closed  bool
	done    chan struct{} // closed when Close has ended; nil before Close
	err     error         // of Close
}

var _ metadb.DB = (*DB)(nil)

// Open opens the store in dir, making the directory (mode 0700) where there is
// none. It fails with metadb.ErrLocked when another process has it open, with
// metadb.ErrCorrupt when what it holds does not verify, and when a later release
// made it.
func Open(dir string, o Options) (_ *DB, err error) {
	o = o.withDefaults()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("metadata directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	if err := checkFormat(dir); err != nil {
		return nil, err
	}
	start := time.Now()
	sum, err := verify(dir)
	if err != nil {
		return nil, fmt.Errorf("metadata in %s: %w", dir, err)
	}
	if err := removeUnmade(dir); err != nil {
		return nil, fmt.Errorf("metadata in %s: %w", dir, err)
	}
	tight, err := roomToOpen(dir, o, sum)
	if err != nil {
		return nil, fmt.Errorf("metadata in %s: %w", dir, err)
	}
	opt := badgerOptions(dir, o)
	if tight {
		opt = frugal(opt)
	}
	bdb, err := badger.OpenManaged(opt)
	if err != nil {
		return nil, fmt.Errorf("open metadata in %s: %w", dir, err)
	}
	kept, err := newStore(dir, bdb)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open metadata in %s: %w", dir, err), bdb.Close())
	}
	o.Logger.Info("metadata open", "dir", dir, "tables", sum.tables, "bytes", sum.bytes, "took", time.Since(start).Round(time.Millisecond))

	db := &DB{dir: dir, log: o.Logger, lock: lock, store: kept}
	db.idle.L = &db.mu
	logs := &logRoom{dir: dir, memory: int(o.MemTableSize), logSize: o.MemTableSize + bdb.MaxBatchSize() + transactionEnd, now: time.Now}
	if err := logs.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("metadata in %s: %w", dir, err), bdb.Close())
	}
	db.space = &space{dir: dir, reserve: o.Reserve, measure: o.FreeSpace, now: time.Now, log: o.Logger, logs: logs}
	db.combiner = newCombiner(db.store, db.space, int(bdb.MaxBatchSize()))
	db.keeper = startKeeper(db, o, tight)
	return db, nil
}

// View implements metadb.DB.
func (db *DB) View(ctx context.Context, fn func(metadb.Tx) error) error {
	v, err := db.view(ctx)
	if err != nil {
		return err
	}
	defer v.end()
	return fn(v)
}

// view is one View under way, and its transaction.
type view struct {
	tx
	db   *DB
	snap badgerSnapshot
}

var _ metadb.Decoding = (*view)(nil)

// Decoded implements metadb.Decoding.
func (v *view) Decoded(key []byte, decode func(key, value []byte) (any, error)) (any, error) {
	return v.snap.decoded(key, decode)
}

// view begins a View of the newest durable state. Its end must be called.
func (db *DB) view(ctx context.Context) (*view, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !db.enter() {
		return nil, metadb.ErrClosed
	}
	v := &view{db: db, snap: badgerSnapshot{keeps: true}}
	db.store.open(&v.snap)
	v.tx = tx{ctx: ctx, snap: &v.snap}
	return v, nil
}

func (v *view) end() {
	v.tx.end()
	v.snap.close()
	v.db.leave()
}

// Update implements metadb.DB. A context that ends before fn was started means
// that nothing was applied; once fn was started the outcome is waited for.
func (db *DB) Update(ctx context.Context, fn func(metadb.Tx) error) error {
	return db.combiner.update(ctx, fn)
}

// Stats implements metadb.DB.
func (db *DB) Stats() metadb.Stats {
	c := db.combiner
	return metadb.Stats{
		Commits: c.commits.Load(), Updates: c.updates.Load(), CommitLatency: c.latency.Counts(), CommitTime: c.latency.Sum(),
	}
}

// Failed returns why the store is read-only, an error wrapping metadb.ErrFailed,
// and nil while it is not.
func (db *DB) Failed() error { return db.combiner.failed() }

// Disk says what room there is, now, and how much the store takes.
func (db *DB) Disk() metadb.Disk {
	d := db.space.disk()
	d.Bytes = db.keeper.bytes.Load()
	return d
}

func (db *DB) enter() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return false
	}
	db.viewing++
	return true
}

func (db *DB) leave() {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.viewing--; db.viewing == 0 {
		db.idle.Broadcast()
	}
}

// failedCloseWait bounds Close on a store whose disk failed, where Badger would
// try to flush its memtable for ever.
const failedCloseWait = 10 * time.Second

// Close implements metadb.DB. Closing again waits for the first Close and
// returns its error.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.done != nil {
		done := db.done
		db.mu.Unlock()
		<-done
		return db.err
	}
	db.closed = true
	db.done = make(chan struct{})
	db.mu.Unlock()
	defer close(db.done)

	db.keeper.stop()
	db.combiner.close()
	db.mu.Lock()
	for db.viewing > 0 {
		db.idle.Wait()
	}
	db.mu.Unlock()
	db.err = db.closeStore()
	return db.err
}

func (db *DB) closeStore() error {
	if db.combiner.failed() == nil && !db.roomToClose() {
		// Nobody uses it any more, and it has nothing that it must write.
		db.log.Warn("the disk of the metadata is full: the next start goes on from the log", "dir", db.dir)
		return nil
	}
	closed := make(chan error, 1)
	go func() { closed <- db.store.close() }()
	var giveUp <-chan time.Time
	if db.combiner.failed() != nil {
		giveUp = time.After(failedCloseWait)
	}
	select {
	case err := <-closed:
		db.keepRest(db.keeper.o.spareSize())
		return errors.Join(err, db.lock.Close())
	case <-giveUp: // the lock stays: Badger may still write
		return fmt.Errorf("close metadata: still busy after %v: %w", failedCloseWait, db.combiner.failed())
	}
}

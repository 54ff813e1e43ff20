package badgerdb

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"tdkvs/master/metadb"
)

const (
	keepEvery = time.Second
	// slack is more than a start or an end writes beside the tables of its logs.
	slack = 2 << 20
)

// spareSize is the size of the file that keeps room for a start: there may be two
// logs that were not written to tables yet.
func (o Options) spareSize() int64 { return 2*o.MemTableSize + slack }

// roomToOpen makes sure that Badger can open: it writes what the logs hold to
// tables, through mapped files. Where the disk is full it gives up what the logs
// have taken beyond that, and the space that was kept for this moment. tight says
// that there is too little for a compaction. ErrNoSpace where there is too little
// for anything.
func roomToOpen(dir string, o Options, sum verified) (tight bool, err error) {
	need := uint64(sum.logged() + slack)
	room, err := o.FreeSpace(dir)
	if err == nil && !room.enough(need) {
		o.Logger.Warn("the disk of the metadata is full: what was kept for a start is used", "dir", dir, "free", room.Free, "needed", need)
		if err := errors.Join(cutLogs(sum.logs), giveSpare(dir)); err != nil {
			return false, err
		}
		room, err = o.FreeSpace(dir)
	}
	switch {
	case err != nil:
		return false, nil // unknown is not full
	case !room.enough(need) && room.Total >= need:
		return false, fmt.Errorf("%w: a start needs %d MiB and %d files; %d MiB are free, for %d files", metadb.ErrNoSpace,
			(need+1<<20-1)>>20, spareFiles, room.Free>>20, room.Inodes)
	}
	return room.Free <= o.Reserve/2 || room.Inodes <= fewInodes, nil
}

// enough reports that a start which writes so many bytes has room.
func (r Room) enough(need uint64) bool { return r.Free >= need && r.Inodes >= spareFiles }

// cutLogs cuts off what logs have taken for more, as Badger does later.
func cutLogs(logs []loggedFile) error {
	for _, l := range logs {
		if err := os.Truncate(l.name, l.end); err != nil {
			return err
		}
	}
	return nil
}

// roomToClose makes sure that Badger can close: it writes what its log holds to a
// table. It reports false where it can not; all is durable in the log, and the
// next start goes on from there.
func (db *DB) roomToClose() bool {
	logs := db.space.logs
	if err := logs.end(); err != nil {
		db.log.Warn("a log that was not used stays", "error", err)
	}
	need := uint64(logs.used + 2*slack)
	if db.space.disk().Free < need && hasSpare(db.dir) {
		if err := giveSpare(db.dir); err != nil {
			db.log.Warn("the space that was kept for a start stays", "error", err)
		}
	}
	d := db.space.disk()
	return d.Total == 0 || d.Free >= need
}

// keepRest keeps what room there is for the next start.
func (db *DB) keepRest(size int64) {
	free := int64(db.space.disk().Free)
	if hasSpare(db.dir) || free <= slack {
		return
	}
	if err := keepSpare(db.dir, min(size, free-slack/2)); err != nil {
		db.log.Warn("no room could be kept for the next start", "dir", db.dir, "error", err)
	}
}

// keeper looks at the disk once a second: it warns before it is full, keeps room
// for the next start, and lets Badger compact again once there is room for that.
type keeper struct {
	db    *DB
	o     Options
	tight bool // Badger was opened without compactions
	last  metadb.DiskState
	told  bool // that no room can be kept for a start

	bytes   atomic.Int64 // of the store's files
	sized   time.Time
	stopped chan struct{}
	group   sync.WaitGroup
}

func startKeeper(db *DB, o Options, tight bool) *keeper {
	k := &keeper{db: db, o: o, tight: tight, stopped: make(chan struct{})}
	k.look()
	k.group.Go(k.run)
	return k
}

func (k *keeper) stop() {
	close(k.stopped)
	k.group.Wait()
}

func (k *keeper) run() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-k.stopped:
			return
		case <-tick.C:
			k.look()
		}
	}
}

func (k *keeper) look() {
	d := k.db.space.disk()
	k.tell(d)
	k.keepSpare(d)
	if k.tight && d.State < metadb.DiskFull {
		k.loosen()
	}
	if time.Since(k.sized) >= sizeEvery {
		k.sized = time.Now()
		k.bytes.Store(sizeOf(k.db.dir))
	}
}

// tell logs each change for the worse, and the end of it.
func (k *keeper) tell(d metadb.Disk) {
	if d.State == k.last {
		return
	}
	switch worse := d.State > k.last; {
	case !worse && d.State <= metadb.DiskLow && k.last >= metadb.DiskFull:
		k.o.Logger.Info("the disk of the metadata has room again: writes are taken", "dir", k.db.dir, "free", d.Free, "reserve", d.Reserve)
	case worse && d.State == metadb.DiskLow:
		k.o.Logger.Warn("the disk of the metadata is nearly full: writes are refused when the reserve is reached", "dir", k.db.dir, "free", d.Free, "reserve", d.Reserve)
	case worse:
		k.o.Logger.Error("the disk of the metadata is full: writes are refused; delete objects or make room", "dir", k.db.dir, "room", d.Reason)
	}
	k.last = d.State
}

// keepSpare takes the room for a start, once it is there.
func (k *keeper) keepSpare(d metadb.Disk) {
	if k.db.space.spare.Load() || d.Free < uint64(k.o.spareSize()+slack) || k.told && d.State >= metadb.DiskFull {
		return
	}
	err := keepSpare(k.db.dir, k.o.spareSize())
	k.db.space.spare.Store(err == nil)
	if err != nil && !k.told {
		k.told = true
		k.o.Logger.Warn("no room could be kept for a start on a full disk", "dir", k.db.dir, "error", err)
	}
}

// loosen opens Badger again, with compactions, in a moment in which nobody uses it.
func (k *keeper) loosen() {
	for end := time.Now().Add(keepEvery); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		done, err := k.db.store.reopen(func() (*badger.DB, error) { return k.open() })
		if err != nil {
			k.o.Logger.Error("metadata could not be opened again", "dir", k.db.dir, "error", err)
			failure := fmt.Errorf("%w: %w", metadb.ErrFailed, err)
			k.db.combiner.failure.Store(&failure)
		}
		if done {
			k.tight = false
			return
		}
	}
}

// open opens Badger as usual. It tries again where that fails: there is no other
// way to go on.
func (k *keeper) open() (*badger.DB, error) {
	for {
		err := removeUnmade(k.db.dir)
		if err == nil {
			var bdb *badger.DB
			if bdb, err = badger.OpenManaged(badgerOptions(k.db.dir, k.o)); err == nil {
				return bdb, k.db.space.logs.begin()
			}
		}
		k.o.Logger.Error("metadata can not be opened again; trying further", "dir", k.db.dir, "error", err)
		select {
		case <-k.stopped:
			return nil, errors.Join(metadb.ErrClosed, err)
		case <-time.After(keepEvery):
		}
	}
}

// sizeEvery is how often the files are counted.
const sizeEvery = 30 * time.Second

// sizeOf returns how many bytes of the disk the files of a directory take.
func sizeOf(dir string) (n int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			n += blocksOf(info)
		}
	}
	return n
}

package volume_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// putUnsynced puts a blob, which a power cut may take back until it is synced.
func (l *ledger) putUnsynced(s *volume.Store, id volume.BlobID, data []byte) bool {
	l.mu.Lock()
	l.states[id], l.data[id] = putting, data
	l.mu.Unlock()
	if s.PutUnsynced(id, data, descriptorOf(id)) {
		return true
	}
	l.set(id, refused)
	return false
}

// unsynced puts small blobs without a sync, and returns them; where that can not be it does
// as its callers do.
func (tr *trial) unsynced(first int, sizes ...int) (ids []volume.BlobID, err error) {
	for i, size := range sizes {
		id, data := blob(first+i, size)
		if !tr.l.putUnsynced(tr.s, id, data) {
			return ids, tr.put(first+i, size)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// then puts blobs without a sync, and makes them durable by something else.
func (tr *trial) then(syncs func() error) error {
	ids, err := tr.unsynced(50, 500, 0, 4096, 77)
	if err == nil {
		err = syncs()
	}
	if err == nil {
		for _, id := range ids {
			tr.l.set(id, present)
		}
	}
	return err
}

func unsyncedWrites() []operation {
	then := func(name string, do func(*trial) error) operation {
		return operation{name: "put unsynced, then " + name, history: lived, run: func(tr *trial) error {
			return tr.then(func() error { return do(tr) })
		}}
	}
	return []operation{
		then("put", func(tr *trial) error { return tr.put(60, 1000) }),
		then("delete", func(tr *trial) error { return tr.delete(smallFirst + 1) }),
		then("seal", func(tr *trial) error { return tr.s.Seal() }),
		then("mark", func(tr *trial) error { return tr.s.MarkIdle() }),
		then("close", (*trial).close),
		{name: "put unsynced", history: lived, run: func(tr *trial) error {
			_, err := tr.unsynced(50, 500, 4096)
			return err
		}},
		{name: "open, killed after unsynced puts", history: func(tr *trial) {
			lived(tr)
			if ids, err := tr.unsynced(50, 500, 0, 4096); err != nil || len(ids) != 3 {
				tr.t.Fatalf("%d were put unsynced, %v", len(ids), err)
			}
			tr.bury()
		}, run: (*trial).open},
	}
}

// TestPutUnsynced: such a blob costs no sync, and is there at once and after the end of the
// process.
func TestPutUnsynced(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	l, cfg := newLedger(), small(disk)
	cfg.SyncAfter = -1
	s := open(t, cfg)
	l.identity = s.Identity()
	first, data := blob(1, 100)
	if s.PutUnsynced(first, data, nil) {
		t.Error("put unsynced where there is no segment")
	}
	if err := l.put(t.Context(), s, first, data); err != nil {
		t.Fatal(err)
	}
	if s.PutUnsynced(first, data, nil) {
		t.Error("put unsynced where there is one already")
	}
	if id, data := blob(20, 5000); s.PutUnsynced(id, data, nil) {
		t.Error("put unsynced where it is too long")
	}
	syncs := status(t, s).Syncs
	for n := 2; n < 20; n++ {
		id, data := blob(n, n*30)
		if !l.putUnsynced(s, id, data) {
			t.Fatalf("%d was not put", n)
		}
		l.set(id, present)
	}
	if n := status(t, s).Syncs - syncs; n > 0 {
		t.Errorf("%d syncs", n)
	}
	l.check(t, s)
	closeStore(t, s)
	again := open(t, small(disk.CrashClone()))
	l.check(t, again)
	closeStore(t, again)
}

// TestSyncAfter: a blob that was put without a sync is durable a little later.
func TestSyncAfter(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	l, cfg := newLedger(), small(disk)
	cfg.SyncAfter = 5 * time.Millisecond
	s := open(t, cfg)
	l.identity = s.Identity()
	id, data := blob(1, 100)
	if err := l.put(t.Context(), s, id, data); err != nil {
		t.Fatal(err)
	}
	for n := 2; n < 6; n++ { // the watch begins anew
		id, data := blob(n, n*30)
		if !l.putUnsynced(s, id, data) {
			t.Fatalf("%d was not put", n)
		}
		for end := time.Now().Add(10 * time.Second); !outlives(t, disk, id); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it was not synced")
			}
		}
	}
	l.check(t, s)
	closeStore(t, s)
}

// outlives reports that a power cut would leave a blob.
func outlives(t *testing.T, disk *vfs.Mem, id volume.BlobID) bool {
	t.Helper()
	s := open(t, small(disk.CrashClone()))
	defer closeStore(t, s)
	_, err := s.Stat(t.Context(), id)
	return err == nil
}

// TestUnsyncedBesideOthers puts blobs with and without a sync, deletes and seals, all side by
// side, and cuts the power: what was promised is there, and of the rest there is a beginning.
func TestUnsyncedBesideOthers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			disk := vfs.NewMem()
			l, cfg := newLedger(), small(disk)
			cfg.SyncAfter = time.Millisecond
			s := open(t, cfg)
			l.identity = s.Identity()
			var wg sync.WaitGroup
			var unsynced atomic.Int64
			for w := range 8 {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(seed, uint64(w)))
					for i := range 150 {
						id, data := blob(1000*(w+1)+i, rng.IntN(3000))
						if w%2 == 0 && l.putUnsynced(s, id, data) {
							unsynced.Add(1)
						} else if err := l.put(t.Context(), s, id, data); err != nil {
							t.Error(err)
						}
						expect(t, s, id, data)
						if rng.IntN(5) == 0 {
							if err := l.delete(t.Context(), s, id); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			rng := rand.New(rand.NewPCG(seed, 99))
			for range 20 {
				told := l.snapshot()
				left := disk.CrashCloneRand(rng)
				again := open(t, small(left))
				later := l.snapshot() // what was put meanwhile may be there
				for id, st := range later.states {
					if told.states[id] != st {
						told.states[id], told.data[id] = either(told.states[id], st), later.data[id]
					}
				}
				told.check(t, again)
				closeStore(t, again)
			}
			wg.Wait()
			closeStore(t, s)
			for id, st := range l.states {
				if st == putting {
					l.states[id] = present
				}
			}
			again := open(t, small(disk.CrashClone()))
			l.check(t, again)
			closeStore(t, again)
			if unsynced.Load() == 0 {
				t.Error("none was put unsynced")
			}
		})
	}
}

// either is what may be so of a blob that went from one state to another as the power went.
func either(before, after state) state {
	if before == present || after == deleting || after == deleted {
		return deleting
	}
	return putting
}

package volume_test

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// errKilled is what a process sees of the disk once it is dead.
var errKilled = errors.New("killed")

// killedAt runs the workload in a process that is killed before the n-th call
// that changes the disk. The page cache keeps what was not synced. It returns
// the disk and what had been promised; nil when there is no n-th call.
func killedAt(t *testing.T, n int) (*vfs.Mem, *ledger) {
	t.Helper()
	mem := vfs.NewMem()
	l := newLedger()
	var mu sync.Mutex
	var promised *ledger
	calls := 0
	cfg := small(vfs.NewFaulty(mem, vfs.Plan{Hook: func(call vfs.Call) *vfs.Fault {
		mu.Lock()
		defer mu.Unlock()
		switch call.Op {
		case vfs.OpReadAt, vfs.OpOpenRead, vfs.OpOpen, vfs.OpSize, vfs.OpStat, vfs.OpSpace, vfs.OpReadDir, vfs.OpLock:
		default:
			calls++
		}
		if calls < n {
			return nil
		}
		if promised == nil {
			promised = l.snapshot()
		}
		return &vfs.Fault{Err: errKilled}
	}}))
	cfg.CompactRatio = 0.01
	s, err := volume.Open(cfg)
	if err == nil {
		_ = workload(t.Context(), s, l) // cut off
		_ = s.Close()
	}
	return mem, promised
}

// adopt makes a promise of what is seen of the blobs whose fate was open.
func (l *ledger) adopt(t testing.TB, s *volume.Store) {
	t.Helper()
	for id, st := range l.states {
		if st != putting && st != deleting {
			continue
		}
		switch _, err := s.Stat(t.Context(), id); {
		case err == nil:
			l.states[id] = present
		case errors.Is(err, volume.ErrNotFound):
			l.states[id] = deleted
		default:
			t.Error(err)
		}
	}
}

// TestKilledThenPowerCut kills the process before every call that changes the
// disk, and starts it again. What it shows then, and what it acknowledges from
// then on, is durable: it may not rest on what the dead process never synced.
func TestKilledThenPowerCut(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		mem, l := killedAt(t, n)
		if l == nil {
			t.Logf("%d points", n-1)
			return
		}
		s := open(t, small(mem))
		l.check(t, s)
		l.adopt(t, s)
		after := open(t, small(mem.CrashClone()))
		l.check(t, after)
		closeStore(t, after)
		for i := range 4 { // large ones beside those that the dead process was at
			id, data := blob(5000+i, 10_000)
			for known := range l.states {
				if data := l.data[known]; len(data) > 4096 {
					id[0] = known[0]
				}
			}
			if err := l.put(t.Context(), s, id, data); err != nil {
				t.Error(err)
			}
		}
		after = open(t, small(mem.CrashClone()))
		l.check(t, after)
		closeStore(t, after)
		closeStore(t, s)
		if t.Failed() {
			t.Fatalf("killed before call %d", n)
		}
	}
}

// TestDirectoryNotSynced starts after a process that was killed between making
// a directory of large blobs and syncing its name.
func TestDirectoryNotSynced(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	closeStore(t, open(t, small(mem)))
	id, data := blob(1, 10_000)
	if err := mem.MkdirAll(dir + "/made"); err != nil {
		t.Fatal(err)
	}
	if err := mem.Rename(dir+"/made", dir+"/blobs/"+id.String()[:2]); err != nil {
		t.Fatal(err)
	}
	s := open(t, small(mem))
	mustPut(t, s, id, data)
	after := open(t, small(mem.CrashClone()))
	expect(t, after, id, data)
	closeStore(t, after)
	closeStore(t, s)
}

// TestClockBeforeEpoch stores while the machine has no idea of the time: what
// was acknowledged is found again.
func TestClockBeforeEpoch(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	cfg := small(mem)
	cfg.Clock = func() time.Time { return time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC) }
	s := open(t, cfg)
	l := newLedger()
	for n, size := range []int{100, 10_000} {
		id, data := blob(n, size)
		if err := l.put(t.Context(), s, id, data); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	s = open(t, cfg)
	l.check(t, s)
	closeStore(t, s)
}

// TestReserveMeetsManyLarge puts two blobs of known size at once, for each of
// which alone there is room: the second must not get into the reserve.
func TestReserveMeetsManyLarge(t *testing.T) {
	t.Parallel()
	const capacity, reserve, size = 10 << 20, 3 << 20, 4 << 20
	s, _, _ := openReserved(t, capacity, reserve)
	first, data := blob(1, size)
	second, _ := blob(2, 0)
	reading := false
	r := readerFunc(func(p []byte) (int, error) {
		if !reading {
			reading = true
			err := s.Put(t.Context(), second, size, bytes.NewReader(data), nil)
			if !errors.Is(err, volume.ErrNoSpace) {
				t.Errorf("second of two that do not fit together: %v, want ErrNoSpace", err)
			}
			if st := status(t, s); st.Free < reserve {
				t.Errorf("%d bytes free, reserve %d", st.Free, reserve)
			}
		}
		n := copy(p, data)
		data = data[n:]
		if n == 0 {
			return 0, io.EOF
		}
		return n, nil
	})
	if err := s.Put(t.Context(), first, size, r, nil); err != nil {
		t.Error(err)
	}
	mustDelete(t, s, 1)
	mustPut2(t, s, 3, size) // all of it is free again
	closeStore(t, s)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

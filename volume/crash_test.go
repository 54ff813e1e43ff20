package volume_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// crashSeeds is how many outcomes of each power cut TestCrash tries;
// TDKVS_CRASH_SEEDS in the environment sets another number.
const crashSeeds = 3

// workload does everything that a store can do, and notes what it was told. It
// goes on after failures; the first one is returned.
func workload(ctx context.Context, s *volume.Store, l *ledger) error {
	var errs []error
	try := func(err error) { errs = append(errs, err) }
	number := 0
	puts := func(sizes ...int) (ids []volume.BlobID) {
		for _, size := range sizes {
			number++
			id, data := blob(number, size)
			ids = append(ids, id)
			try(l.put(ctx, s, id, data))
		}
		return ids
	}
	first := puts(0, 1, 100, 4096, 700, 5000)
	try(l.claim(ctx, s, "11111111-2222-4333-8444-555555555555"))
	try(l.delete(ctx, s, first[1], first[5]))
	second := puts(90, 80)

	try(s.MarkIdle())
	try(l.putBatch(s, 100, 0, 600, 3000, 10, 4096, 900))

	try(s.Seal())
	third := puts(200, 3000, 70_000)
	try(s.MarkIdle())
	try(l.delete(ctx, s, append(first[2:5], second[0], third[1], third[2])...))
	for {
		more, err := s.CompactNext(ctx)
		try(err)
		if !more {
			break
		}
	}
	try(s.Seal())
	puts(10, 4000)
	try(l.delete(ctx, s, third[0]))
	_, err := s.CompactNext(ctx)
	try(err)
	puts(20)
	return errors.Join(errs...)
}

func TestWorkload(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	cfg := small(mem)
	cfg.CompactRatio = 0.01
	s := open(t, cfg)
	l := newLedger()
	if err := workload(t.Context(), s, l); err != nil {
		t.Fatal(err)
	}
	l.check(t, s)
	closeStore(t, s)
	s = open(t, cfg)
	l.check(t, s)
	closeStore(t, s)
}

// crashPoint is what the disk held at one moment, and what had been promised.
type crashPoint struct {
	call vfs.Call
	disk *vfs.Mem
	l    *ledger
}

// TestCrash takes the power away before every call that the workload makes to
// the file system, and in each case opens what is left.
func TestCrash(t *testing.T) {
	t.Parallel()
	seeds := crashSeeds
	if n, err := strconv.Atoi(os.Getenv("TDKVS_CRASH_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		mem := vfs.NewMem()
		l := newLedger()
		rng := rand.New(rand.NewPCG(uint64(seed), 7))
		var mu sync.Mutex
		var points []crashPoint
		faulty := vfs.NewFaulty(mem, vfs.Plan{Hook: func(call vfs.Call) *vfs.Fault {
			switch call.Op {
			case vfs.OpReadAt, vfs.OpOpenRead, vfs.OpOpen, vfs.OpSize, vfs.OpStat, vfs.OpSpace, vfs.OpReadDir:
				return nil // change nothing
			}
			mu.Lock()
			defer mu.Unlock()
			// The promises first: what is promised meanwhile is more than is asked for.
			point := crashPoint{call: call, l: l.snapshot()}
			if seed == 0 {
				point.disk = mem.CrashClone()
			} else {
				point.disk = mem.CrashCloneRand(rng)
			}
			points = append(points, point)
			return nil
		}})
		cfg := small(faulty)
		cfg.CompactRatio = 0.01
		s := open(t, cfg)
		if err := workload(t.Context(), s, l); err != nil {
			t.Fatal(err)
		}
		closeStore(t, s)
		t.Logf("seed %d: %d crash points", seed, len(points))
		for i, p := range points {
			p.check(t)
			if i%5 == seed%5 {
				p.checkCrashWhileRecovering(t, rng)
			}
			if t.Failed() {
				t.Fatalf("seed %d: crash point %d, before %v %s at %d+%d", seed, i, p.call.Op, p.call.Name, p.call.Off, p.call.Len)
			}
		}
	}
}

func (p *crashPoint) check(t *testing.T) {
	t.Helper()
	clone := p.disk.CrashClone() // all of it is durable
	s, err := volume.Open(small(clone))
	if err != nil {
		t.Errorf("open after a crash: %v", err)
		return
	}
	p.l.check(t, s)
	before := status(t, s)
	// The store works on, and finds the same again.
	id, data := blob(9999, 500)
	mustPut(t, s, id, data)
	closeStore(t, s)
	s = open(t, small(clone))
	expect(t, s, id, data)
	if err := s.Delete(t.Context(), []volume.BlobID{id}); err != nil {
		t.Error(err)
	}
	p.l.check(t, s)
	if after := status(t, s); after.Blobs != before.Blobs || after.Bytes != before.Bytes {
		t.Errorf("opened again: %d blobs, %d bytes; before %d, %d", after.Blobs, after.Bytes, before.Blobs, before.Bytes)
	}
	closeStore(t, s)
}

// checkCrashWhileRecovering takes the power away again during Open.
func (p *crashPoint) checkCrashWhileRecovering(t *testing.T, rng *rand.Rand) {
	t.Helper()
	clone := p.disk.CrashClone()
	var again []*vfs.Mem
	faulty := vfs.NewFaulty(clone, vfs.Plan{Hook: func(call vfs.Call) *vfs.Fault {
		switch call.Op {
		case vfs.OpWriteAt, vfs.OpSync, vfs.OpTruncate, vfs.OpRemove, vfs.OpRename, vfs.OpSyncDir:
			again = append(again, clone.CrashCloneRand(rng))
		}
		return nil
	}})
	s, err := volume.Open(small(faulty))
	if err != nil {
		t.Errorf("open after a crash: %v", err)
		return
	}
	closeStore(t, s)
	for _, disk := range again {
		second := crashPoint{disk: disk, l: p.l}
		second.check(t)
	}
}

package master_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// datedBlobs is a volume with a clock of its own, which is off by some time from
// that of the store.
type datedBlobs struct {
	volume.Blobs
	clock *clock
	off   time.Duration

	mu      sync.Mutex
	created map[volume.BlobID]time.Time
}

func (b *datedBlobs) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	err := b.Blobs.Put(ctx, id, size, body, desc)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.created[id] = b.clock.now().Add(b.off)
	return err
}

func (b *datedBlobs) List(ctx context.Context, after volume.BlobID, limit int) ([]volume.Info, error) {
	infos, err := b.Blobs.List(ctx, after, limit)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range infos {
		infos[i].Created = b.created[infos[i].ID]
	}
	return infos, err
}

// newDatedStore is newStore with volumes that know the time of the store, off by
// as much as is said for each.
func newDatedStore(t *testing.T, off ...time.Duration) *store {
	t.Helper()
	s := newBareStore(t, len(off))
	for i, v := range s.volumes {
		v.Blobs = &datedBlobs{Blobs: v.Blobs, clock: s.clock, off: off[i], created: map[volume.BlobID]time.Time{}}
	}
	s.open()
	s.createBucket(bucket)
	t.Cleanup(s.check)
	return s
}

// leave has a write cut off between its bytes and its record, as a kill does.
func (s *store) leave(key string) {
	s.t.Helper()
	killed := errors.New("killed")
	s.db.fail(&s.db.before, 1, killed)
	if _, err := s.tryPut(key, "left of "+key, meta.Precondition{}); !errors.Is(err, killed) {
		s.t.Fatal(err)
	}
	s.db.heal()
}

// wantLookedOver lets the look come to its end and wants that it found so many.
func (s *store) wantLookedOver(found uint64) {
	s.t.Helper()
	if st := s.lookOver(); st.Left != 0 || st.Found != found || st.Trouble != "" {
		s.t.Errorf("found %+v, want %d\n%s", st, found, s.log)
	}
}

// listed advances the look until it has listed all volumes.
func (s *store) listed() {
	s.t.Helper()
	if err := s.AskForLeftovers(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	for !s.LeftoversListed() {
		if _, err := s.LeftoversStep(context.Background()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// hold has the n-th commit from now on wait until it is let go.
func (s *store) hold(n int) (held <-chan struct{}, letGo func()) {
	at, going := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	f := func() error {
		mu.Lock()
		n--
		mine := n == 0
		mu.Unlock()
		if mine {
			close(at)
			<-going
		}
		return nil
	}
	s.db.before.Store(&f)
	return at, func() { close(going) }
}

// TestLeftovers: what a crash leaves is found by the next start, is named by the
// garbage queue from then on, and goes after its grace and no earlier.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	s := newDatedStore(t, 0, 0, 0)
	keys := s.fillKeys(30)
	s.wantLookedOver(0) // the first start
	for i := range 4 {
		s.leave(fmt.Sprint("cut off", i))
	}
	s.clock.advance(time.Hour) // while it is down
	s.open()
	wantFindings(t, s.fsckStore(master.CheckOptions{}), map[master.FindingKind]uint64{master.FindingOrphan: 4})
	s.wantLookedOver(4)
	wantFindings(t, s.fsckStore(master.CheckOptions{}), nil)
	s.clock.advance(master.DefaultLeftoverGrace - time.Second)
	s.collect()
	if n := s.blobs(); n != 34 {
		t.Errorf("%d blobs before the grace is over, want 34", n)
	}
	s.clock.advance(time.Second)
	s.collect()
	if n := s.blobs(); n != 30 {
		t.Errorf("%d blobs after it, want 30", n)
	}
	s.wantAll(keys)
}

// TestLeftoversOfAnyWrite: copies, shards, and parts of an upload.
func TestLeftoversOfAnyWrite(t *testing.T) {
	t.Parallel()
	s := newDatedStore(t, 0, 0, 0, 0, 0, 0)
	s.replicas(3)
	keys := s.fillKeys(10)
	up := s.createUpload("assembled")
	s.putPart(up, 1, "one")
	s.leave("copies")
	killed := errors.New("killed")
	s.db.fail(&s.db.before, 1, killed)
	if _, err := s.tryPutPart(up, 2, "two"); !errors.Is(err, killed) {
		t.Fatal(err)
	}
	s.db.heal()
	s.open()
	s.wantLookedOver(6)
	wantFindings(t, s.fsckStore(master.CheckOptions{}), nil)
	s.putPart(up, 2, "again")
	s.complete(up)
	s.clock.advance(25 * time.Hour)
	s.collect()
	s.wantBody("assembled", "oneagain")
	s.wantAll(keys)
}

// TestLeftoverClocks: whatever the clocks of the volumes say, nothing that is part
// of an object is taken for a leftover, written before the crash or after it. A
// clock that is an hour off does not keep leftovers from being found; one that is
// off by more does, and they stay.
func TestLeftoverClocks(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		off   time.Duration
		found bool
	}{
		"right":          {0, true},
		"an hour behind": {-time.Hour, true},
		"an hour ahead":  {time.Hour, true},
		"a month behind": {-30 * 24 * time.Hour, false},
		"a month ahead":  {30 * 24 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newDatedStore(t, x.off)
			s.wantLookedOver(0)
			var keys []string
			put := func(n int) {
				for range n {
					keys = append(keys, fmt.Sprint("k", len(keys)))
					s.put(keys[len(keys)-1], "body of "+keys[len(keys)-1])
				}
			}
			put(20)
			s.leave("cut off")
			s.open()
			put(20)
			for range 3 {
				s.clock.advance(time.Minute)
				_, _ = s.LeftoversStep(bg) // it goes on below
				put(5)
			}
			if x.found {
				s.wantLookedOver(1)
			} else {
				s.wantLookedOver(0)
				wantFindings(t, s.fsckStore(master.CheckOptions{}), map[master.FindingKind]uint64{master.FindingOrphan: 1})
			}
			s.clock.advance(48 * time.Hour)
			s.collect()
			s.wantAll(keys)
			if !x.found { // the end of the test wants none left
				s.forgetOrphans()
			}
		})
	}
}

// forgetOrphans has everything looked over, and what nothing names removed.
func (s *store) forgetOrphans() {
	s.t.Helper()
	if err := s.AskForLeftovers(bg); err != nil {
		s.t.Fatal(err)
	}
	s.lookOver()
}

// TestCleanStop: nothing is looked for after one, and what was left before it is.
func TestCleanStop(t *testing.T) {
	t.Parallel()
	s := newDatedStore(t, 0, 0)
	s.wantLookedOver(0)
	run := func() {
		t.Helper()
		ctx, stop := context.WithCancel(bg)
		stop()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	looks := func() bool {
		t.Helper()
		s.open()
		st, err := s.Leftovers(bg)
		if err != nil {
			t.Fatal(err)
		}
		return st.Left > 0
	}
	s.put("k", "body of k")
	if run(); looks() {
		t.Error("a look after a clean stop")
	}
	if !looks() {
		t.Error("no look after a stop that was not clean")
	}
	s.wantLookedOver(0)
	run()
	s.lookOver() // it runs again
	if !looks() {
		t.Error("no look after a process that went on after a clean stop")
	}
	s.clock.advance(time.Hour)
	if run(); !looks() {
		t.Error("the look that was under way is forgotten")
	}
	s.wantLookedOver(0)
	s.leave("cut off") // the process goes on, and does not know what became of it
	s.clock.advance(72 * time.Hour)
	if run(); !looks() {
		t.Error("no look though a write has ended in a way that is not known")
	}
	s.wantLookedOver(1)
	held, letGo := s.hold(1)
	var writing sync.WaitGroup
	writing.Go(func() { s.put("k", "body of k") })
	<-held
	run()
	letGo()
	writing.Wait()
	s.db.heal()
	if !looks() {
		t.Error("no look after a stop with a write under way")
	}
	s.wantLookedOver(0)
	s.wantBody("k", "body of k")
}

// TestAliveIsRecorded: a crash long after the start is looked for around the last
// writes, which need not be many; idle time costs no commits.
func TestAliveIsRecorded(t *testing.T) {
	t.Parallel()
	s := newDatedStore(t, 0, 0)
	s.wantLookedOver(0)
	for range 3 {
		s.clock.advance(100 * time.Hour)
		s.put("k", "body of k")
		s.lookOver() // a step
	}
	before := s.db.updates.Load()
	for range 10 {
		s.clock.advance(time.Hour)
		s.lookOver()
	}
	if n := s.db.updates.Load() - before; n != 0 {
		t.Errorf("%d commits while nothing was written", n)
	}
	s.clock.advance(100 * time.Hour)
	select {
	case <-s.LeftoversWoken(): // of before
	default:
	}
	s.leave("cut off")
	select {
	case <-s.LeftoversWoken(): // to record it at once
	default:
		t.Error("not woken by the first write")
	}
	s.lookOver()
	s.open()
	st, err := s.Leftovers(bg)
	if err != nil || s.clock.now().Sub(st.From) > 3*time.Hour || st.Until.Sub(s.clock.now()) > 3*time.Hour {
		t.Errorf("looks at %v to %v, %v: it is %v", st.From, st.Until, err, s.clock.now())
	}
	s.wantLookedOver(1)
}

// TestLeftoversWhileAVolumeIsDown: the others are looked over, and that one when it
// is back.
func TestLeftoversWhileAVolumeIsDown(t *testing.T) {
	t.Parallel()
	s := newDatedStore(t, 0, 0, 0)
	for i := range 20 {
		s.leave(fmt.Sprint("cut off", i))
	}
	on := uint64(len(s.volumes[1].ids(t)))
	if on == 0 || on == 20 {
		t.Fatalf("%d of 20 are on the volume", on)
	}
	s.volumes[1].down.Store(true)
	s.open()
	if st := s.lookOver(); st.Found != 20-on || st.Left != 1 || st.Trouble == "" {
		t.Errorf("%+v, want %d", st, 20-on)
	}
	before := s.db.updates.Load()
	s.lookOver()
	if n := s.db.updates.Load() - before; n != 0 {
		t.Errorf("%d commits while nothing can be done", n)
	}
	s.open() // what is recorded goes on
	if st := s.lookOver(); st.Left != 1 {
		t.Errorf("%+v", st)
	}
	s.volumes[1].down.Store(false)
	s.ProbeRound(bg)
	if st := s.lookOver(); st.Left != 0 || st.Trouble != "" || st.Found != on {
		t.Errorf("%+v, want %d", st, on)
	}
	wantFindings(t, s.fsckStore(master.CheckOptions{}), nil)
}

// TestLeftoversGoOn: a look that is cut off goes on where it was, and finds
// everything once.
func TestLeftoversGoOn(t *testing.T) {
	t.Parallel()
	s := newDatedStore(t, 0, 0, 0)
	keys := s.fillKeys(30)
	for i := range 60 {
		s.leave(fmt.Sprint("cut off", i))
	}
	s.open()
	left := 3
	for range 200 {
		s.LeftoversAtOnce(1)
		state, err := s.LeftoversStep(bg)
		if err != nil {
			t.Fatal(err)
		}
		st, err := s.Leftovers(bg)
		if err != nil || st.Left > left {
			t.Fatalf("%+v, %v: %d were left before", st, err, left)
		}
		if left = st.Left; left == 0 && !state.More {
			break
		}
	}
	if st, err := s.Leftovers(bg); err != nil || st.Found != 60 || left != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	named := 0
	for k, v := range s.rows() {
		if g, err := metadb.UnmarshalGarbage(v); k[0] == 'g' && err == nil {
			named += len(g.Pieces)
		}
	}
	if named != 60 {
		t.Errorf("the queue names %d blobs, want 60", named)
	}
	s.clock.advance(25 * time.Hour)
	s.collect()
	s.wantAll(keys)
}

// TestLeftoversOfAStoreThatDidNotKnow: a store of a program that did not look for
// them has all its volumes looked over once, whenever its blobs were created.
func TestLeftoversOfAStoreThatDidNotKnow(t *testing.T) {
	t.Parallel()
	s := newDatedStore(t, -1000*time.Hour)
	s.put("k", "body of k")
	s.leave("cut off")
	s.write(func(tx metadb.Tx) error { return tx.Delete(metadb.LeftoversKey()) })
	s.open()
	s.wantLookedOver(1)
}

// TestFullMetadata: a store whose metadata takes no writes at its start serves, and
// records later that it may write.
func TestFullMetadata(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "body of k")
	s.lookOver()
	s.db.fail(&s.db.before, 1, metadb.ErrNoSpace)
	s.open()
	s.wantBody("k", "body of k")
	s.db.heal()
	s.wantLookedOver(0)
}

// TestLeftoversOfSlowVolumes: a volume that had all of a blob when its master was
// killed may store it when it was looked over. It is looked over again.
func TestLeftoversOfSlowVolumes(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 1)
	slow := &lateBlobs{Blobs: s.volumes[0].Blobs}
	s.volumes[0].Blobs = &datedBlobs{Blobs: slow, clock: s.clock, created: map[volume.BlobID]time.Time{}}
	s.open()
	s.createBucket(bucket)
	t.Cleanup(s.check)
	s.wantLookedOver(0)
	s.put("k", "body of k")
	slow.hang()
	s.db.fail(&s.db.before, 1, errors.New("killed"))
	if _, err := s.tryPut("late", "body of late", meta.Precondition{}); err == nil {
		t.Fatal("it was stored")
	}
	s.db.heal()
	s.open()
	s.wantLookedOver(0)
	if slow.land(t) != 1 {
		t.Fatal("nothing was under way")
	}
	s.clock.advance(time.Minute)
	s.wantLookedOver(0)
	s.clock.advance(5 * time.Minute)
	s.wantLookedOver(1)
	before := s.db.updates.Load()
	s.clock.advance(5 * time.Minute)
	if s.wantLookedOver(1); s.db.updates.Load() != before {
		t.Error("a third round")
	}
	s.wantBody("k", "body of k")
}

package master_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// repairFindings has the store repaired, and what was queued for that done.
func (s *store) repairFindings(only ...master.FindingKind) master.CheckReport {
	s.t.Helper()
	r := s.fsckStore(master.CheckOptions{Deep: true, Repair: master.RepairApply, Only: only})
	s.rebalanced()
	return r
}

// remedy returns what was done about a kind.
func remedy(t testing.TB, r master.CheckReport, kind master.FindingKind) (only master.Remedied) {
	t.Helper()
	for _, x := range r.Remedies {
		if x.Kind == kind {
			if only.Kind != "" {
				t.Errorf("two remedies for %q: %+v", kind, r.Remedies)
			}
			only = x
		}
	}
	return only
}

// TestRepairKeepsRows: a row that can not be read stays, and so does what it may
// name or be counted in: orphans and counters are left alone.
func TestRepairKeepsRows(t *testing.T) {
	t.Parallel()
	s := newDamaged(t)
	body := s.extent("plain3").Pieces[0]
	s.write(func(tx metadb.Tx) error { return tx.Set(metadb.ObjectKey(bucket, "plain3"), []byte("?")) })
	before := s.rows()
	r := s.repairFindings()
	if x := remedy(t, r, master.FindingRecord); x.Remedy != master.RemedyNone || x.Count != 1 || x.Done != 0 {
		t.Errorf("%+v", x)
	}
	if x := remedy(t, r, master.FindingCounters); x.Remedy != master.RemedyNone || x.Count != 1 || x.Done != 0 {
		t.Errorf("%+v", x)
	}
	if r.Undecided != 1 || r.Findings[master.FindingOrphan].Count != 0 {
		t.Errorf("%d undecided, %+v", r.Undecided, r.Findings)
	}
	s.clock.advance(72 * time.Hour)
	s.collect()
	for _, k := range differ(before, s.rows()) {
		if slices.Contains([]byte("bcmnov"), k[0]) {
			t.Errorf("row %q is not as it was", k)
		}
	}
	if err := s.volumeOf(body.Volume).Verify(bg, volume.BlobID(body.Blob)); err != nil {
		t.Error(err)
	}
}

// TestRepairCounters: those that can not be read are counted anew.
func TestRepairCounters(t *testing.T) {
	t.Parallel()
	s := newDamaged(t)
	want, err := s.Usage(bg, bucket)
	if err != nil {
		t.Fatal(err)
	}
	s.write(func(tx metadb.Tx) error { return tx.Set(metadb.UsageKey(bucket), []byte("?")) })
	r := s.repairFindings()
	if x := remedy(t, r, master.FindingCounters); x.Remedy != master.RemedyRecount || x.Done != 1 {
		t.Errorf("%+v", r.Remedies)
	}
	s.wantUsage(want)
	wantFindings(t, s.fsckStore(master.CheckOptions{}), nil)
}

// TestRepairManyOrphans: more than a crash leaves stay, unless they are asked for by
// name.
func TestRepairManyOrphans(t *testing.T) {
	t.Parallel()
	w := newWreck(t, 3)
	w.LeftoversLimit(2)
	for range 3 {
		wreckages()["orphan"].plant(w)
	}
	before := w.rows()
	r := w.repairFindings()
	if x := remedy(t, r, master.FindingOrphan); r.Excess != 3 || x.Remedy != master.RemedyNone || x.Count != 3 {
		t.Errorf("%d: %+v", r.Excess, r.Remedies)
	}
	if changed := differ(before, w.rows()); len(changed) > 0 {
		t.Errorf("changed: %q", changed)
	}
	r = w.repairFindings(master.FindingOrphan)
	if x := remedy(t, r, master.FindingOrphan); r.Excess != 0 || x.Remedy != master.RemedyGarbage || x.Done != 3 {
		t.Errorf("%d: %+v", r.Excess, r.Remedies)
	}
	blobs := w.blobs()
	w.clock.advance(23 * time.Hour)
	w.collect()
	if w.blobs() != blobs {
		t.Error("orphans are gone before their grace is over")
	}
	w.clock.advance(2 * time.Hour)
	w.collect()
	if n := w.blobs(); n != blobs-3 {
		t.Errorf("%d blobs of %d are left", n, blobs)
	}
}

// TestRepairNamedMeanwhile: an orphan that a row has come to name stays.
func TestRepairNamedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWreck(t, 4)
	key := w.take()
	p := w.extent(key).Pieces[1]
	w.setPieces(key, func(all []meta.Piece) []meta.Piece { return all[:1] })
	w.repairFindings(master.FindingOrphan)
	w.setPieces(key, func(all []meta.Piece) []meta.Piece { return append(all, p) })
	w.clock.advance(48 * time.Hour)
	w.collect()
	if err := w.volumeOf(p.Volume).Verify(bg, volume.BlobID(p.Blob)); err != nil {
		t.Error(err)
	}
	if problems := w.fsck(); len(problems) > 0 {
		t.Error(problems)
	}
}

// TestRepairUnsure: a blob that a commit may have recorded, whose end is not known,
// is not given up.
func TestRepairUnsure(t *testing.T) {
	t.Parallel()
	s := newDamaged(t)
	s.db.fail(&s.db.before, 1, context.DeadlineExceeded)
	if _, err := s.tryPut("unsure", "unsure", meta.Precondition{}); err == nil {
		t.Fatal("the commit has not failed")
	}
	s.db.heal()
	r := s.repairFindings()
	if x := remedy(t, r, master.FindingOrphan); x.Remedy != master.RemedyNone || x.Count != 1 {
		t.Errorf("%+v", r.Remedies)
	}
}

// TestRepairCollectedMeanwhile: a blob that a row names and the garbage queue as well,
// and that is removed just before it would have been spared, is made anew.
func TestRepairCollectedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWreck(t, 6)
	_, p := w.any()
	w.queueGarbage(metadb.Garbage{Kind: metadb.GarbageBlobs, Pieces: []meta.Piece{p}}, w.clock.now())
	collect := sync.OnceValue(func() error {
		w.unplant(p)
		w.write(func(tx metadb.Tx) error { return tx.Delete(garbageKey(w.clock.now(), p)) })
		return nil
	})
	w.db.before.Store(&collect)
	r := w.repairFindings()
	if x := remedy(t, r, master.FindingDoomed); x.Remedy != master.RemedySpare || x.Done != 1 {
		t.Errorf("%+v", r.Remedies)
	}
	wantFindings(t, w.fsckStore(master.CheckOptions{Deep: true}), nil)
}

// TestRepairFails: a store that takes no commit says so, and what was planned is not
// said to be done.
func TestRepairFails(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"missing", "doomed", "orphan", "counters", "few"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWreck(t, 5)
			wreckages()[name].plant(w)
			w.db.fail(&w.db.before, 1, metadb.ErrNoSpace)
			r, err := w.Check(bg, master.CheckOptions{Repair: master.RepairApply})
			if err == nil {
				t.Errorf("%+v", r.Remedies)
			}
		})
	}
}

// TestRepairUnderLoad: clients change objects, the rebalance works, and again and
// again a store is damaged and repaired. Nothing that somebody has stored is lost,
// and the counters are right.
func TestRepairUnderLoad(t *testing.T) {
	t.Parallel()
	s := newCopies(t, 4, 2)
	bodies := map[string]string{}
	for i := range 30 {
		key := fmt.Sprintf("stable%02d", i)
		bodies[key] = randomBody(100 + i)
		s.put(key, bodies[key])
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	s.stirring(ctx, ctx, &wg, 3, 1)
	wg.Go(func() {
		for ctx.Err() == nil {
			s.clock.advance(7 * time.Minute)
			if err := s.CollectGarbage(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			if _, err := s.RebalanceStep(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	rounds := 6
	if testing.Short() {
		rounds = 3
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for round := range rounds {
		s.damageStable(rng, bodies)
		r := s.fsckStore(master.CheckOptions{Deep: true, Repair: master.RepairApply})
		for key, body := range bodies {
			if got, err := s.readDespite(key); err != nil || got != body {
				t.Fatalf("round %d: %q: %s, %v\n%+v", round, key, brief(got), err, r.Remedies)
			}
		}
		s.waitClean(round)
	}
	stop()
	wg.Wait()
}

// damageStable damages one copy of some objects, and puts the counters wrong.
func (s *store) damageStable(rng *rand.Rand, bodies map[string]string) {
	s.t.Helper()
	keys := make([]string, 0, len(bodies))
	for key := range bodies {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, i := range rng.Perm(len(keys))[:6] {
		pieces := s.extent(keys[i]).Pieces
		p := pieces[rng.IntN(len(pieces))]
		switch rng.IntN(3) {
		case 0:
			s.unplant(p)
		case 1:
			s.volumeOf(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), 0)
		default:
			s.queueGarbage(metadb.Garbage{Kind: metadb.GarbageBlobs, Pieces: []meta.Piece{p}}, s.clock.now().Add(1000*time.Hour))
		}
	}
	off := int64(1 + rng.IntN(9))
	s.write(func(tx metadb.Tx) error {
		row, err := tx.Get(metadb.UsageKey(bucket))
		if err != nil {
			return err
		}
		u, err := metadb.UnmarshalUsage(row)
		if err != nil {
			return err
		}
		u.Objects, u.Bytes = u.Objects+off, u.Bytes+100*off
		if row, err = metadb.MarshalUsage(u); err != nil {
			return err
		}
		return tx.Set(metadb.UsageKey(bucket), row)
	})
}

// waitClean waits until what was queued is repaired.
func (s *store) waitClean(round int) {
	s.t.Helper()
	var r master.CheckReport
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if r = s.fsckStore(master.CheckOptions{Deep: true}); r.Clean() {
			return
		}
	}
	s.t.Fatalf("round %d: not clean: %+v\n%s", round, r, strings.Join(strings.Split(s.log.String(), "\n"), "\n"))
}

package master_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// wreck is a store with copies, shards, parts and versions in it that is damaged at
// random. It is not checked at the end as others are.
type wreck struct {
	*store
	rng    *rand.Rand
	copied []string          // keys of objects of two copies that nothing was done to
	cold   []string          // of shards
	lost   []string          // what can not be read any more
	truth  map[string]string // the bodies of all versions, before any damage
}

var twoPlusOne = meta.Code{Data: 2, Parity: 1}

func newWreck(t testing.TB, seed uint64) *wreck {
	t.Helper()
	s := newBareStore(t, 5)
	cfg := s.config()
	cfg.Replicas = 2
	cfg.Classes = map[string]master.Class{coldClass: {Code: twoPlusOne, MinSize: 1}}
	s.openWith(cfg)
	s.createBucket(bucket)
	w := &wreck{store: s, rng: rand.New(rand.NewPCG(seed, 7))}
	for i := range 40 {
		key := fmt.Sprintf("plain%02d", i)
		s.put(key, randomBody(50+i))
		w.copied = append(w.copied, key)
	}
	for i := range 12 {
		key := fmt.Sprintf("shards%02d", i)
		body := randomBody(1000 + 300*i)
		if _, err := s.putCold(bg, key, int64(len(body)), newPayload(body)); err != nil {
			t.Fatal(err)
		}
		w.cold = append(w.cold, key)
	}
	for i := range 3 {
		s.assemble(fmt.Sprint("assembled", i), []string{"one", "two", "three"})
	}
	s.versioning(meta.VersioningEnabled)
	for i := range 4 {
		s.put("versions", fmt.Sprint("version", i))
	}
	s.tryRemove("marked")
	s.rebalanced()
	s.collect()
	w.truth = s.contents()
	w.shuffle(w.copied)
	w.shuffle(w.cold)
	return w
}

func (w *wreck) shuffle(keys []string) {
	w.rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
}

// take returns an object of copies that nothing was done to.
func (w *wreck) take() string {
	key := w.copied[0]
	w.copied = w.copied[1:]
	return key
}

// any returns one of copies or shards, and one of its pieces.
func (w *wreck) any() (string, meta.Piece) {
	var key string
	if w.rng.IntN(3) > 0 || len(w.cold) == 0 {
		key = w.take()
	} else {
		key, w.cold = w.cold[0], w.cold[1:]
	}
	pieces := w.extent(key).Pieces
	return key, pieces[w.rng.IntN(len(pieces))]
}

// clone copies a blob to a volume, under another name.
func (w *wreck) clone(p meta.Piece, to meta.VolumeID) meta.Piece {
	w.t.Helper()
	info, r, err := w.volumeOf(p.Volume).Blobs.Open(bg, volume.BlobID(p.Blob), 0, -1)
	if err != nil {
		w.t.Fatal(err)
	}
	var id meta.BlobID
	for i := range id {
		id[i] = byte(w.rng.IntN(250))
	}
	err = w.volumeOf(to).Blobs.Put(bg, volume.BlobID(id), info.Size, r, func() ([]byte, error) { return info.Descriptor, nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return meta.Piece{Volume: to, Blob: id}
}

// replace records another piece in the place of one.
func (w *wreck) replace(key string, i int, p meta.Piece) {
	w.setPieces(key, func(all []meta.Piece) []meta.Piece { all[i] = p; return all })
}

// wreckage is a kind of damage: what it is found as, and how it is done.
type wreckage struct {
	found []master.FindingKind // all that names it
	plant func(*wreck)
}

// wreckages are all kinds of damage, by name.
func wreckages() map[string]wreckage {
	return map[string]wreckage{
		"missing": {[]master.FindingKind{master.FindingMissing}, func(w *wreck) {
			_, p := w.any()
			w.unplant(p)
		}},
		"lost": {[]master.FindingKind{master.FindingMissing, master.FindingUnreadable}, func(w *wreck) {
			key := w.take()
			for _, p := range w.extent(key).Pieces {
				w.unplant(p)
			}
			w.lost = append(w.lost, key)
		}},
		"corrupt": {[]master.FindingKind{master.FindingCorrupt}, func(w *wreck) {
			_, p := w.any()
			w.volumeOf(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), int64(w.rng.IntN(20)))
		}},
		"all corrupt": {[]master.FindingKind{master.FindingCorrupt}, func(w *wreck) {
			key := w.take()
			for _, p := range w.extent(key).Pieces {
				w.volumeOf(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), 0)
			}
			w.lost = append(w.lost, key)
		}},
		"size": {[]master.FindingKind{master.FindingSize, master.FindingCorrupt}, func(w *wreck) {
			_, p := w.any()
			w.unplant(p)
			w.plant(p.Volume, p.Blob, "short")
		}},
		"few": {[]master.FindingKind{master.FindingFew, master.FindingOrphan}, func(w *wreck) {
			w.setPieces(w.take(), func(p []meta.Piece) []meta.Piece { return p[:1] })
		}},
		"duplicate": {[]master.FindingKind{master.FindingDuplicate, master.FindingMany}, func(w *wreck) {
			key := w.take()
			p := w.extent(key).Pieces[1]
			more := w.clone(p, p.Volume)
			w.setPieces(key, func(all []meta.Piece) []meta.Piece { return append(all, more) })
		}},
		"misplaced": {[]master.FindingKind{master.FindingMisplaced, master.FindingOrphan}, func(w *wreck) {
			key := w.take()
			x := w.extent(key)
			w.replace(key, 1, w.clone(x.Pieces[1], elsewhere(x)))
		}},
		"stranded": {[]master.FindingKind{master.FindingStranded, master.FindingFew, master.FindingOrphan}, func(w *wreck) {
			w.replace(w.take(), 0, meta.Piece{Volume: 77, Blob: meta.BlobID{7}})
		}},
		"orphan": {[]master.FindingKind{master.FindingOrphan}, func(w *wreck) {
			w.clone(w.extent(w.take()).Pieces[0], 3)
		}},
		"doomed": {[]master.FindingKind{master.FindingDoomed}, func(w *wreck) {
			_, p := w.any()
			w.queueGarbage(metadb.Garbage{Kind: metadb.GarbageBlobs, Pieces: []meta.Piece{p}}, w.clock.now())
		}},
		"shared": {[]master.FindingKind{master.FindingShared, master.FindingOrphan}, func(w *wreck) {
			key := w.take()
			for _, other := range w.copied {
				mine, theirs := w.extent(key).Pieces, w.extent(other).Pieces
				if i := slices.IndexFunc(theirs, func(p meta.Piece) bool { return p.Volume == mine[0].Volume }); i >= 0 {
					w.replace(key, 0, theirs[i])
					w.copied = slices.DeleteFunc(w.copied, func(k string) bool { return k == other })
					return
				}
			}
			w.t.Fatal("no two objects have a volume in common")
		}},
		"counters": {[]master.FindingKind{master.FindingCounters}, func(w *wreck) {
			u, err := w.Usage(bg, bucket)
			if err != nil {
				w.t.Fatal(err)
			}
			u.Objects += int64(1 + w.rng.IntN(5))
			u.Bytes += int64(w.rng.IntN(500))
			u.DeleteMarkers++
			w.setUsage(u)
		}},
		"damaged": {[]master.FindingKind{master.FindingDamaged}, func(w *wreck) {
			row, err := metadb.MarshalDamage(&metadb.Damage{Cause: "as it was then", Size: 7})
			if err != nil {
				w.t.Fatal(err)
			}
			w.write(func(tx metadb.Tx) error { return tx.Set(metadb.DamageKey(bucket, w.take(), 0, 0), row) })
		}},
	}
}

func (s *store) queueGarbage(g metadb.Garbage, due time.Time) {
	s.t.Helper()
	row, err := metadb.MarshalGarbage(&g)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(func(tx metadb.Tx) error { return tx.Set(garbageKey(due, g.Pieces[0]), row) })
}

// garbageKey is the key of an entry that queueGarbage makes.
func garbageKey(due time.Time, first meta.Piece) []byte {
	return metadb.GarbageKey(due, [8]byte(first.Blob[:8]))
}

func (s *store) setUsage(u meta.Usage) {
	s.t.Helper()
	row, err := metadb.MarshalUsage(u)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(func(tx metadb.Tx) error { return tx.Set(metadb.UsageKey(bucket), row) })
}

// contents are the bodies of all versions that can be read.
func (s *store) contents() map[string]string {
	s.t.Helper()
	bodies := map[string]string{}
	for _, v := range s.listVersions(meta.VersionsRequest{}).Versions {
		if v.DeleteMarker {
			continue
		}
		r, err := s.OpenObject(bg, bucket, v.Key, v.VersionID)
		if err != nil {
			continue
		}
		rc, err := r.Range(bg, 0, r.Object().Size)
		if err == nil {
			var b []byte
			if b, err = io.ReadAll(rc); err == nil {
				bodies[v.Key+" "+v.VersionID] = string(b)
			}
			_ = rc.Close() // what was read is there
		}
		if err := r.Close(); err != nil {
			s.t.Error(err)
		}
	}
	return bodies
}

// mend repairs the store and returns what is not as it should be then.
func (w *wreck) mend(only []master.FindingKind) (problems []string) {
	w.t.Helper()
	before, rows := w.contents(), w.rows()
	for name, body := range before { // a copy that is another object's is read, for want of a descriptor
		if body != w.truth[name] {
			delete(before, name)
		}
	}
	opts := master.CheckOptions{Deep: true, Repair: master.RepairPlan, Only: only, BlobsAtOnce: 1 + w.rng.IntN(100)}
	plan := w.fsckStore(opts)
	if changed := differ(rows, w.rows()); len(changed) > 0 {
		problems = append(problems, fmt.Sprintf("the plan has changed %q", changed))
	}
	opts.Repair = master.RepairApply
	done := w.fsckStore(opts)
	problems = append(problems, comparePlan(plan, done)...)
	w.settle()
	problems = append(problems, missed(before, w.contents(), "right after the repair")...)
	problems = append(problems, w.unlisted()...)
	left := w.fsckStore(master.CheckOptions{Deep: true})
	for _, f := range left.Examples {
		if !slices.Contains(w.lost, f.Key) {
			problems = append(problems, fmt.Sprintf("left: %+v", f))
		}
	}
	w.clock.advance(48 * time.Hour)
	w.settle()
	w.collect()
	w.clock.advance(48 * time.Hour)
	w.collect()
	problems = append(problems, missed(before, w.contents(), "when all garbage is gone")...)
	return append(problems, w.fsck()...)
}

// unlisted returns what is lost and not on the list of damage, or the other way round.
func (w *wreck) unlisted() (problems []string) {
	w.t.Helper()
	list, err := w.ListDamage(bg, nil, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	var listed []string
	for _, d := range list {
		listed = append(listed, d.Key)
	}
	slices.Sort(w.lost)
	if !slices.Equal(listed, w.lost) {
		problems = append(problems, fmt.Sprintf("%q are listed as damaged, %q are lost", listed, w.lost))
	}
	return problems
}

// settle works until nothing is left that can be repaired now.
func (w *wreck) settle() {
	w.t.Helper()
	for range 1000 {
		state, err := w.RebalanceStep(bg)
		if err != nil {
			w.t.Fatal(err)
		}
		if st := w.rebalance(); !state.More && !st.Active {
			return
		}
	}
	w.t.Fatal("the repair does not come to its end")
}

// comparePlan wants what was planned to be what was done.
func comparePlan(plan, done master.CheckReport) (problems []string) {
	for _, p := range plan.Remedies {
		if p.Done != 0 {
			problems = append(problems, fmt.Sprintf("planned, and done already: %+v", p))
		}
		if p.Remedy != master.RemedyNone {
			p.Done = p.Count
		}
		if !slices.Contains(done.Remedies, p) {
			problems = append(problems, fmt.Sprintf("planned %+v, and done %+v", p, done.Remedies))
		}
	}
	if len(plan.Remedies) != len(done.Remedies) {
		problems = append(problems, fmt.Sprintf("planned %+v, and done %+v", plan.Remedies, done.Remedies))
	}
	return problems
}

// missed returns what could be read, and can not be any more, or is something else.
func missed(before, after map[string]string, when string) (problems []string) {
	for name, body := range before {
		if got, ok := after[name]; !ok || got != body {
			problems = append(problems, fmt.Sprintf("%s could be read before the repair, and can not be %s", name, when))
		}
	}
	return problems
}

// differ returns the keys of rows that are not the same.
func differ(a, b map[string][]byte) (keys []string) {
	for k, row := range a {
		if other, ok := b[k]; !ok || !slices.Equal(row, other) {
			keys = append(keys, k)
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	return keys
}

// wreckNames are the names of all kinds of damage, in order.
func wreckNames() []string {
	var names []string
	for name := range wreckages() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestRepairAnything damages a store in every way, some of them several times, and
// repairs it: what could be read can be read, and nothing is left but what is lost.
func TestRepairAnything(t *testing.T) {
	t.Parallel()
	seeds := 12
	if testing.Short() {
		seeds = 4
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWreck(t, seed)
			want := map[master.FindingKind]bool{}
			for _, name := range wreckNames() {
				x := wreckages()[name]
				for range 1 + w.rng.IntN(2) {
					x.plant(w)
				}
				for _, kind := range x.found {
					want[kind] = true
				}
			}
			found := w.fsckStore(master.CheckOptions{Deep: true, Examples: 1000}).Findings
			for kind := range want {
				if found[kind].Count == 0 {
					t.Errorf("%q is not found: %v", kind, found)
				}
			}
			if problems := w.mend(nil); len(problems) > 0 {
				t.Error(strings.Join(problems, "\n"))
			}
		})
	}
}

// TestRepairCanFail: a repair to which a kind of damage does not exist is caught by
// the test above.
func TestRepairCanFail(t *testing.T) {
	t.Parallel()
	for _, name := range wreckNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWreck(t, 1)
			x := wreckages()[name]
			x.plant(w)
			blind := slices.DeleteFunc(master.FindingKinds(), func(k master.FindingKind) bool { return slices.Contains(x.found, k) })
			if problems := w.mend(blind); len(problems) == 0 {
				t.Error("nobody has noticed")
			}
		})
	}
}

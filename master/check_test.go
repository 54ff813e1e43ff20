package master_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// TestCheckFinds plants each kind of finding, and sees it found and nothing else.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	const key = "plain7" // 7 bytes
	for name, c := range map[string]struct {
		plant func(*store)
		opts  master.CheckOptions
		want  map[master.FindingKind]uint64
		of    master.Finding // what the example must say, as far as it is set
	}{
		"nothing": {plant: func(*store) {}, want: map[master.FindingKind]uint64{}},
		"a blob is gone": {
			plant: func(s *store) { s.unplant(s.extent(key).Pieces[0]) },
			want:  map[master.FindingKind]uint64{master.FindingMissing: 1, master.FindingUnreadable: 1},
			of:    master.Finding{Bucket: bucket, Key: key, Bytes: 7},
		},
		"a blob of a noncurrent version is gone": {
			plant: func(s *store) {
				for k, row := range s.rows() {
					if o, err := metadb.UnmarshalObject(row); k[0] == 'v' && err == nil && o.Size == 5 {
						s.unplant(o.Extents[0].Pieces[0])
					}
				}
			},
			want: map[master.FindingKind]uint64{master.FindingMissing: 1, master.FindingUnreadable: 1},
			of:   master.Finding{Bucket: bucket, Key: "versions", Bytes: 5},
		},
		"the blob of a part is gone": {
			plant: func(s *store) {
				o, err := s.Object(context.Background(), bucket, "assembled", "")
				if err != nil {
					s.t.Fatal(err)
				}
				parts, err := s.ObjectParts(context.Background(), o, 0, 0)
				if err != nil {
					s.t.Fatal(err)
				}
				s.unplant(parts[2].Extents[0].Pieces[0])
			},
			want: map[master.FindingKind]uint64{master.FindingMissing: 1, master.FindingUnreadable: 1},
			of:   master.Finding{Bucket: bucket, Key: "assembled", Part: 3, Bytes: 5},
		},
		"the blob of an upload in progress is gone": {
			plant: func(s *store) {
				for k, row := range s.rows() {
					if p, err := metadb.UnmarshalPart(row); k[0] == 'p' && err == nil && p.Number == 7 {
						s.unplant(p.Extents[0].Pieces[0])
					}
				}
			},
			want: map[master.FindingKind]uint64{master.FindingMissing: 1, master.FindingUnreadable: 1},
			of:   master.Finding{Bucket: bucket, Key: "open", Part: 7, Bytes: 5},
		},
		"a blob of another length": {
			plant: func(s *store) {
				p := s.extent(key).Pieces[0]
				s.unplant(p)
				s.plant(p.Volume, p.Blob, "short")
			},
			want: map[master.FindingKind]uint64{master.FindingSize: 1},
			of:   master.Finding{Bucket: bucket, Key: key},
		},
		"a rotten blob, looked at closely": {
			plant: func(s *store) {
				p := s.extent(key).Pieces[0]
				s.volumeOf(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), 3)
			},
			opts: master.CheckOptions{Deep: true},
			want: map[master.FindingKind]uint64{master.FindingCorrupt: 1},
			of:   master.Finding{Bucket: bucket, Key: key, Bytes: 7},
		},
		"a rotten blob, not looked at": {
			plant: func(s *store) {
				p := s.extent(key).Pieces[0]
				s.volumeOf(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), 3)
			},
			want: map[master.FindingKind]uint64{},
		},
		"a blob that nothing names": {
			plant: func(s *store) { s.plant(2, meta.BlobID{9, 9}, "orphan") },
			want:  map[master.FindingKind]uint64{master.FindingOrphan: 1},
			of:    master.Finding{Volume: 2, Blob: meta.BlobID{9, 9}, Bytes: 6},
		},
		"two blobs on the wrong volume": {
			plant: func(s *store) {
				x := s.extent(key)
				s.unplant(x.Pieces[0])
				to := elsewhere(x)
				s.setPieces(key, func([]meta.Piece) []meta.Piece {
					return []meta.Piece{s.plant(to, meta.BlobID{1, 1}, "7 bytes"), s.plant(to, meta.BlobID{1, 2}, "7 bytes")}
				})
			},
			want: map[master.FindingKind]uint64{master.FindingMisplaced: 1, master.FindingDuplicate: 1, master.FindingMany: 1},
			of:   master.Finding{Bucket: bucket, Key: key},
		},
		"one copy of two": {
			plant: func(s *store) {
				s.write(func(tx metadb.Tx) error {
					b, err := tx.Get(metadb.BucketKey(bucket))
					if err != nil {
						return err
					}
					record, err := metadb.UnmarshalBucket(b)
					if err != nil {
						return err
					}
					record.Replicas = 2
					row, err := metadb.MarshalBucket(record)
					if err != nil {
						return err
					}
					return tx.Set(metadb.BucketKey(bucket), row)
				})
			},
			want: map[master.FindingKind]uint64{master.FindingFew: 26},
		},
		"a live blob is in the garbage queue": {
			plant: func(s *store) {
				s.write(func(tx metadb.Tx) error {
					row, err := metadb.MarshalGarbage(&metadb.Garbage{Kind: metadb.GarbageBlobs, Pieces: s.extent(key).Pieces})
					if err != nil {
						return err
					}
					return tx.Set(metadb.GarbageKey(s.clock.now().Add(time.Hour), [8]byte{1}), row)
				})
			},
			want: map[master.FindingKind]uint64{master.FindingDoomed: 1},
			of:   master.Finding{Bucket: bucket, Key: key},
		},
		"a piece on no volume": {
			plant: func(s *store) {
				s.unplant(s.extent(key).Pieces[0])
				s.setPieces(key, func(p []meta.Piece) []meta.Piece { return []meta.Piece{{Volume: 77, Blob: p[0].Blob}} })
			},
			want: map[master.FindingKind]uint64{master.FindingStranded: 1, master.FindingFew: 1},
			of:   master.Finding{Bucket: bucket, Key: key},
		},
		"counters that are off": {
			plant: func(s *store) {
				s.write(func(tx metadb.Tx) error {
					row, err := metadb.MarshalUsage(meta.Usage{Objects: 1})
					if err != nil {
						return err
					}
					return tx.Set(metadb.UsageKey(bucket), row)
				})
			},
			want: map[master.FindingKind]uint64{master.FindingCounters: 1},
			of:   master.Finding{Bucket: bucket},
		},
		"damage that is known": {
			plant: func(s *store) {
				s.write(func(tx metadb.Tx) error {
					row, err := metadb.MarshalDamage(&metadb.Damage{Cause: "both disks", Size: 7})
					if err != nil {
						return err
					}
					return tx.Set(metadb.DamageKey(bucket, key, 0, 0), row)
				})
			},
			want: map[master.FindingKind]uint64{master.FindingDamaged: 1},
			of:   master.Finding{Bucket: bucket, Key: key, Detail: "both disks", Bytes: 7},
		},
		"a row of the wrong length": {
			plant: func(s *store) {
				s.write(func(tx metadb.Tx) error {
					b, err := tx.Get(metadb.ObjectKey(bucket, key))
					if err != nil {
						return err
					}
					o, err := metadb.UnmarshalObject(b)
					if err != nil {
						return err
					}
					o.Size++
					row, err := metadb.MarshalObject(&o)
					if err != nil {
						return err
					}
					return tx.Set(metadb.ObjectKey(bucket, key), row)
				})
			},
			want: map[master.FindingKind]uint64{master.FindingRecord: 1, master.FindingCounters: 1},
			of:   master.Finding{Bucket: bucket},
		},
		"a row that is none": {
			plant: func(s *store) {
				s.write(func(tx metadb.Tx) error { return tx.Set(metadb.ObjectKey(bucket, "plain0"), []byte("?")) })
			},
			want: map[master.FindingKind]uint64{master.FindingRecord: 1, master.FindingCounters: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newDamaged(t)
			c.plant(s)
			before := s.rows()
			r := s.fsckStore(c.opts)
			wantFindings(t, r, c.want)
			if !maps.EqualFunc(before, s.rows(), slices.Equal) {
				t.Error("the check has changed something")
			}
			for _, f := range r.Examples {
				wantExample(t, f, c.of)
			}
		})
	}
}

// TestCheckShared: two extents that name one blob are found, by that name.
func TestCheckShared(t *testing.T) {
	t.Parallel()
	s := newDamaged(t)
	key, other := s.keyOn(2, "shared"), s.keyOn(2, "sharing")
	s.put(key, "7 bytes")
	s.put(other, "seven b")
	s.unplant(s.extent(other).Pieces[0])
	shared := s.extent(key).Pieces
	s.setPieces(other, func([]meta.Piece) []meta.Piece { return shared })
	r := s.fsckStore(master.CheckOptions{})
	wantFindings(t, r, map[master.FindingKind]uint64{master.FindingShared: 1})
	wantExample(t, r.Examples[0], master.Finding{Volume: 2, Blob: shared[0].Blob})
}

// TestCheckUnreachable: nothing is said of a volume that does not answer but
// that it was not looked at.
func TestCheckUnreachable(t *testing.T) {
	t.Parallel()
	s := newDamaged(t)
	s.volumes[1].down.Store(true)
	r := s.fsckStore(master.CheckOptions{Deep: true})
	if len(r.Unchecked) != 1 || r.Unchecked[0].Name != s.volumes[1].name || r.Total() != 0 || r.Clean() {
		t.Errorf("%+v", r)
	}
}

// TestCheckPending: what the rebalance is about to move, or the repair to make, is
// no finding.
func TestCheckPending(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fillKeys(60)
	held := len(s.volumes[1].ids(t))
	s.drain(2)
	r := s.fsckStore(master.CheckOptions{})
	if n := r.Pending[master.FindingMisplaced].Count; r.Total() != 0 || n != uint64(held) {
		t.Errorf("%d of %d are about to be moved: %+v", n, held, r)
	}
	s.rebalanced()
	wantFindings(t, s.fsckStore(master.CheckOptions{}), nil)
}

// TestCheckExamples: as many as are asked for, of each kind; all are counted.
func TestCheckExamples(t *testing.T) {
	t.Parallel()
	s := newDamaged(t)
	for i := range byte(5) {
		s.plant(1, meta.BlobID{200, i}, "orphan")
	}
	s.unplant(s.extent("plain1").Pieces[0])
	r := s.fsckStore(master.CheckOptions{Examples: 2})
	wantFindings(t, r, map[master.FindingKind]uint64{master.FindingOrphan: 5, master.FindingMissing: 1, master.FindingUnreadable: 1})
	if n := len(r.Examples); n != 4 || r.Examples[0].Kind != master.FindingUnreadable {
		t.Errorf("%d examples: %+v", n, r.Examples)
	}
	if r.Findings[master.FindingOrphan].Bytes != 30 {
		t.Errorf("%+v", r.Findings)
	}
}

// TestCheckPasses: in as many passes as there are blobs, each is seen once.
func TestCheckPasses(t *testing.T) {
	t.Parallel()
	s := newDamaged(t)
	whole := s.fsckStore(master.CheckOptions{})
	s.plant(3, meta.BlobID{0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, "last") // behind it are those of metadata
	s.unplant(s.extent("plain3").Pieces[0])
	passes := 0
	r := s.fsckStore(master.CheckOptions{BlobsAtOnce: 1, Progress: func(p master.CheckProgress) { passes = p.Passes }})
	wantFindings(t, r, map[master.FindingKind]uint64{master.FindingOrphan: 1, master.FindingMissing: 1, master.FindingUnreadable: 1})
	if passes != int(whole.Blobs)+1 || r.Blobs != whole.Blobs || r.Pieces != whole.Pieces || r.Rows != whole.Rows {
		t.Errorf("%d passes: %+v, at once %+v", passes, r, whole)
	}
}

// TestCheckWaitsForWrites: a write whose blob was listed and that is recorded
// afterwards is no orphan.
func TestCheckWaitsForWrites(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("a", "a")
	stored, record := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f := func() error {
		once.Do(func() { close(stored); <-record })
		return nil
	}
	s.db.before.Store(&f)
	done := make(chan error, 1)
	go func() {
		_, err := s.tryPut("b", "b", meta.Precondition{})
		done <- err
	}()
	<-stored
	checked := make(chan master.CheckReport, 1)
	go func() { checked <- s.fsckStore(master.CheckOptions{}) }()
	select {
	case r := <-checked:
		t.Errorf("the check did not wait: %+v", r)
	case <-time.After(100 * time.Millisecond):
	}
	close(record)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantFindings(t, <-checked, nil)
}

// TestCheckUnderLoad: whatever clients, rebalance and garbage do meanwhile is no
// finding.
func TestCheckUnderLoad(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fillKeys(50)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	s.stirring(ctx, ctx, &wg, 4, 1)
	wg.Go(func() {
		for ctx.Err() == nil {
			s.clock.advance(7 * time.Minute) // garbage is removed all the time
			if err := s.CollectGarbage(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			if _, err := s.RebalanceStep(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	rounds := 12
	if testing.Short() {
		rounds = 6
	}
	for i := range rounds {
		switch i % 6 {
		case 2:
			s.drain(2)
		case 4:
			if err := s.CancelDrain(ctx, 2); err != nil && !errors.As(err, new(*master.ChangeError)) {
				t.Error(err)
			}
		}
		r := s.fsckStore(master.CheckOptions{Deep: i%2 == 0, BlobsAtOnce: []int{0, 200}[i%2]})
		if wantFindings(t, r, nil); t.Failed() {
			t.Fatalf("round %d", i)
		}
	}
	stop()
	wg.Wait()
	s.rebalanced()
}

// stirring has so many writers stir the store until a context ends, in calls with
// another, or the same.
func (s *store) stirring(until, calls context.Context, wg *sync.WaitGroup, writers int, seed uint64) {
	for w := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), seed))
			for until.Err() == nil {
				s.stir(calls, rng, w)
			}
		})
	}
}

// stir makes one change.
func (s *store) stir(ctx context.Context, rng *rand.Rand, worker int) {
	key := fmt.Sprint("load", rng.IntN(20))
	switch rng.IntN(6) {
	case 0:
		s.tryRemove(key)
	case 1:
		up := s.createUpload(fmt.Sprint("parts", worker, rng.IntN(3)))
		s.putPart(up, 1, "part")
		s.putPart(up, 2, "other")
		if rng.IntN(2) == 0 {
			s.putPart(up, 2, "another")
		}
		if rng.IntN(3) == 0 {
			if err := s.AbortUpload(ctx, up.Bucket, up.Key, up.UploadID); err != nil && ctx.Err() == nil {
				s.t.Error(err)
			}
		} else {
			// A part that moves meanwhile makes it a conflict: the upload stays.
			if _, err := s.CompleteUpload(ctx, s.chosen(up, 1, 2)); err != nil && ctx.Err() == nil && meta.KindOf(err) != meta.KindConflict {
				s.t.Error(err)
			}
		}
	default:
		if _, err := s.tryPut(key, strings.Repeat("x", rng.IntN(100)), meta.Precondition{}); err != nil {
			s.t.Error(err)
		}
	}
}

// TestCheckRun: one check at a time, in the background, that can be ended.
func TestCheckRun(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fillKeys(30)
	if st := s.CheckStatus(); st.State != master.CheckNone {
		t.Errorf("%+v", st)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	if st, err := s.StartCheck(master.CheckOptions{}); err != nil || st.State != master.CheckRunning || st.ID != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	if st := s.checked(); st.State != master.CheckDone || !st.Report.Clean() || st.Report.Blobs != 30 || st.Report.Pieces != 30 {
		t.Errorf("%+v", st)
	}
	slow := master.CheckOptions{Deep: true, Rate: 1} // the bodies take the burst, and then much longer than this test
	s.put("large", strings.Repeat("x", 9<<20))
	if _, err := s.StartCheck(slow); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartCheck(slow); !errors.As(err, new(*master.ChangeError)) {
		t.Errorf("a second check: %v", err)
	}
	if st := s.CancelCheck(context.Background()); st.State != master.CheckCancelled || st.ID != 2 {
		t.Errorf("%+v", st)
	}
	if st := s.CancelCheck(context.Background()); st.State != master.CheckCancelled {
		t.Errorf("cancelled again: %+v", st)
	}
	if _, err := s.StartCheck(slow); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if st := s.CheckStatus(); st.State == master.CheckDone || st.State == master.CheckFailed {
		t.Errorf("at the end: %+v", st)
	}
}

// checked waits for the end of a check.
func (s *store) checked() master.CheckStatus {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if st := s.CheckStatus(); st.State != master.CheckRunning {
			return st
		}
	}
	s.t.Fatal("the check does not end")
	return master.CheckStatus{}
}

package master_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"tdkvs/master"
	"tdkvs/master/journal"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/master/metadb/badgerdb"
	"tdkvs/master/recovery"
	"tdkvs/volume"
)

// newRecoverable returns a store whose metadata is on disk, and on its volumes.
func newRecoverable(t *testing.T, volumes int) *store {
	t.Helper()
	s := newBareStore(t, volumes)
	s.metadataAt(filepath.Join(t.TempDir(), "meta"))
	s.openRecoverable()
	s.createBucket(bucket)
	s.versioning(meta.VersioningEnabled)
	return s
}

// metadataAt has the store keep its metadata in a directory.
func (s *store) metadataAt(dir string) {
	s.t.Helper()
	db, err := badgerdb.Open(dir, badgerdb.Options{Reserve: 1})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() }) // most tests close it themselves
	s.db = &testDB{DB: db}
}

func (s *store) openRecoverable() {
	s.t.Helper()
	cfg := s.config()
	cfg.DB, cfg.MetadataCopies = s.db.DB, master.UsualCopies
	s.openWith(cfg)
}

// sources are the volumes as a recovery takes them.
func (s *store) sources() []recovery.Volume {
	var given []recovery.Volume
	for _, v := range s.volumes {
		given = append(given, recovery.Volume{Name: v.name, Blobs: v})
	}
	return given
}

// recovered makes the metadata anew and returns the store over it.
func (s *store) recovered(o recovery.Options) (*recovery.Found, error) {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "meta")
	restore, err := badgerdb.NewRestore(dir, badgerdb.Options{Reserve: 1})
	if err != nil {
		s.t.Fatal(err)
	}
	o.Logger = slog.New(slog.NewTextHandler(s.log, nil))
	found, err := recovery.Run(s.t.Context(), s.sources(), restore, o)
	if err != nil {
		return found, errors.Join(err, restore.Abandon())
	}
	restore.Mark(found.Mark)
	if err := restore.Commit(); err != nil {
		s.t.Fatal(err)
	}
	s.metadataAt(dir)
	return found, nil
}

// history changes some of everything at random.
func (s *store) history(rnd *rand.Rand, steps int) {
	s.t.Helper()
	ctx := context.Background()
	var uploads []string
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for i := range steps {
		key := fmt.Sprint("key ", rnd.IntN(7))
		switch rnd.IntN(9) {
		case 0:
			s.remove(key)
		case 1:
			if _, err := s.Object(ctx, bucket, key, ""); err == nil {
				_, err = s.SetObjectTags(ctx, bucket, key, "", map[string]string{"step": fmt.Sprint(i)})
				must(err)
			}
		case 2:
			u, err := s.CreateUpload(ctx, meta.Upload{Bucket: bucket, Key: key, Owner: "me"})
			must(err)
			uploads = append(uploads, key+"\x00"+u.UploadID)
			_, err = s.PutPart(ctx, bucket, key, u.UploadID, 1, 5, newPayload("first"))
			must(err)
		case 3:
			if o, err := s.Object(ctx, bucket, key, ""); err == nil {
				results, err := s.DeleteObjects(ctx, bucket, []meta.DeleteItem{{Key: key, VersionID: o.VersionID}})
				must(errors.Join(err, results[0].Err))
			}
		case 4:
			must(s.SetBucketConfig(ctx, bucket, "cors", fmt.Appendf(nil, "document %d", i)))
		case 5:
			name := fmt.Sprintf("bucket-%d-%08x", i, rnd.Uint32())
			s.createBucket(name)
			if i%2 == 0 {
				must(s.DeleteBucket(ctx, name))
			}
		case 6:
			s.clock.advance(20 * 60e9)
			s.collect()
		default:
			s.put(key, fmt.Sprint("body ", i))
		}
	}
	s.t.Logf("%d steps, %d uploads", steps, len(uploads))
}

// TestRecoveredIsTheSame recovers the metadata after random histories: every row is the same, byte for byte, and the store goes on
// with the next number.
func TestRecoveredIsTheSame(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := newRecoverable(t, 3)
			rnd := rand.New(rand.NewPCG(seed, 8))
			for range 3 {
				s.history(rnd, 60)
				before, seq := s.rows(), s.position()
				if err := s.db.Close(); err != nil {
					t.Fatal(err)
				}
				found, err := s.recovered(recovery.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if after := s.rows(); !maps.EqualFunc(before, after, slices.Equal) {
					t.Fatalf("%d rows before, %d after, or others", len(before), len(after))
				}
				if got := s.position(); got != seq || found.Last != seq || len(found.Losses) > 0 {
					t.Fatalf("commit %d, found %d, want %d; losses %v", got, found.Last, seq, found.Losses)
				}
				s.openRecoverable()
			}
			s.check()
		})
	}
}

func (s *store) position() uint64 {
	seq, _ := s.db.DB.(metadb.Followed).Position()
	return seq
}

// TestRecoveredWithout takes things away from the volumes: what can be recovered all the same is, and what can not is said.
func TestRecoveredWithout(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil  func(s *store, entries []volume.BlobID)
		losses int // 0: it is the same
		refuse bool
	}{
		"one volume": {spoil: func(s *store, _ []volume.BlobID) { s.volumes[1].down.Store(true) }},
		"every other copy": {spoil: func(s *store, entries []volume.BlobID) {
			for i, id := range entries {
				s.spoilOne(id, i)
			}
		}},
		"two volumes": {spoil: func(s *store, _ []volume.BlobID) {
			s.volumes[1].down.Store(true)
			s.volumes[2].down.Store(true)
		}, refuse: true},
		"one commit": {spoil: func(s *store, entries []volume.BlobID) {
			for _, v := range s.volumes {
				_ = v.Blobs.Delete(context.Background(), []volume.BlobID{entries[len(entries)-5]})
			}
		}, losses: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRecoverable(t, 3)
			s.history(rand.New(rand.NewPCG(1, 1)), 60)
			before := s.rows()
			if err := s.db.Close(); err != nil {
				t.Fatal(err)
			}
			tc.spoil(s, s.entries())
			_, err := s.recovered(recovery.Options{})
			var loss *recovery.LossError
			switch {
			case tc.refuse:
				if !errors.As(err, &loss) && !errors.Is(err, journal.ErrNoSnapshot) {
					t.Errorf("%v, want a refusal", err)
				}
			case tc.losses > 0:
				if !errors.As(err, &loss) || len(loss.Losses) != tc.losses {
					t.Fatalf("%v, want %d losses", err, tc.losses)
				}
				if _, err := s.recovered(recovery.Options{Accept: loss.Code}); err != nil {
					t.Fatalf("accepted, and refused: %v", err)
				}
				if maps.EqualFunc(before, s.rows(), slices.Equal) {
					t.Error("nothing is missing")
				}
			case err != nil:
				t.Fatal(err)
			case !maps.EqualFunc(before, s.rows(), slices.Equal):
				t.Error("other rows than before")
			}
		})
	}
}

// entries are the ids of the commits that the volumes hold, in order.
func (s *store) entries() []volume.BlobID {
	s.t.Helper()
	ids := map[volume.BlobID]bool{}
	for _, v := range s.volumes {
		infos, err := journal.ListMetadata(context.Background(), v.Blobs)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, info := range infos {
			if kind, _, _, _ := volume.ParseMetadataID(info.ID); kind == volume.MetadataEntry {
				ids[info.ID] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(ids), func(a, b volume.BlobID) int { return slices.Compare(a[:], b[:]) })
}

// spoilOne damages one copy of a blob, if there are others.
func (s *store) spoilOne(id volume.BlobID, which int) {
	s.t.Helper()
	var holders []*testVolume
	for _, v := range s.volumes {
		if _, err := v.Blobs.Stat(context.Background(), id); err == nil {
			holders = append(holders, v)
		}
	}
	if len(holders) < 2 {
		s.t.Errorf("%d copies of %s", len(holders), id)
		return
	}
	holders[which%len(holders)].mem.Corrupt(id, 100)
}

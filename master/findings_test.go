package master_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// takeFindings takes what the volumes have found bad to the repair queue, and
// repairs it.
func (s *store) takeFindings() {
	s.t.Helper()
	if err := s.TakeFindings(bg); err != nil {
		s.t.Fatal(err)
	}
	s.rebalanced()
}

// scrub verifies every blob of every volume, as each does by itself.
func (s *store) scrub() (bad int) {
	s.t.Helper()
	for _, v := range s.volumes {
		for _, id := range v.ids(s.t) {
			if err := v.Blobs.Verify(bg, id); errors.Is(err, volume.ErrCorrupt) {
				bad++
			} else if err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return bad
}

// scrubClean wants every blob that something names to be whole.
func (s *store) scrubClean() {
	s.t.Helper()
	s.clock.advance(time.Hour)
	s.collect()
	if bad := s.scrub(); bad != 0 {
		s.t.Errorf("%d blobs are bad", bad)
	}
}

// ofEach puts one of everything that has pieces into a store, and returns a piece of
// each: a plain object, an older version, parts of an assembled object and of an
// upload, and an object of shards.
func (s *store) ofEach() map[string]meta.Piece {
	s.t.Helper()
	pieces := map[string]meta.Piece{}
	s.put("plain", "one piece")
	pieces["plain"] = s.extent("plain").Pieces[0]
	s.versioning(meta.VersioningEnabled)
	s.put("versions", "first")
	pieces["older version"] = s.extent("versions").Pieces[1]
	s.put("versions", "second")
	s.assemble("assembled", []string{"part one", "part two", "part three"})
	up := s.createUpload("open")
	s.putPart(up, 7, "seven")
	cold := randomBody(300_000)
	if _, err := s.putCold(bg, "cold", int64(len(cold)), newPayload(cold)); err != nil {
		s.t.Fatal(err)
	}
	pieces["shard of data"], pieces["shard of parity"] = s.extent("cold").Pieces[1], s.extent("cold").Pieces[3]
	for _, v := range s.Topology().Volumes {
		infos, err := s.volumeOf(v.Number).List(bg, volume.BlobID{}, 1000)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, info := range infos {
			info, err := s.volumeOf(v.Number).Stat(bg, info.ID)
			if err != nil {
				s.t.Fatal(err)
			}
			d, err := metadb.UnmarshalDescriptor(info.Descriptor)
			if err != nil {
				s.t.Fatal(err)
			}
			if d.UploadID != "" {
				pieces[fmt.Sprint(d.Key, " part ", d.PartNumber)] = meta.Piece{Volume: v.Number, Blob: meta.BlobID(info.ID)}
			}
		}
	}
	if len(pieces) != 8 {
		s.t.Fatalf("pieces of %v", pieces)
	}
	return pieces
}

func (s *store) bodiesOfEach() {
	s.t.Helper()
	s.wantBody("plain", "one piece")
	s.wantBody("versions", "second")
	s.wantBody("assembled", "part onepart twopart three")
}

// newFindingsStore keeps two copies of what is small, and shards of what is cold.
func newFindingsStore(t *testing.T) *store {
	t.Helper()
	s := newShards(t, 5, meta.Code{Data: 2, Parity: 2})
	s.replicas(2)
	return s
}

// TestFindingsAreRepaired damages a piece of everything that nobody reads, in every
// way: when the volumes have found it, it is made anew.
func TestFindingsAreRepaired(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(s *store, p meta.Piece){
		"payload": func(s *store, p meta.Piece) {
			if !s.volumeOf(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), 1) {
				s.t.Fatal("nothing to damage")
			}
		},
		"descriptor": func(s *store, p meta.Piece) {
			if !s.volumeOf(p.Volume).mem.CorruptDescriptor(volume.BlobID(p.Blob)) {
				s.t.Fatal("nothing to damage")
			}
		},
		"lost": func(s *store, p meta.Piece) { s.volumeOf(p.Volume).mem.Lose(volume.BlobID(p.Blob)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFindingsStore(t)
			pieces := s.ofEach()
			for _, p := range pieces {
				damage(s, p)
			}
			if bad := s.scrub(); bad != len(pieces) && name != "lost" {
				t.Fatalf("the volumes found %d bad, want %d", bad, len(pieces))
			}
			s.takeFindings()
			if got := s.FindingsStats(); got.Queued != uint64(len(pieces)) || got.Unnamed != 0 || got.Searching {
				t.Errorf("%+v, want %d queued", got, len(pieces))
			}
			s.scrubClean()
			s.bodiesOfEach()
			s.wantDamaged()
			if n := len(s.repairs()); n != 0 {
				t.Errorf("%d repairs are left", n)
			}
			before := s.FindingsStats()
			s.takeFindings()
			if got := s.FindingsStats(); got != before {
				t.Errorf("%+v, and nothing was found since %+v", got, before)
			}
		})
	}
}

// TestFindingsOfManyBatches finds more than one step takes.
func TestFindingsOfManyBatches(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 3)
	keys := s.fillKeys(150)
	for i, k := range keys {
		p := s.extent(k).Pieces[i%3]
		s.at(p).mem.Corrupt(volume.BlobID(p.Blob), 0)
		if i%2 == 0 {
			s.at(p).mem.CorruptDescriptor(volume.BlobID(p.Blob))
		}
	}
	s.scrub()
	s.takeFindings()
	if got := s.FindingsStats(); got.Queued != 150 || got.Taken != 150 {
		t.Errorf("%+v, want 150 taken and queued", got)
	}
	s.scrubClean()
	s.wantSettled(keys)
}

// TestFindingsAfterRestart: a volume that was started again numbers from 1, and what
// it finds then is taken, as is all of it by a master that was started again.
func TestFindingsAfterRestart(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 3)
	s.put("a", "first")
	s.put("b", "second")
	v := s.volumes[0]
	corrupt := func(key string) {
		for _, p := range s.extent(key).Pieces {
			if s.at(p) == v {
				v.mem.Corrupt(volume.BlobID(p.Blob), 0)
			}
		}
	}
	corrupt("a")
	s.scrub()
	s.takeFindings()
	if got := s.FindingsStats().Queued; got != 1 {
		t.Fatalf("%d queued, want 1", got)
	}
	v.mem.Restart()
	corrupt("b")
	s.scrub()
	s.takeFindings()
	s.scrubClean()

	corrupt("a")
	s.scrub()
	s.reopen()
	s.takeFindings()
	if got := s.FindingsStats().Queued; got != 1 {
		t.Errorf("%d queued after a start of the master, want 1", got)
	}
	s.scrubClean()
}

// TestFindingsWait: what can not be taken at the moment is taken later.
func TestFindingsWait(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 2)
	s.put("a", "body")
	s.put("b", "other body")
	for key, damage := range map[string]func(p meta.Piece){
		"a": func(p meta.Piece) { s.at(p).mem.Corrupt(volume.BlobID(p.Blob), 0) },
		"b": func(p meta.Piece) { s.at(p).mem.Lose(volume.BlobID(p.Blob)) },
	} {
		damage(s.extent(key).Pieces[0])
	}
	s.scrub()
	s.Probe(bg)
	for _, v := range s.volumes {
		v.down.Store(true)
	}
	if err := s.FindingsStep(bg); err != nil {
		t.Errorf("a volume does not answer: %v", err)
	}
	for _, v := range s.volumes {
		v.down.Store(false)
	}
	s.Probe(bg)
	s.db.fail(&s.db.before, 1, errors.New("no commit"))
	if err := s.FindingsStep(bg); err == nil {
		t.Error("nothing could be queued, and no error")
	}
	s.db.heal()
	if n := len(s.repairs()); n != 0 {
		t.Fatalf("%d repairs are queued", n)
	}
	s.takeFindings()
	s.scrubClean()
	if got := s.FindingsStats(); got.Queued != 2 {
		t.Errorf("%+v, want 2 queued", got)
	}
	s.wantSettled([]string{"a", "b"})
}

// TestFindingsOfGarbage: a damaged blob that nothing names is nobody's.
func TestFindingsOfGarbage(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 2)
	s.put("gone", "body")
	for _, p := range s.extent("gone").Pieces {
		s.at(p).mem.Corrupt(volume.BlobID(p.Blob), 0)
	}
	s.remove("gone")
	s.put("gone", "another")
	s.scrub()
	s.takeFindings()
	if got := s.FindingsStats(); got.Unnamed != 2 || got.Queued != 0 {
		t.Errorf("%+v, want 2 that nothing names", got)
	}
	s.scrubClean()
}

// TestFindingsOfTheLost: what can not be restored is listed, and not asked for again.
func TestFindingsOfTheLost(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 2)
	s.put("lost", strings.Repeat("body", 100))
	pieces := s.extent("lost").Pieces
	for _, p := range pieces {
		s.at(p).mem.Corrupt(volume.BlobID(p.Blob), 0)
	}
	s.scrub()
	s.takeFindings()
	s.wantDamaged("lost")
	for _, p := range pieces {
		s.at(p).mem.Restart()
	}
	s.scrub()
	before := s.FindingsStats()
	s.takeFindings()
	if got := s.FindingsStats(); got.Queued != before.Queued || got.Taken != before.Taken+2 {
		t.Errorf("%+v after %+v, want 2 more taken, none queued", got, before)
	}
	if n := len(s.repairs()); n != 0 {
		t.Errorf("%d repairs are queued", n)
	}
	s.wantDamaged("lost")
	s.remove("lost")
	s.rebalanced()
}

// TestSearchMeetsAVolumeThatIsDown: a search leaves out what can not be asked, and
// looks again when it can.
func TestSearchMeetsAVolumeThatIsDown(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 4, 2)
	keys := s.fillKeys(40)
	v := s.volumes[2]
	ids := v.ids(t)
	v.mem.Lose(ids[:len(ids)/2]...)
	s.Probe(bg)
	if err := s.FindingsStep(bg); err != nil {
		t.Fatal(err)
	}
	v.down.Store(true)
	if err := s.FindingsStep(bg); err != nil { // the search runs, in vain
		t.Fatal(err)
	}
	v.down.Store(false)
	s.takeFindings()
	if got := s.FindingsStats().Queued; got != 0 {
		t.Errorf("%d queued before another search is due", got)
	}
	s.clock.advance(time.Hour)
	s.takeFindings()
	if got := s.FindingsStats().Queued; got != uint64(len(ids)/2) {
		t.Errorf("%d queued, want %d", got, len(ids)/2)
	}
	s.rebalanced()
	s.wantSettled(keys)
	s.wantAll(keys)
}

// TestSearchDuringWrites: rows that come and go do not end a search.
func TestSearchDuringWrites(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 2)
	keys := s.fillKeys(60)
	for i, k := range keys {
		p := s.extent(k).Pieces[i%2]
		s.at(p).mem.CorruptDescriptor(volume.BlobID(p.Blob))
	}
	s.scrub()
	for i, k := range keys {
		switch i % 3 {
		case 0:
			s.remove(k)
		case 1:
			s.put(k, "new")
		}
	}
	s.takeFindings()
	s.scrubClean()
	if got := s.FindingsStats().Queued; got != 20 {
		t.Errorf("%d queued, want the 20 that are left", got)
	}
	var left []string
	for i, k := range keys {
		if i%3 != 0 {
			left = append(left, k)
		}
	}
	s.wantSettled(left)
}

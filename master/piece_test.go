package master_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
	"tdkvs/volume"
)

// wantRanges reads a whole body and parts of it.
func (s *store) wantRanges(key, body string) {
	s.t.Helper()
	n := int64(len(body))
	for _, r := range [][2]int64{{0, n}, {n - 1, 1}, {n / 3, n / 2}, {0, 1}} {
		got, err := s.readRange(bg, key, r[0], r[1], r[0] == 0)
		if err != nil || string(got) != body[r[0]:r[0]+r[1]] {
			s.t.Fatalf("%q: %d bytes from %d: %d bytes, right %v, %v", key, r[1], r[0], len(got), string(got) == body[r[0]:r[0]+r[1]], err)
		}
	}
}

// repair queues what readers have reported, and waits until all is repaired.
func (s *store) repair() {
	s.t.Helper()
	if err := s.QueueSuspects(bg); err != nil {
		s.t.Fatal(err)
	}
	s.rebalanced()
}

// TestSwappedShards: each two shards of a body change places in its record. They
// are taken for bad ones: what is read is right all the same, and they are made
// anew.
func TestSwappedShards(t *testing.T) {
	t.Parallel()
	for a := range 6 {
		for b := range a {
			t.Run(fmt.Sprintf("%d and %d", a, b), func(t *testing.T) {
				t.Parallel()
				s := newShards(t, 6, fourPlusTwo)
				body := randomBody(2*stripe42 + 777)
				if _, err := s.putCold(bg, "k", int64(len(body)), newPayload(body)); err != nil {
					t.Fatal(err)
				}
				s.setPieces("k", func(p []meta.Piece) []meta.Piece {
					p[a], p[b] = p[b], p[a]
					return p
				})
				wantFindings(t, s.fsckStore(master.CheckOptions{Deep: true}), map[master.FindingKind]uint64{master.FindingCorrupt: 2})
				s.wantRanges("k", body)
				before := s.extent("k").Pieces
				s.queueRepair(metadb.Repair{Bucket: bucket, Key: "k", Suspects: []meta.Piece{before[a], before[b]}, Queued: s.clock.now()})
				s.repair()
				s.wantCold(map[string]string{"k": body}, fourPlusTwo)
				wantFindings(t, s.fsckStore(master.CheckOptions{Deep: true}), nil)
				if now := s.extent("k").Pieces; now[a] == before[a] || now[b] == before[b] {
					t.Errorf("shards %d and %d are still %v", a, b, now)
				}
			})
		}
	}
}

// TestSwappedShardsAreReported: readers find them, and what they find is repaired.
func TestSwappedShardsAreReported(t *testing.T) {
	t.Parallel()
	s := newShards(t, 6, fourPlusTwo)
	body := randomBody(stripe42)
	if _, err := s.putCold(bg, "k", int64(len(body)), newPayload(body)); err != nil {
		t.Fatal(err)
	}
	s.setPieces("k", func(p []meta.Piece) []meta.Piece {
		p[0], p[3] = p[3], p[0]
		return p
	})
	s.wantBody("k", body)
	s.repair()
	s.wantCold(map[string]string{"k": body}, fourPlusTwo)
}

// TestRotatedShards: no shard is in its place. Nothing is read rather than
// something wrong, and nothing is given up.
func TestRotatedShards(t *testing.T) {
	t.Parallel()
	s := newShards(t, 6, fourPlusTwo)
	body := randomBody(2 * stripe42)
	if _, err := s.putCold(bg, "k", int64(len(body)), newPayload(body)); err != nil {
		t.Fatal(err)
	}
	rotate := func(by int) {
		s.setPieces("k", func(p []meta.Piece) []meta.Piece { return slices.Concat(p[by:], p[:by]) })
	}
	rotate(1)
	got, err := s.readRange(bg, "k", 5, int64(len(body))-5, false)
	wantKind(t, err, meta.KindCorrupt)
	if len(got) > 0 {
		t.Errorf("%d bytes were read", len(got))
	}
	s.repair()
	s.wantDamaged("k")
	s.collect()
	rotate(5)
	s.wantRanges("k", body)
}

// TestSwappedShardsMove: a volume is emptied of shards of which some are recorded
// in each other's place.
func TestSwappedShardsMove(t *testing.T) {
	t.Parallel()
	s := newShards(t, 7, fourPlusTwo)
	bodies := s.fillCold(14)
	for i, k := range keysOf(bodies) {
		s.setPieces(k, func(p []meta.Piece) []meta.Piece {
			p[i%6], p[(i+1)%6] = p[(i+1)%6], p[i%6]
			return p
		})
	}
	s.drain(2)
	s.rebalanced()
	if n := len(s.volumes[1].ids(t)); n != 0 {
		t.Errorf("%d blobs are left on volume 2", n)
	}
	for k, body := range bodies {
		s.wantBody(k, body)
		// The parity is not read, so that nobody has come across what is wrong there.
		s.queueRepair(metadb.Repair{Bucket: bucket, Key: k, Suspects: s.extent(k).Pieces, Queued: s.clock.now()})
	}
	s.repair()
	s.wantCold(bodies, fourPlusTwo)
}

// TestShardsOfAnother: a shard of one object is recorded as that of another, of the
// same number and length. It is replaced there, and stays with its own.
func TestShardsOfAnother(t *testing.T) {
	t.Parallel()
	s := newShards(t, 6, fourPlusTwo)
	bodies := map[string]string{"one": randomBody(stripe42), "two": randomBody(stripe42 + 1)[1:]}
	for k, body := range bodies {
		if _, err := s.putCold(bg, k, int64(len(body)), newPayload(body)); err != nil {
			t.Fatal(err)
		}
	}
	theirs := s.extent("two").Pieces[2]
	s.setPieces("one", func(p []meta.Piece) []meta.Piece {
		s.unplant(p[2])
		p[2] = theirs
		return p
	})
	s.wantRanges("one", bodies["one"])
	s.repair()
	s.collect()
	if now := s.extent("two").Pieces[2]; now != theirs || s.extent("one").Pieces[2] == theirs {
		t.Errorf("two has %v and one %v, where it was %v", now, s.extent("one").Pieces[2], theirs)
	}
	s.wantCold(bodies, fourPlusTwo)
}

// TestShardsOfAnotherVersion: those of the same key, number and length are told
// apart, too.
func TestShardsOfAnotherVersion(t *testing.T) {
	t.Parallel()
	s := newShards(t, 6, fourPlusTwo)
	s.versioning(meta.VersioningEnabled)
	var older meta.Piece
	body := ""
	for i := range 2 {
		body = strings.Repeat(fmt.Sprint(i), stripe42)
		if _, err := s.putCold(bg, "k", stripe42, newPayload(body)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			older = s.extent("k").Pieces[0]
		}
	}
	s.setPieces("k", func(p []meta.Piece) []meta.Piece {
		s.unplant(p[0])
		p[0] = older
		return p
	})
	wantFindings(t, s.fsckStore(master.CheckOptions{Deep: true}), map[master.FindingKind]uint64{master.FindingShared: 1, master.FindingCorrupt: 1})
	s.wantRanges("k", body)
	s.repair()
	s.wantCold(map[string]string{"k": body}, fourPlusTwo)
}

// TestShardsWithoutNumber: a shard whose descriptor can not be read is not used.
func TestShardsWithoutNumber(t *testing.T) {
	t.Parallel()
	s := newShards(t, 6, fourPlusTwo)
	body := randomBody(stripe42)
	if _, err := s.putCold(bg, "k", int64(len(body)), newPayload(body)); err != nil {
		t.Fatal(err)
	}
	s.setPieces("k", func(p []meta.Piece) []meta.Piece {
		text := s.blobText(p[1])
		s.unplant(p[1])
		p[1] = s.plant(p[1].Volume, meta.BlobID{1: 1}, text)
		return p
	})
	wantFindings(t, s.fsckStore(master.CheckOptions{Deep: true}), map[master.FindingKind]uint64{master.FindingCorrupt: 1})
	s.wantRanges("k", body)
	s.repair()
	s.wantCold(map[string]string{"k": body}, fourPlusTwo)
}

// TestCopyOfAnother: a copy of one object is recorded as that of another, of the
// same length. Whoever copies it, or looks at it, finds that; it stays with its own.
func TestCopyOfAnother(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"copied", "suspected", "confirmed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCopiesStore(t, 2, 2)
			s.put("a", "body of a")
			s.put("b", "body of b")
			home, err := s.Place(placement.KeyHash(bucket, "a"), 1) // the copy that stays where there is to be one
			if err != nil {
				t.Fatal(err)
			}
			theirs := pieceOn(t, s.extent("b"), home[0])
			s.setPieces("a", func(p []meta.Piece) []meta.Piece {
				i := slices.Index(p, pieceOn(t, s.extent("a"), home[0]))
				s.unplant(p[i])
				p[i] = theirs
				return p
			})
			wantFindings(t, s.fsckStore(master.CheckOptions{Deep: true}), map[master.FindingKind]uint64{master.FindingShared: 1, master.FindingCorrupt: 1})
			switch name {
			case "copied":
				s.grow(1, "")
				s.replicas(3)
			case "suspected":
				s.suspect("a", theirs.Volume)
			case "confirmed":
				s.replicas(1)
			}
			s.repair()
			s.replicas(2)
			s.clock.advance(time.Hour)
			s.collect()
			for k, body := range map[string]string{"a": "body of a", "b": "body of b"} {
				s.wantBody(k, body)
				for _, p := range s.extent(k).Pieces {
					if got := s.blobText(p); got != body {
						t.Errorf("the copy of %s on volume %d is %q", k, p.Volume, got)
					}
				}
			}
			s.wantSettled([]string{"a", "b"})
		})
	}
}

// pieceOn is the piece of an extent on a volume.
func pieceOn(t *testing.T, x meta.Extent, number meta.VolumeID) meta.Piece {
	t.Helper()
	for _, p := range x.Pieces {
		if p.Volume == number {
			return p
		}
	}
	t.Fatalf("no piece of %v is on volume %d", x.Pieces, number)
	return meta.Piece{}
}

// TestCopyWithoutDescriptor: a whole copy that does not say what it is may be moved.
func TestCopyWithoutDescriptor(t *testing.T) {
	t.Parallel()
	s := newDamaged(t)
	s.put("k", "body")
	s.setPieces("k", func(p []meta.Piece) []meta.Piece {
		s.unplant(p[0])
		return []meta.Piece{s.plant(p[0].Volume, meta.BlobID{1: 1}, "body")}
	})
	s.drain(s.extent("k").Pieces[0].Volume)
	s.rebalanced()
	s.wantBody("k", "body")
	if p := s.extent("k").Pieces[0]; p.Blob == (meta.BlobID{1: 1}) {
		t.Errorf("it is still at %v", p)
	}
}

// TestMoveAsksOnce: a piece that moves is asked for once, where it was.
func TestMoveAsksOnce(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 2, 1)
	for i := range 20 {
		s.put(fmt.Sprint("k", i), "body")
	}
	held := int64(len(s.volumes[0].ids(t)))
	s.drain(1)
	s.rebalanced()
	v := s.volumes[0]
	if gets, stats := v.gets.Load(), v.stats.Load(); gets != held || stats != 0 || held == 0 {
		t.Errorf("%d blobs were moved by %d reads and %d questions", held, gets, stats)
	}
}

// TestShardsSwappedBetweenObjects: each of two objects is recorded with a shard of
// the other. Both are made whole, and what they had of each other goes like what a
// crash has left, not at once.
func TestShardsSwappedBetweenObjects(t *testing.T) {
	t.Parallel()
	s := newShards(t, 6, fourPlusTwo)
	bodies := map[string]string{"one": randomBody(stripe42), "two": randomBody(stripe42 + 1)[1:]}
	for k, body := range bodies {
		if _, err := s.putCold(bg, k, int64(len(body)), newPayload(body)); err != nil {
			t.Fatal(err)
		}
	}
	one := s.extent("one").Pieces[2]
	two := pieceOn(t, s.extent("two"), one.Volume)
	replace := func(key string, was, is meta.Piece) {
		s.setPieces(key, func(pieces []meta.Piece) []meta.Piece {
			pieces[slices.Index(pieces, was)] = is
			return pieces
		})
	}
	replace("one", one, two)
	replace("two", two, one)
	for k, body := range bodies {
		s.queueRepair(metadb.Repair{Bucket: bucket, Key: k, Suspects: s.extent(k).Pieces, Queued: s.clock.now()})
		s.wantRanges(k, body)
	}
	s.repair()
	s.clock.advance(time.Hour)
	s.collect()
	for _, p := range []meta.Piece{one, two} {
		if _, err := s.volumeOf(p.Volume).Blobs.Stat(bg, volume.BlobID(p.Blob)); err != nil {
			t.Errorf("%v after an hour: %v", p, err)
		}
	}
	s.clock.advance(master.DefaultLeftoverGrace)
	s.collect()
	for _, p := range []meta.Piece{one, two} {
		if _, err := s.volumeOf(p.Volume).Blobs.Stat(bg, volume.BlobID(p.Blob)); !errors.Is(err, volume.ErrNotFound) {
			t.Errorf("%v after a day: %v", p, err)
		}
	}
	s.wantCold(bodies, fourPlusTwo)
}

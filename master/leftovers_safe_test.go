package master_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// Why nothing that was acknowledged can be taken for a leftover, as
// docs/architecture.md has it, step by step. All looks here are at blobs of any
// time, so that no clock helps.

// wantNothing lets the look go on to its end, at which it has found nothing.
func (s *store) wantNothing() {
	s.t.Helper()
	if st := s.lookOver(); st.Found != 0 || st.Left != 0 {
		s.t.Errorf("%+v\n%s", st, s.log)
	}
}

// TestLeftoversWaitForWrites: a blob whose write is under way is named by nothing
// yet. The look waits for the end of the write, however long that takes.
func TestLeftoversWaitForWrites(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(s *store) (write func() error){
		"object": func(s *store) func() error {
			return func() error {
				_, err := s.tryPut("k", "body of k", meta.Precondition{})
				return err
			}
		},
		"copies": func(s *store) func() error {
			s.replicas(3)
			return func() error {
				_, err := s.tryPut("k", "body of k", meta.Precondition{})
				return err
			}
		},
		"part": func(s *store) func() error {
			up := s.createUpload("k")
			return func() error {
				_, err := s.tryPutPart(up, 1, "body of k")
				if err == nil {
					_, err = s.CompleteUpload(bg, s.chosen(up))
				}
				return err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			write := prepare(s)
			held, letGo := s.hold(1)
			written := make(chan error, 1)
			go func() { written <- write() }()
			<-held
			s.listed()
			for range 50 {
				if state, err := s.LeftoversStep(bg); err != nil || state.More {
					t.Fatalf("%+v, %v", state, err)
				}
			}
			if s.count('g') != 0 || s.blobs() == 0 {
				t.Fatal("the write was not waited for")
			}
			letGo()
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			s.wantNothing()
			s.wantBody("k", "body of k")
		})
	}
}

// TestLeftoversDoNotWaitForLaterWrites: a write that begins after the listing can
// not have made what was listed.
func TestLeftoversDoNotWaitForLaterWrites(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "body of k")
	s.listed()
	held, letGo := s.hold(1)
	written := make(chan error, 1)
	go func() { _, err := s.tryPut("later", "body of later", meta.Precondition{}); written <- err }()
	<-held
	s.wantNothing()
	letGo()
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	s.wantBody("later", "body of later")
}

// TestLeftoversAndUnknownCommits: what became of a commit is not known, so its blobs
// are none of this process's leftovers. The next one knows.
func TestLeftoversAndUnknownCommits(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.leave("cut off")
	s.listed()
	s.wantNothing()
	s.open()
	if err := s.AskForLeftovers(bg); err != nil {
		t.Fatal(err)
	}
	s.wantLookedOver(1)
	failed := errors.New("the answer is lost")
	s.db.fail(&s.db.after, 1, failed)
	if _, err := s.tryPut("recorded", "body of recorded", meta.Precondition{}); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	s.db.heal()
	s.open()
	if err := s.AskForLeftovers(bg); err != nil {
		t.Fatal(err)
	}
	s.wantLookedOver(0)
	s.wantBody("recorded", "body of recorded")
}

// TestLeftoversAndMoves: what the rebalance and the repair make is in the garbage
// queue before its first byte, until it is recorded.
func TestLeftoversAndMoves(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(s *store) []string{
		"drain": func(s *store) []string {
			keys := s.fillKeys(30)
			s.rebalanced()
			s.drain(2)
			return keys
		},
		"repair": func(s *store) []string {
			s.replicas(2)
			keys := s.fillKeys(30)
			for _, k := range keys[:10] {
				p := s.extent(k).Pieces[0]
				s.unplant(p)
				s.queueRepair(metadb.Repair{Bucket: bucket, Key: k, Suspects: []meta.Piece{p}, Queued: s.clock.now()})
			}
			return keys
		},
	} {
		t.Run(name+" being recorded", func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			keys := prepare(s)
			before := s.blobs()
			held, letGo := s.hold(2) // the first names the new pieces
			stepped := make(chan error, 1)
			go func() { _, err := s.RebalanceStep(bg); stepped <- err }()
			<-held
			if s.blobs() == before {
				t.Fatal("no piece was made")
			}
			s.listed()
			s.wantNothing()
			letGo()
			if err := <-stepped; err != nil {
				t.Fatal(err)
			}
			s.wantAll(keys)
		})
		t.Run(name+" after the listing", func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			keys := prepare(s)
			s.listed()
			s.rebalanced()
			s.wantNothing()
			s.wantAll(keys)
		})
		t.Run(name+" cut off", func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			keys := prepare(s)
			s.db.fail(&s.db.before, 2, errors.New("killed"))
			if _, err := s.RebalanceStep(bg); err == nil {
				t.Fatal("it was not cut off")
			}
			s.db.heal()
			s.open()
			s.listed()
			s.wantNothing() // its entry names them
			s.rebalanced()
			s.listed()
			s.wantNothing()
			s.wantAll(keys)
		})
	}
}

// TestLeftoversAndUploads: the blobs of an upload go from the rows of its parts into
// a manifest, which is written before anything refers to it.
func TestLeftoversAndUploads(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(s *store, up meta.Upload){
		"completed":          func(s *store, up meta.Upload) { s.complete(up) },
		"and collected":      func(s *store, up meta.Upload) { s.complete(up); s.collect() },
		"a part left out":    func(s *store, up meta.Upload) { s.complete(up, 1, 2) },
		"a part replaced":    func(s *store, up meta.Upload) { s.putPart(up, 3, "three"); s.complete(up) },
		"and that is gone":   func(s *store, up meta.Upload) { s.putPart(up, 3, "three"); s.complete(up); s.collect() },
		"object overwritten": func(s *store, up meta.Upload) { s.complete(up); s.put("k", "body of k") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			up := s.createUpload("k")
			for n, body := range []string{"one", "two", "three"} {
				s.putPart(up, n+1, body)
			}
			s.listed()
			meanwhile(s, up)
			s.wantNothing()
			if _, err := s.tryRead("k"); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("being completed", func(t *testing.T) {
		t.Parallel()
		s := newStore(t)
		up := s.createUpload("k")
		for n, body := range []string{"one", "two", "three"} {
			s.putPart(up, n+1, body)
		}
		s.listed()
		held, letGo := s.hold(1)
		completed := make(chan error, 1)
		req := s.chosen(up)
		go func() { _, err := s.CompleteUpload(bg, req); completed <- err }()
		<-held
		s.wantNothing()
		letGo()
		if err := <-completed; err != nil {
			t.Fatal(err)
		}
		s.wantBody("k", "onetwothree")
	})
}

// TestLeftoversAndUnreadableRows: a row that can not be read may name any blob.
func TestLeftoversAndUnreadableRows(t *testing.T) {
	t.Parallel()
	for _, tag := range []byte("ovpmg") {
		t.Run(string(tag), func(t *testing.T) {
			t.Parallel()
			s := newDamaged(t)
			s.leave("cut off")
			s.put("again", "1")
			s.put("again", "2")
			s.open()
			key := append([]byte{tag}, "b\x00\x01\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"...)
			s.write(func(tx metadb.Tx) error { return tx.Set(key, []byte{1, 0xFF}) })
			if err := s.AskForLeftovers(bg); err != nil {
				t.Fatal(err)
			}
			if st := s.lookOver(); st.Found != 0 || st.Left == 0 || !strings.Contains(st.Trouble, "can not be read") {
				t.Errorf("%+v", st)
			}
			s.write(func(tx metadb.Tx) error { return tx.Delete(key) })
			s.wantLookedOver(1)
		})
	}
}

// restored is a store whose metadata is put back to what it was at the time of
// the copy.
func (s *store) restored(copied map[string][]byte) {
	s.t.Helper()
	for k := range s.rows() {
		s.write(func(tx metadb.Tx) error { return tx.Delete([]byte(k)) })
	}
	for k, v := range copied {
		s.write(func(tx metadb.Tx) error { return tx.Set([]byte(k), v) })
	}
	s.open()
}

// TestLeftoversOfRestoredMetadata: metadata that is older than what the volumes hold
// names none of what came later, and costs nothing of it at once. What is put back
// in time names it again.
func TestLeftoversOfRestoredMetadata(t *testing.T) {
	t.Parallel()
	s := newDatedStore(t, 0, 0, 0)
	s.fillKeys(5)
	s.wantLookedOver(0)
	older := s.rows()
	keys := s.fillKeys(20)
	s.wantLookedOver(0)
	newer := s.rows()
	s.restored(older)
	if st := s.lookOver(); st.Found != 20 {
		t.Fatalf("%+v", st)
	}
	s.clock.advance(23 * time.Hour)
	s.collect()
	s.restored(newer)
	s.lookOver()
	s.wantAll(keys)
	s.clock.advance(48 * time.Hour)
	s.collect()
	s.wantAll(keys)
}

// TestLeftoversThatAreNamedAgain: the collector looks again before it removes what
// was found, whatever brought the row back.
func TestLeftoversThatAreNamedAgain(t *testing.T) {
	t.Parallel()
	s := newDatedStore(t, 0, 0, 0)
	s.leave("cut off")
	s.leave("other")
	s.open()
	s.wantLookedOver(2)
	var named meta.Piece
	for _, v := range s.Topology().Volumes {
		for _, id := range s.volumeOf(v.Number).ids(t) {
			info, err := s.volumeOf(v.Number).Stat(bg, id)
			if err != nil {
				t.Fatal(err)
			}
			if d, err := metadb.UnmarshalDescriptor(info.Descriptor); err == nil && d.Key == "cut off" {
				named = meta.Piece{Volume: v.Number, Blob: meta.BlobID(id)}
			}
		}
	}
	s.put("cut off", "left of cut off")
	was := s.extent("cut off").Pieces[0]
	s.setPieces("cut off", func([]meta.Piece) []meta.Piece { return []meta.Piece{named} })
	s.unplant(was)
	s.clock.advance(25 * time.Hour)
	s.collect()
	if n := s.blobs(); n != 1 {
		t.Errorf("%d blobs, want the one that is named", n)
	}
	s.wantBody("cut off", "left of cut off")
}

// TestLeftoversThatCanNotBeTold: a blob that does not say what it is stays, and so
// does one that the volume can not read.
func TestLeftoversThatCanNotBeTold(t *testing.T) {
	t.Parallel()
	s := newDamaged(t)
	p := s.plant(1, meta.BlobID{1, 2, 3}, "whose is it?")
	s.listed()
	if st := s.lookOver(); st.Found != 0 || st.Left != 0 {
		t.Errorf("%+v", st)
	}
	wantFindings(t, s.fsckStore(master.CheckOptions{}), map[master.FindingKind]uint64{master.FindingOrphan: 1})
	if _, err := s.volumeOf(1).Stat(bg, volume.BlobID(p.Blob)); err != nil {
		t.Error(err)
	}
}

// TestLeftoversUnderLoad: all that changes a store goes on, while everything is
// looked over again and again, and what is found is removed without any grace.
func TestLeftoversUnderLoad(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 4)
	cfg := s.config()
	cfg.LeftoverGrace, cfg.GarbageGrace = -1, time.Minute
	s.openWith(cfg)
	s.createBucket(bucket)
	t.Cleanup(s.check)
	s.replicas(2)
	keys := s.fillKeys(100)
	ctx, stop := context.WithCancel(bg)
	var wg sync.WaitGroup
	s.stirring(ctx, bg, &wg, 3, 3)
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			s.clock.advance(time.Minute / 2)
			if err := s.CollectGarbage(bg); err != nil {
				t.Error(err)
			}
			if _, err := s.RebalanceStep(bg); err != nil {
				t.Error(err)
			}
			change := map[int]func(context.Context, meta.VolumeID) error{10: s.DrainVolume, 12: s.CancelDrain}[i%40]
			if change == nil {
				continue
			}
			if err := change(bg, 2); err != nil && !errors.As(err, new(*master.ChangeError)) { // it may have left
				t.Error(err)
			}
		}
	})
	for round := range 30 {
		if err := s.AskForLeftovers(bg); err != nil {
			t.Error(err)
		}
		s.LeftoversAtOnce([]int{1 << 16, 50}[round%2])
		if s.wantNothing(); t.Failed() {
			break
		}
	}
	stop()
	wg.Wait()
	s.rebalanced()
	s.wantAll(keys)
	for i := range 20 {
		if _, err := s.tryRead(fmt.Sprint("load", i)); err != nil && meta.KindOf(err) != meta.KindNoSuchKey {
			t.Error(err)
		}
	}
}

// TestTooManyLeftovers: what is more than a crash leaves stays, with what was given
// up of it before.
func TestTooManyLeftovers(t *testing.T) {
	t.Parallel()
	s := newDatedStore(t, 0, 0, 0)
	s.fillKeys(5)
	s.wantLookedOver(0)
	older := s.rows()
	keys := s.fillKeys(300)
	s.lookOver()
	newer := s.rows()
	s.restored(older)
	s.LeftoversLimit(290)
	s.LeftoversAtOnce(1) // a volume at a time
	if st := s.lookOver(); st.Found != 0 || st.Excess <= 290 || st.Left != 0 || s.count('g') != 0 {
		t.Fatalf("%+v, %d entries of garbage\n%s", st, s.count('g'), s.log)
	}
	s.clock.advance(1000 * time.Hour)
	s.collect()
	s.restored(newer)
	s.lookOver()
	s.wantAll(keys)
}

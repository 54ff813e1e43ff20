package master_test

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// damageOne flips a bit in one copy of an object, has it repaired, and works until
// nothing is left to repair: the other copy may be next.
func (s *store) damageOne(rng *rand.Rand, key string) error {
	o, err := s.Object(bg, bucket, key, "")
	if meta.KindOf(err) == meta.KindNoSuchKey {
		return nil
	}
	if err != nil {
		return err
	}
	pieces := o.Extents[0].Pieces
	p := pieces[rng.IntN(len(pieces))]
	s.numbered(int(p.Volume)).mem.Corrupt(volume.BlobID(p.Blob), 0)
	s.queueRepair(metadb.Repair{Bucket: bucket, Key: key, Suspects: []meta.Piece{p}, Queued: s.clock.now()})
	for range 1000 {
		if _, err := s.RebalanceStep(bg); err != nil {
			return err
		}
		st, err := s.RebalanceStatus(bg)
		if err != nil || st.Repairs == 0 {
			return err
		}
		s.clock.advance(time.Second)
	}
	return fmt.Errorf("%s: the repair has not come to its end", key)
}

// readDespite reads an object of which one copy after the other is damaged and made
// anew, so fast that a reader may come too late to all of them.
func (s *store) readDespite(key string) (body string, err error) {
	for range 10 {
		if body, err = s.tryRead(key); meta.KindOf(err) != meta.KindCorrupt {
			break
		}
	}
	return body, err
}

// swaps adds to a counter n times, each by a write that must replace what was
// read.
func (s *store) swaps(key string, n int) error {
	for done := 0; done < n; {
		body, err := s.readDespite(key)
		if err != nil {
			return err
		}
		was, _ := strconv.Atoi(body)
		_, err = s.tryPut(key, strconv.Itoa(was+1), meta.Precondition{IfMatch: etag(body)})
		switch {
		case err == nil:
			done++
		case meta.KindOf(err) != meta.KindPreconditionFailed:
			return err
		}
	}
	return nil
}

// raceFor has some writers want to be the first to write a key, and deletes it on
// the condition that it is what the winner has written.
func (s *store) raceFor(key string, writers int) error {
	var wins atomic.Int32
	var winner atomic.Value
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			body := fmt.Sprintf("%s of %d", key, w)
			if _, err := s.tryPut(key, body, meta.Precondition{IfNoneMatch: "*"}); err == nil {
				wins.Add(1)
				winner.Store(body)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		return fmt.Errorf("%s: %d have won", key, wins.Load())
	}
	body := winner.Load().(string)
	if got, err := s.readDespite(key); err != nil || got != body {
		return fmt.Errorf("%s: read %q, %w, want %q", key, got, err, body)
	}
	for i, match := range []string{etag("another"), etag(body)} {
		results, err := s.DeleteObjects(bg, bucket, []meta.DeleteItem{{Key: key, Precondition: meta.Precondition{IfMatch: match}}})
		if err != nil {
			return err
		}
		if failed := meta.KindOf(results[0].Err) == meta.KindPreconditionFailed; failed != (i == 0) || !failed && results[0].Err != nil {
			return fmt.Errorf("%s: conditional delete %d: %w", key, i, results[0].Err)
		}
	}
	return nil
}

// TestConditionsDuringRepair: conditional writes, deletes and changes of tags stay
// exact while the copies of the same keys are made anew.
func TestConditionsDuringRepair(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 4, 2)
	s.put("counter", "0")
	s.put("tagged", "body")
	before := s.rebalance().Repaired
	var writers, others sync.WaitGroup
	var over atomic.Bool
	fail := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for w := range 3 {
		writers.Go(func() { fail(s.swaps("counter", 25)) })
		writers.Go(func() {
			for i := range 12 {
				fail(s.raceFor(fmt.Sprintf("first-%d-%d", w, i%2), 4))
			}
		})
	}
	writers.Go(func() {
		for i := range 60 {
			o, err := s.SetObjectTags(bg, bucket, "tagged", "", map[string]string{"n": fmt.Sprint(i)})
			if fail(err); o.Tags["n"] != fmt.Sprint(i) {
				t.Errorf("tags %v, want %d", o.Tags, i)
			}
		}
	})
	others.Go(func() {
		rng := rand.New(rand.NewPCG(1, 5))
		for round := 0; !over.Load() || round < 20; round++ {
			fail(s.damageOne(rng, []string{"counter", "tagged", "first-0-0", "first-1-1", "tagged", "counter"}[round%6]))
		}
	})
	writers.Wait()
	over.Store(true)
	others.Wait()
	s.wantBody("counter", "75")
	s.wantBody("tagged", "body")
	if o, err := s.Object(bg, bucket, "tagged", ""); err != nil || o.Tags["n"] != "59" {
		t.Errorf("tags %v, %v", o.Tags, err)
	}
	if n := s.rebalance().Repaired - before; n < 5 {
		t.Errorf("%d copies were made anew: too few to show anything", n)
	}
	s.wantUsage(meta.Usage{Objects: 2, Bytes: 6})
	s.rebalanced()
	s.wantSettled([]string{"counter", "tagged"})
}

// scribe writes keys of its own and knows what is in them.
type scribe struct {
	s    *store
	rng  *rand.Rand
	name string
	want map[string]string
}

// write does one thing to one of its keys.
func (c *scribe) write(i int) error {
	k := fmt.Sprintf("%s-%d", c.name, c.rng.IntN(8))
	body := fmt.Sprintf("%s %d;", k, i)
	switch c.rng.IntN(6) {
	case 0:
		delete(c.want, k)
		return c.s.tryRemove(k)[0].Err
	case 1:
		up, err := c.s.CreateUpload(bg, meta.Upload{Bucket: bucket, Key: k})
		if err != nil {
			return err
		}
		for n := 1; n <= 3; n++ {
			if _, err := c.s.tryPutPart(up, n, body); err != nil {
				return err
			}
		}
		_, err = c.s.CompleteUpload(bg, c.s.chosen(up))
		for n := 0; n < 50 && meta.KindOf(err) == meta.KindConflict; n++ { // a part has moved meanwhile: so does the front
			_, err = c.s.CompleteUpload(bg, c.s.chosen(up))
		}
		if err != nil {
			return err
		}
		c.want[k] = strings.Repeat(body, 3)
		return nil
	case 2:
		was, ok := c.want[k]
		p := meta.Precondition{IfNoneMatch: "*"}
		if _, err := c.s.tryPut(k, body, p); (meta.KindOf(err) == meta.KindPreconditionFailed) != ok || err != nil && !ok {
			return fmt.Errorf("%s holds %q: %w", k, was, err)
		}
		if !ok {
			c.want[k] = body
		}
		return nil
	}
	_, err := c.s.tryPut(k, body, meta.Precondition{})
	c.want[k] = body
	return err
}

// TestWritesDuringChangeOfCopies: what is written, completed and deleted while the
// number of copies changes has the number that was said last, and nothing else is
// left of it.
func TestWritesDuringChangeOfCopies(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var writers sync.WaitGroup
	var over atomic.Bool
	scribes := make([]*scribe, 4)
	for w := range scribes {
		c := &scribe{s: s, rng: rand.New(rand.NewPCG(uint64(w), 6)), name: fmt.Sprint("w", w), want: map[string]string{}}
		scribes[w] = c
		writers.Go(func() {
			for i := 0; !over.Load() || i < 100; i++ {
				if err := c.write(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, n := range []int{3, 1, 2, 3, 2} {
		if err := s.SetReplicas(bg, "", n); err != nil {
			t.Error(err)
		}
		for range 4 {
			s.clock.advance(time.Minute)
			if _, err := s.RebalanceStep(bg); err != nil {
				t.Error(err)
			}
			if err := s.CollectGarbage(bg); err != nil {
				t.Error(err)
			}
		}
	}
	over.Store(true)
	writers.Wait()
	s.rebalanced()
	s.clock.advance(48 * time.Hour)
	s.collect()
	pieces := 0
	for _, c := range scribes {
		s.wantSettled(keysOf(c.want))
		for k, body := range c.want {
			s.wantBody(k, body)
			at, err := s.Locate(bg, bucket, k, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range at.Extents {
				if len(x.Pieces) != 2 {
					t.Errorf("%q has %d copies", k, len(x.Pieces))
				}
				pieces += len(x.Pieces)
			}
		}
	}
	if n := s.blobs(); n != pieces {
		t.Errorf("%d blobs for %d pieces", n, pieces)
	}
}

// TestRepairCostsAFewReads: an entry of the queue does not cost more where the
// store, the queue's past, the key's versions or the object's parts are many.
func TestRepairCostsAFewReads(t *testing.T) {
	t.Parallel()
	cost := func(objects, versions, parts int) map[string]work {
		s := newCopiesStore(t, 3, 2)
		s.fillKeys(objects)
		s.versioning(meta.VersioningEnabled)
		for range versions {
			s.put("versioned", "body")
		}
		bodies, numbers := make([]string, parts), make([]int, parts)
		for i := range bodies {
			bodies[i], numbers[i] = "part", i+1
		}
		assembled := s.assemble("assembled", bodies, numbers...)
		open := s.createUpload("open")
		s.putPart(open, 1, "part")
		s.rebalanced()
		oldest, err := s.ListVersions(bg, meta.VersionsRequest{Bucket: bucket, Prefix: "versioned", Limit: 10 * versions})
		if err != nil {
			t.Fatal(err)
		}
		counted := s.countWork()
		costs := map[string]work{}
		for name, r := range map[string]metadb.Repair{
			"an object":          {Key: "key-0003"},
			"a version":          {Key: "versioned", Seq: seqOf(t, oldest.Versions[len(oldest.Versions)-1].VersionID)},
			"a part":             {Key: "assembled", Seq: seqOf(t, assembled.VersionID), UploadID: assembled.UploadID, Part: parts},
			"a part in progress": {Key: "open", UploadID: open.UploadID, Part: 1},
			"what is gone":       {Key: "gone"},
		} {
			r.Bucket = bucket
			for i := 0; i < 2; i++ { // the second time, there is a past
				s.queueRepair(r)
				s.clock.advance(time.Second)
				counted.work = work{}
				s.steps(1)
			}
			costs[name] = counted.work
			if n := s.count('q'); n != 0 {
				t.Errorf("%s: %d entries are left", name, n)
			}
		}
		return costs
	}
	few, many := cost(10, 2, 2), cost(600, 150, 400)
	for name, want := range few {
		if got := many[name]; got != want || got.gets+got.passed+got.moves > 16 {
			t.Errorf("%s: %+v in a large store, %+v in a small one", name, got, want)
		}
		t.Logf("%s: %+v", name, want)
	}
}

// seqOf reads the seq out of a version id.
func seqOf(t *testing.T, id string) uint64 {
	t.Helper()
	b, err := base32.HexEncoding.DecodeString(strings.ToUpper(id))
	if err != nil || len(b) < 8 {
		t.Fatalf("version id %q: %v", id, err)
	}
	return binary.BigEndian.Uint64(b)
}

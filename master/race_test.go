package master_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master/meta"
)

// wholeBody is a body that shows when it is mixed with another.
func wholeBody(n int) string { return strings.Repeat(strconv.Itoa(n)+",", 2000+n%100) }

func checkWhole(body string) error {
	first, _, _ := strings.Cut(body, ",")
	n, err := strconv.Atoi(first)
	if err != nil || body != wholeBody(n) {
		return fmt.Errorf("not a whole version: %s", brief(body))
	}
	return nil
}

// Readers of one key see whole versions while it is overwritten in one piece and
// in parts, deleted, and its garbage collected without any grace.
func TestReadersSeeWholeVersions(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 3)
	cfg := s.config()
	cfg.GarbageGrace = -1
	s.openWith(cfg)
	s.createBucket(bucket)
	t.Cleanup(s.check)
	var writers, others sync.WaitGroup
	var done atomic.Bool
	write := func(w int) {
		for i := range 40 {
			n := w*1000 + i
			body := wholeBody(n)
			switch {
			case w == 0 && i%4 == 3:
				s.remove("k")
			case w == 1:
				s.assemble("k", []string{body[:len(body)/3], body[len(body)/3 : len(body)/2], body[len(body)/2:]})
			default:
				s.put("k", body)
			}
		}
	}
	read := func() error {
		r, err := s.OpenObject(bg, bucket, "k", "")
		if meta.KindOf(err) == meta.KindNoSuchKey {
			return nil
		}
		if err != nil {
			return err
		}
		body, err := readAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
		return checkWhole(body)
	}
	for w := range 3 {
		writers.Go(func() { write(w) })
	}
	for range 4 {
		others.Go(func() {
			for !done.Load() {
				if err := read(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	others.Go(func() {
		for !done.Load() {
			s.clock.advance(time.Minute)
			if err := s.CollectGarbage(bg); err != nil {
				t.Error(err)
				return
			}
		}
	})
	writers.Wait()
	done.Store(true)
	others.Wait()
}

// Of racing puts that want to be the first, exactly one wins each round.
func TestRaceToBeFirst(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for round := range 30 {
		key := fmt.Sprint(round)
		var wins, losses atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				body := fmt.Sprintf("%d/%d", round, w)
				switch _, err := s.tryPut(key, body, meta.Precondition{IfNoneMatch: "*"}); {
				case err == nil:
					wins.Add(1)
					winner.Store(body)
				case meta.KindOf(err) == meta.KindPreconditionFailed:
					losses.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 || losses.Load() != 15 {
			t.Fatalf("round %d: %d won, %d lost", round, wins.Load(), losses.Load())
		}
		s.wantBody(key, winner.Load().(string))
	}
}

// A chain of compare-and-swap writes loses none.
func TestCompareAndSwap(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("counter", "0")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for done := 0; done < 10; {
				body, err := s.tryRead("counter")
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(body)
				_, err = s.tryPut("counter", strconv.Itoa(n+1), meta.Precondition{IfMatch: etag(body)})
				if err == nil {
					done++
				} else if meta.KindOf(err) != meta.KindPreconditionFailed {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	s.wantBody("counter", "40")
}

// Completions, aborts and parts of one upload race: the object is made once or
// not at all, of the parts that were chosen, and nothing is left over.
func TestUploadRaces(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for round := range 40 {
		key := fmt.Sprint(round)
		up := s.createUpload(key)
		for n := 1; n <= 3; n++ {
			s.putPart(up, n, fmt.Sprintf("%d-%d;", round, n))
		}
		req := s.chosen(up)
		var completed, aborted atomic.Int32
		var wg sync.WaitGroup
		expect := func(err error, ok *atomic.Int32, kinds ...meta.Kind) {
			if err == nil {
				ok.Add(1)
				return
			}
			for _, k := range kinds {
				if meta.KindOf(err) == k {
					return
				}
			}
			t.Errorf("round %d: %v", round, err)
		}
		for range 2 {
			wg.Go(func() {
				_, err := s.CompleteUpload(bg, req)
				expect(err, &completed, meta.KindNoSuchUpload, meta.KindConflict)
			})
		}
		wg.Go(func() {
			expect(s.AbortUpload(bg, bucket, key, up.UploadID), &aborted, meta.KindNoSuchUpload)
		})
		wg.Go(func() {
			_, err := s.tryPutPart(up, 2, "again;")
			expect(err, new(atomic.Int32), meta.KindNoSuchUpload)
		})
		wg.Go(func() {
			if err := s.CollectGarbage(bg); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		body, err := s.tryRead(key)
		switch {
		case completed.Load() > 0:
			if want := fmt.Sprintf("%d-1;%d-2;%d-3;", round, round, round); err != nil || body != want || aborted.Load() > 0 {
				t.Fatalf("round %d: read %q, %v; aborted %d times", round, body, err, aborted.Load())
			}
		case meta.KindOf(err) != meta.KindNoSuchKey:
			t.Fatalf("round %d: read %q, %v without a completion", round, body, err)
		}
	}
}

// Puts race with the deletion of their bucket: a bucket that is gone holds
// nothing.
func TestPutsRaceWithDeleteBucket(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for round := range 20 {
		var wg sync.WaitGroup
		for w := range 3 {
			wg.Go(func() {
				_, err := s.tryPut(fmt.Sprint(w), "x", meta.Precondition{})
				if err != nil && meta.KindOf(err) != meta.KindNoSuchBucket {
					t.Error(err)
				}
			})
		}
		var gone error
		wg.Go(func() { gone = s.DeleteBucket(bg, bucket) })
		wg.Wait()
		switch meta.KindOf(gone) {
		case meta.KindBucketNotEmpty:
			s.remove("0", "1", "2")
		default:
			if gone != nil {
				t.Fatal(gone)
			}
			if n := s.count('o'); n != 0 {
				t.Fatalf("round %d: %d objects in no bucket", round, n)
			}
			s.createBucket(bucket)
		}
	}
}

// TestRandomHistory runs random operations from several goroutines, collects
// while they run, and leaves the judgment to the invariant checker: exact
// counters, exactly the live blobs.
func TestRandomHistory(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 11))
			for range 150 {
				if err := s.randomStep(r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// randomStep does one operation on a handful of keys; what loses a race is no
// error.
func (s *store) randomStep(r *rand.Rand) error {
	key, body := fmt.Sprint("k", r.IntN(6)), strings.Repeat("z", r.IntN(50))
	var err error
	switch r.IntN(9) {
	case 0, 1, 2:
		_, err = s.tryPut(key, body, meta.Precondition{})
	case 3:
		_, err = s.tryPut(key, body, meta.Precondition{IfNoneMatch: "*"})
	case 4:
		for _, res := range s.tryRemove(key, fmt.Sprint("k", r.IntN(6))) {
			err = errors.Join(err, res.Err)
		}
	case 5, 6, 7:
		err = s.randomUpload(r, key)
	case 8:
		s.clock.advance(time.Duration(r.IntN(10)) * time.Minute)
		err = s.CollectGarbage(bg)
	}
	switch meta.KindOf(err) {
	case meta.KindPreconditionFailed, meta.KindNoSuchUpload, meta.KindConflict:
		return nil
	}
	return err
}

func (s *store) randomUpload(r *rand.Rand, key string) error {
	up, err := s.CreateUpload(bg, meta.Upload{Bucket: bucket, Key: key})
	if err != nil {
		return err
	}
	if page, err := s.ListUploads(bg, meta.UploadsRequest{Bucket: bucket, Limit: 1000}); err != nil {
		return err
	} else if len(page.Uploads) > 0 && r.IntN(2) == 0 {
		up = page.Uploads[r.IntN(len(page.Uploads))] // someone else's
	}
	for range r.IntN(4) {
		if _, err := s.tryPutPart(up, 1+r.IntN(4), strings.Repeat("p", r.IntN(20))); err != nil {
			return err
		}
	}
	fresh, parts, err := s.UploadParts(bg, bucket, up.Key, up.UploadID, 0, 0)
	if err != nil || len(parts) == 0 {
		return err
	}
	switch r.IntN(3) {
	case 0:
		return s.AbortUpload(bg, bucket, up.Key, up.UploadID)
	case 1:
		parts = parts[r.IntN(len(parts)):]
	}
	_, err = s.CompleteUpload(bg, meta.CompleteRequest{Upload: fresh, Parts: parts, Digests: meta.Digests{ETag: up.UploadID}})
	return err
}

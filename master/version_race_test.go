package master_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master/meta"
)

// sharedIDs are the version ids that the goroutines of a test have seen.
type sharedIDs struct {
	mu  sync.Mutex
	ids []string
}

func (x *sharedIDs) add(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ids = append(x.ids, id)
}

// pick returns an id, mostly one of the last.
func (x *sharedIDs) pick(r *rand.Rand) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.ids) == 0 || r.IntN(8) == 0 {
		return "null"
	}
	return x.ids[len(x.ids)-1-r.IntN(min(len(x.ids), 6))]
}

// Writers, deleters of versions, taggers and readers at one key, while its
// versioning changes and garbage is collected without any grace: a reader sees a
// whole version, the one that it asked for, or none.
func TestReadersSeeWholeVersionsByID(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 3)
	cfg := s.config()
	cfg.GarbageGrace = -1
	s.openWith(cfg)
	s.createBucket(bucket)
	t.Cleanup(s.check)
	s.versioning(meta.VersioningEnabled)
	var ids sharedIDs
	var writers, others sync.WaitGroup
	var done atomic.Bool
	for w := range 2 {
		writers.Go(func() {
			for i := range 60 {
				body := wholeBody(w*1000 + i)
				var o meta.Object
				if w == 1 && i%3 == 0 {
					o = s.assemble("k", []string{body[:len(body)/3], body[len(body)/3:]})
				} else {
					o = s.put("k", body)
				}
				ids.add(o.VersionID)
				if w == 0 && i%20 == 10 {
					s.versioning(meta.VersioningSuspended)
				} else if w == 0 && i%20 == 15 {
					s.versioning(meta.VersioningEnabled)
				}
			}
		})
	}
	for w, step := range []func(*rand.Rand) error{
		func(r *rand.Rand) error { return s.tryRemoveVersion("k", ids.pick(r), false) },
		func(r *rand.Rand) error { return s.removeAndRemember(&ids) },
		func(r *rand.Rand) error {
			_, err := s.SetObjectTags(bg, bucket, "k", ids.pick(r), map[string]string{"a": "b"})
			return err
		},
		func(r *rand.Rand) error { return s.readWhole(ids.pick(r)) },
		func(r *rand.Rand) error { return s.readWhole("") },
		func(*rand.Rand) error { s.clock.advance(time.Minute); return s.CollectGarbage(bg) },
	} {
		r := rand.New(rand.NewPCG(uint64(w), 3))
		others.Go(func() {
			for !done.Load() {
				switch err := step(r); meta.KindOf(err) {
				case meta.KindNoSuchKey, meta.KindNoSuchVersion, meta.KindDeleteMarker:
				default:
					if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	others.Wait()
}

// removeAndRemember leaves a delete marker.
func (s *store) removeAndRemember(ids *sharedIDs) error {
	res := s.tryRemove("k")[0]
	ids.add(res.VersionID)
	return res.Err
}

func (s *store) readWhole(id string) error {
	r, err := s.OpenObject(bg, bucket, "k", id)
	if err != nil {
		return err
	}
	if got := r.Object().VersionID; id != "" && got != id {
		s.t.Errorf("opened %q, asked for %q", got, id)
	}
	body, err := readAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	return checkWhole(body)
}

// A put and the suspension of versioning commit in one order or the other: the
// id that the put answers is the one that its version has.
func TestVersioningChangesBetweenWrites(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for range 30 {
		s.versioning(meta.VersioningEnabled)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				o := s.put("k", wholeBody(1))
				if got, err := s.Object(bg, bucket, "k", o.VersionID); err != nil || got.VersionID != o.VersionID {
					t.Errorf("put as %q, found as %q: %v", o.VersionID, got.VersionID, err)
				}
			})
		}
		wg.Go(func() { s.versioning(meta.VersioningSuspended) })
		wg.Wait()
	}
}

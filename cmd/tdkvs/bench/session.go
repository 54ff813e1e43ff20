package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Endpoint is a store to be loaded.
type Endpoint struct {
	Name      string // in the report
	URL       string // http or https, host and port
	AccessKey string // "": requests are not signed
	SecretKey string
	Region    string
	// PIDs are its processes, where they run on this machine: their processor
	// time and memory are reported.
	PIDs []int
	// Bare says that it stores nothing: nothing is there to be listed.
	Bare bool
}

// session is one load at one endpoint, from the first object that is prepared to
// the last that is removed.
type session struct {
	endpoint Endpoint
	load     Load
	kind     kind
	keys     Keys
	content  content
	bucket   string
	prefix   string
	verify   bool
	signed   bool // bodies are
	seed     uint64
	tell     func(string) // of a failed request; may be called at the same time

	ready   uint64        // objects below it are there, for reading or deleting
	next    atomic.Uint64 // the number of the next new object: those below may be there
	turn    atomic.Uint64 // of what is taken one after the other
	workers []*worker
}

// newSession makes the clients; it asks the endpoint nothing.
func newSession(ctx context.Context, cfg Config, e Endpoint, l Load, pattern content, tell func(string)) (*session, error) {
	k, err := findKind(l.Kind)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(e.URL)
	if err != nil {
		return nil, err
	}
	s := &session{
		endpoint: e, load: l, kind: k, keys: k.keys, content: pattern, bucket: cfg.Bucket, prefix: "bench-" + randomHex(6) + "/",
		verify: cfg.Verify, signed: cfg.SignBodies, seed: cfg.Seed, tell: tell,
	}
	if l.Keys != "" && k.keys != "" {
		s.keys = l.Keys
	}
	for i := range l.Clients {
		s.workers = append(s.workers, s.newWorker(ctx, u, i))
	}
	return s, nil
}

func (s *session) newWorker(ctx context.Context, u *url.URL, i int) *worker {
	rng := mathrand.New(mathrand.NewPCG(s.seed, uint64(i)))
	w := &worker{session: s, ctx: ctx, conn: newConn(s.endpoint, u), rng: rng}
	w.check.content = s.content
	if s.keys == Zipf {
		n := uint64(s.load.prepared(s.kind))
		if n == 0 {
			n = s.rewritten()
		}
		w.zipf = newZipf(rng, max(n, 2))
	}
	return w
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// rewritten is how many objects a put load writes again and again, where it does
// not make new ones.
func (s *session) rewritten() uint64 {
	if s.load.Objects > 0 {
		return uint64(s.load.Objects)
	}
	return 1000
}

// together runs a step of every client at the same time and returns their errors.
func (s *session) together(step func(*worker) error) error {
	errs := make([]error, len(s.workers))
	var group sync.WaitGroup
	for i, w := range s.workers {
		group.Go(func() { errs[i] = step(w) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// connect opens all connections, so that no request pays for it.
func (s *session) connect() error {
	return s.together(func(w *worker) error { return w.conn.dial(w.ctx) })
}

// disconnect closes them: an idle connection may be closed by the other side.
func (s *session) disconnect() {
	for _, w := range s.workers {
		w.conn.close()
	}
}

// prepare stores the objects that the next round needs.
func (s *session) prepare(ctx context.Context) error {
	if s.kind.name == "put" && s.keys != Sequential {
		s.next.Store(max(s.next.Load(), max(s.rewritten(), 2)))
	}
	count := uint64(s.load.prepared(s.kind))
	if count == 0 || s.ready > 0 && !s.kind.consume {
		return nil
	}
	first := s.next.Load()
	s.next.Store(first + count)
	var taken atomic.Uint64
	err := s.together(func(w *worker) error {
		for i := taken.Add(1) - 1; i < count; i = taken.Add(1) - 1 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := w.putOne(first + i); err != nil {
				taken.Store(count)
				return fmt.Errorf("prepare objects: %w", err)
			}
		}
		return nil
	})
	s.ready = first + count
	s.turn.Store(0)
	if s.kind.consume {
		s.turn.Store(first)
	}
	return err
}

// round works for a time and returns what was done, and in how long.
func (s *session) round(ctx context.Context, length time.Duration) (*tallies, time.Duration) {
	for i, w := range s.workers {
		w.walk = walk{}
		if s.load.Kind == "list" {
			w.walk.at = s.ready * uint64(i) / uint64(len(s.workers))
		}
	}
	start := time.Now()
	_ = s.together(func(w *worker) error {
		w.run(ctx, start.Add(length), s.kind.step)
		return nil
	})
	took := time.Since(start)
	all := new(tallies)
	for _, w := range s.workers {
		all.add(&w.tallies)
	}
	return all, took
}

// cleanBatch is how many objects the clean-up deletes with one request: as many
// as S3 allows.
const cleanBatch = 1000

// clean removes whatever the session may have left. Its context is not that of
// the run, which may have been cancelled.
func (s *session) clean(ctx context.Context) error {
	for _, w := range s.workers {
		w.ctx = ctx
	}
	if s.load.Kind == "multipart" && !s.endpoint.Bare {
		if err := s.workers[0].abandon(); err != nil {
			return fmt.Errorf("clean up: end uploads: %w", err)
		}
	}
	var taken atomic.Uint64
	end := s.next.Load()
	return s.together(func(w *worker) error {
		for first := taken.Add(cleanBatch) - cleanBatch; first < end && ctx.Err() == nil; first = taken.Add(cleanBatch) - cleanBatch {
			if err := w.removeRange(first, min(first+cleanBatch, end)); err != nil {
				return fmt.Errorf("clean up: delete objects: %w", err)
			}
		}
		return ctx.Err()
	})
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"tdkvs/volume/vfs"
)

// Config says what Run does. Its fields are checked by whoever fills it.
type Config struct {
	// Endpoints are loaded in turns. The first is compared with each of the others.
	Endpoints []Endpoint
	Loads     []Load        // one after the other
	Duration  time.Duration // of a round
	WarmUp    time.Duration // before each round, not counted
	Rounds    int           // of each load at each endpoint
	Bucket    string        // made where it is missing, and removed if it was
	// Verify compares every byte that is read.
	Verify bool
	// SignBodies sends the SHA-256 of each body with the request.
	SignBodies bool
	Keep       bool   // remove nothing
	Seed       uint64 // of random choices
	// Disk is a directory whose disk is measured after each load; "": none.
	Disk string
	FS   vfs.FS // of Disk
	// Progress takes a line for a person; nil: nobody does.
	Progress func(string)
}

// cleanTime bounds the clean-up of one load at one endpoint.
const cleanTime = 2 * time.Minute

// runner is one call of Run. It belongs to one goroutine, except for what a mutex
// owns.
type runner struct {
	Config
	content content
	made    []bool // by endpoint: the bucket is ours
	report  *Report

	mu   sync.Mutex
	told map[string]bool // failures that were told already; owned by mu
}

// Run loads the endpoints and reports what they did. Failed requests are in the
// report and no error; an error says why there is no more than what is reported.
// When ctx is done, Run ends early, and removes what it made all the same.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	r := &runner{Config: cfg, content: newContent(), made: make([]bool, len(cfg.Endpoints)), report: newReport(cfg), told: map[string]bool{}}
	err := r.buckets(ctx)
	for _, l := range cfg.Loads {
		if err == nil {
			err = r.load(ctx, l)
		}
	}
	return r.report, errors.Join(err, r.removeBuckets(context.WithoutCancel(ctx)))
}

func (r *runner) say(format string, args ...any) {
	if r.Progress != nil {
		r.Progress(fmt.Sprintf(format, args...))
	}
}

// tell says what a failed request came of, once for each kind of failure.
func (r *runner) tell(endpoint Endpoint) func(string) {
	return func(text string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		line := endpoint.Name + ": " + text
		const enough = 10
		if !r.told[line] && len(r.told) < enough {
			r.told[line] = true
			r.say("  failed: %s", line)
		}
	}
}

// load runs one load at each endpoint, in turns.
func (r *runner) load(ctx context.Context, l Load) (err error) {
	var sessions []*session
	defer func() {
		for _, s := range sessions {
			err = errors.Join(err, r.clean(context.WithoutCancel(ctx), s))
		}
	}()
	for _, e := range r.Endpoints {
		if e.Bare && l.Kind == "list" {
			continue
		}
		s, err := newSession(ctx, r.Config, e, l, r.content, r.tell(e))
		if err != nil {
			return err
		}
		sessions = append(sessions, s)
	}
	results := make([]*result, len(sessions))
	for i, s := range sessions {
		results[i] = newResult(s.endpoint)
	}
	for n := range r.Rounds {
		for i := range sessions {
			if n%2 == 1 { // who comes first takes turns, too
				i = len(sessions) - 1 - i
			}
			if err := r.round(ctx, sessions[i], results[i]); err != nil {
				return fmt.Errorf("%s at %s: %w", l.Title(), sessions[i].endpoint.Name, err)
			}
		}
	}
	if err := r.disk(); err != nil {
		return err
	}
	r.report.add(l, results)
	return nil
}

// round prepares, warms up and measures once.
func (r *runner) round(ctx context.Context, s *session, to *result) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.connect(); err != nil {
		return err
	}
	defer s.disconnect()
	if r.WarmUp > 0 && !s.kind.consume {
		s.round(ctx, r.WarmUp)
	}
	before, err := usageOf(s.endpoint.PIDs)
	if err != nil {
		return err
	}
	own := ownTime()
	done, took := s.round(ctx, r.Duration)
	own = ownTime() - own
	after, err := usageOf(s.endpoint.PIDs)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	to.add(done, took, own, after.since(before))
	r.say("%-24s %-20s %s", s.load.Title(), s.endpoint.Name, to.last())
	return nil
}

func (r *runner) disk() error {
	if r.Disk == "" {
		return nil
	}
	sample, err := measureDisk(r.FS, r.Disk, diskBytes, r.content)
	if err != nil {
		return fmt.Errorf("measure the disk: %w", err)
	}
	r.report.disk.add(sample)
	return nil
}

func (r *runner) clean(ctx context.Context, s *session) error {
	defer s.disconnect()
	if r.Keep || s.next.Load() == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cleanTime)
	defer cancel()
	if err := s.clean(ctx); err != nil {
		return fmt.Errorf("%s: %w; what is left begins with %s/%s", s.endpoint.Name, err, s.bucket, s.prefix)
	}
	return nil
}

// buckets makes the bucket where it is missing.
func (r *runner) buckets(ctx context.Context) error {
	for i, e := range r.Endpoints {
		made, err := makeBucket(ctx, e, r.Bucket)
		if err != nil {
			return fmt.Errorf("bucket %s at %s: %w", r.Bucket, e.Name, err)
		}
		r.made[i] = made
	}
	return nil
}

// makeBucket reports whether the bucket was missing.
func makeBucket(ctx context.Context, e Endpoint, bucket string) (bool, error) {
	c, err := bucketConn(e)
	if err != nil {
		return false, err
	}
	defer c.close()
	path := []byte("/" + bucket)
	_, err = c.do(ctx, &call{method: methodHead, path: path, payload: emptyHash}, nil)
	var f *failure
	if !errors.As(err, &f) || f.status != 404 {
		return false, err
	}
	r := &call{method: methodPut, path: path, payload: unsignedPayload}
	if e.Region != "" && e.Region != "us-east-1" {
		text := `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>` +
			e.Region + `</LocationConstraint></CreateBucketConfiguration>`
		r.body, r.length = [][]byte{[]byte(text)}, int64(len(text))
	}
	_, err = c.do(ctx, r, nil)
	return err == nil, err
}

func bucketConn(e Endpoint) (*conn, error) {
	u, err := url.Parse(e.URL)
	if err != nil {
		return nil, err
	}
	return newConn(e, u), nil
}

// removeBuckets removes those that were made.
func (r *runner) removeBuckets(ctx context.Context) error {
	var errs []error
	for i, e := range r.Endpoints {
		if !r.made[i] || r.Keep {
			continue
		}
		c, err := bucketConn(e)
		if err == nil {
			_, err = c.do(ctx, &call{method: methodDelete, path: []byte("/" + r.Bucket), payload: emptyHash}, nil)
			c.close()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("remove bucket %s at %s: %w", r.Bucket, e.Name, err))
		}
	}
	return errors.Join(errs...)
}

package compattests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	trafficBucket  = "traffic"
	trafficKeys    = 40 // of each client
	trafficClients = 8
	trafficLimit   = 20 * time.Second // a request that takes longer has failed
)

// traffic is a mixed load: clients that put, overwrite, get, get ranges of, list and delete small objects, put under
// conditions, and upload in parts. Each has keys of its own and knows what every answer has to be: whatever is otherwise, or no
// answer, is a failed request.
type traffic struct {
	clients  []*trafficClient
	requests atomic.Int64

	mu        sync.Mutex
	failures  []error
	latencies map[string][]time.Duration // by kind of request: "get", "put"
}

// trafficClient is one of them. While the load runs, its goroutine owns it.
type trafficClient struct {
	of      *traffic
	s3      *s3.Client
	choices *rand.Rand
	prefix  string
	writes  int
	known   map[string]value // what each key holds
	unsure  map[string]bool  // keys after a write that failed
}

func newTraffic(t *testing.T, d *deployment, clients int, seed uint64) *traffic {
	t.Helper()
	tr := &traffic{latencies: map[string][]time.Duration{}}
	c := d.sdk(t)
	bucket(t, c, trafficBucket)
	for i := range clients {
		tr.clients = append(tr.clients, &trafficClient{of: tr, s3: d.sdk(t), choices: newRand(seed, 500+uint64(i)), prefix: fmt.Sprintf("client %02d/", i),
			known: map[string]value{}, unsure: map[string]bool{}})
	}
	return tr
}

// work lets all clients work until stop is called, which returns when all have ended.
func (tr *traffic) work() (stop func()) {
	var over atomic.Bool
	var wg sync.WaitGroup
	for _, c := range tr.clients {
		wg.Go(func() {
			for !over.Load() {
				c.step()
			}
		})
	}
	return func() { over.Store(true); wg.Wait() }
}

// failed returns how many requests have failed, and the first of them.
func (tr *traffic) failed() (int, []error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.failures), tr.failures[:min(5, len(tr.failures))]
}

// wantNoFailure fails the test if any request has failed.
func (tr *traffic) wantNoFailure(t *testing.T) {
	t.Helper()
	if n, first := tr.failed(); n > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", n, tr.requests.Load(), errors.Join(first...))
	}
}

// phase returns the latencies since the last call, ascending.
func (tr *traffic) phase() map[string][]time.Duration {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	was := tr.latencies
	tr.latencies = map[string][]time.Duration{}
	for _, l := range was {
		slices.Sort(l)
	}
	return was
}

// do sends one request and keeps what comes of it. kind is "" for one whose latency says nothing.
func (c *trafficClient) do(kind, what string, request func(ctx context.Context) error) bool {
	ctx, cancel := context.WithTimeout(context.Background(), trafficLimit)
	defer cancel()
	start := time.Now()
	err := request(ctx)
	took := time.Since(start)
	c.of.requests.Add(1)
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if err != nil {
		c.of.failures = append(c.of.failures, fmt.Errorf("%s, after %v: %w", what, took.Round(time.Millisecond), err))
	}
	if kind != "" {
		c.of.latencies[kind] = append(c.of.latencies[kind], took)
	}
	return err == nil
}

func (c *trafficClient) step() {
	key := fmt.Sprintf("%s%d", c.prefix, c.choices.IntN(trafficKeys))
	switch dice := c.choices.IntN(100); {
	case dice < 40:
		c.get(key)
	case dice < 46:
		c.getRange(key)
	case dice < 53:
		c.list()
	case dice < 63:
		c.remove(key)
	case dice < 73:
		c.putIf(key)
	case dice < 74:
		c.putParts(key)
	default:
		c.put(key)
	}
}

// next is a new value for a key.
func (c *trafficClient) next() value {
	c.writes++
	v := value{write: c.writes}
	switch dice := c.choices.IntN(100); {
	case dice < 75:
		v.size = c.choices.IntN(8 << 10)
	case dice < 98:
		v.size = c.choices.IntN(64 << 10)
	default:
		v.size = 1<<20 + c.choices.IntN(1<<20)
	}
	return v
}

// wrote notes what a write has left behind.
func (c *trafficClient) wrote(key string, v value, ok bool) {
	c.unsure[key] = !ok
	c.known[key] = v
}

func (c *trafficClient) put(key string) {
	v := c.next()
	body, kind := v.body(key), ""
	if v.size < 64<<10 {
		kind = "put"
	}
	c.wrote(key, v, c.do(kind, "put "+key, func(ctx context.Context) error {
		_, err := c.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(trafficBucket), Key: &key, Body: bytes.NewReader(body)})
		return err
	}))
}

// putIf puts under a condition: that nothing is there, or that what is there has the known ETag. Where the first does not
// hold, the store has to refuse.
func (c *trafficClient) putIf(key string) {
	if c.unsure[key] {
		return
	}
	v, had := c.next(), c.known[key]
	body := v.body(key)
	in := &s3.PutObjectInput{Bucket: aws.String(trafficBucket), Key: &key, Body: bytes.NewReader(body)}
	wanted := http.StatusOK
	if had.write != 0 && c.choices.IntN(2) == 0 {
		in.IfMatch = aws.String(had.etag(had.body(key)))
	} else {
		in.IfNoneMatch = aws.String("*")
		if had.write != 0 {
			wanted = http.StatusPreconditionFailed
		}
	}
	ok := c.do("", "conditional put "+key, func(ctx context.Context) error {
		_, err := c.s3.PutObject(ctx, in)
		return wantStatus(err, wanted)
	})
	if wanted == http.StatusOK || !ok {
		c.wrote(key, v, ok)
	}
}

// wantStatus is nil for an answer of the wanted status.
func wantStatus(err error, want int) error {
	if got := statusOf(err); got != want {
		return fmt.Errorf("status %d, want %d: %w", got, want, err)
	}
	return nil
}

func (c *trafficClient) putParts(key string) {
	v := c.next()
	v.size, v.parts = minPart+v.size, true
	body := v.body(key)
	c.wrote(key, v, c.do("", "upload "+key, func(ctx context.Context) error { return uploadInTwo(ctx, c.s3, trafficBucket, key, body) }))
}

func (c *trafficClient) remove(key string) {
	c.wrote(key, value{}, c.do("", "delete "+key, func(ctx context.Context) error {
		_, err := c.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(trafficBucket), Key: &key})
		return err
	}))
}

// get reads a key and compares every byte with what was put last.
func (c *trafficClient) get(key string) bool {
	v := c.known[key]
	kind := ""
	if v.write != 0 && v.size < 64<<10 {
		kind = "get"
	}
	return c.unsure[key] || c.do(kind, "get "+key, func(ctx context.Context) error {
		return c.read(ctx, key, "", v.body(key))
	})
}

func (c *trafficClient) getRange(key string) {
	v := c.known[key]
	if v.size == 0 || c.unsure[key] {
		return
	}
	first := c.choices.IntN(v.size)
	last := min(v.size-1, first+c.choices.IntN(100<<10))
	c.do("", "get a range of "+key, func(ctx context.Context) error {
		return c.read(ctx, key, fmt.Sprintf("bytes=%d-%d", first, last), v.body(key)[first:last+1])
	})
}

// read wants just these bytes; for a key without an object, a 404.
func (c *trafficClient) read(ctx context.Context, key, byteRange string, want []byte) error {
	in := &s3.GetObjectInput{Bucket: aws.String(trafficBucket), Key: &key}
	if byteRange != "" {
		in.Range = &byteRange
	}
	out, err := c.s3.GetObject(ctx, in)
	if c.known[key].write == 0 {
		return wantStatus(err, http.StatusNotFound)
	}
	if err != nil {
		return err
	}
	got, err := io.ReadAll(out.Body)
	if err := errors.Join(err, out.Body.Close()); err != nil {
		return fmt.Errorf("after %d bytes of %d: %w", len(got), len(want), err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes of SHA-256 %s, want %d of %s", len(got), sha(got), len(want), sha(want))
	}
	return nil
}

// list compares the listing of the client's own keys.
func (c *trafficClient) list() {
	var want []string
	for key, v := range c.known {
		if v.write != 0 {
			want = append(want, key)
		}
	}
	slices.Sort(want)
	c.do("", "list "+c.prefix, func(ctx context.Context) error {
		out, err := c.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(trafficBucket), Prefix: &c.prefix})
		if err != nil {
			return err
		}
		var got []string
		for _, o := range out.Contents {
			if v := c.known[*o.Key]; c.unsure[*o.Key] || int64(v.size) == *o.Size {
				got = append(got, *o.Key)
			}
		}
		got = slices.DeleteFunc(got, func(key string) bool { return c.unsure[key] })
		want := slices.DeleteFunc(slices.Clone(want), func(key string) bool { return c.unsure[key] })
		if !slices.Equal(got, want) {
			return fmt.Errorf("%d keys, want %d: missing %q, too many %q", len(got), len(want), without(want, got), without(got, want))
		}
		return nil
	})
}

// check reads every key that the clients have, and returns how many objects there are.
func (tr *traffic) check() (objects int) {
	var n atomic.Int64
	var wg sync.WaitGroup
	for _, c := range tr.clients {
		wg.Go(func() {
			for i := range trafficKeys {
				key := fmt.Sprintf("%s%d", c.prefix, i)
				c.get(key)
				if c.known[key].write != 0 {
					n.Add(1)
				}
			}
			c.list()
		})
	}
	wg.Wait()
	return int(n.Load())
}

// clear deletes everything.
func (tr *traffic) clear() {
	var wg sync.WaitGroup
	for _, c := range tr.clients {
		wg.Go(func() {
			for i := range trafficKeys {
				c.remove(fmt.Sprintf("%s%d", c.prefix, i))
			}
		})
	}
	wg.Wait()
}

// describe says what a phase was like, for the log.
func describe(phase map[string][]time.Duration) string {
	var s []string
	for _, kind := range []string{"get", "put"} {
		if l := phase[kind]; len(l) > 0 {
			s = append(s, fmt.Sprintf("%d %ss, p50 %v, p99 %v", len(l), kind, quantile(l, 50), quantile(l, 99)))
		}
	}
	return strings.Join(s, "; ")
}

// quantile returns the percentile of ascending latencies.
func quantile(l []time.Duration, percent int) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(len(l)-1, len(l)*percent/100)].Round(10 * time.Microsecond)
}

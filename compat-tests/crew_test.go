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
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	crewSize    = 8
	keysEach    = 25
	crewBucket  = "kv" // so that the native API reaches the same objects
	journalMost = 400  // further keys of each writer, written once each
)

// crew are concurrent writers, each with keys of its own, and their memory of what was acknowledged.
type crew struct {
	d       *deployment
	writers []*writer
}

// writer is one of them. While work runs, its goroutine owns it.
type writer struct {
	d       *deployment
	s3      *s3.Client
	web     *http.Client
	choices *rand.Rand
	class   types.StorageClass // of what is written over S3; "": the default
	number  int
	writes  int                // made so far, acknowledged or not
	known   map[string]value   // acknowledged, or seen after a crash
	maybe   map[string][]value // the interrupted writes of a key since the last acknowledged one: any may hold, or none
	refused []error            // answers that blame the request, which no crash excuses
	acks    int
	cuts    int
	moment  func() int // where set: how many events the disk has seen, for acts
	acts    []act
}

func newCrew(t *testing.T, d *deployment, seed uint64) *crew {
	c := &crew{d: d}
	for i := range crewSize {
		c.writers = append(c.writers, &writer{d: d, s3: d.sdk(t), web: d.httpClient(t, 4), choices: newRand(seed, uint64(i)+1), number: i,
			known: map[string]value{}, maybe: map[string][]value{}})
	}
	return c
}

// prepare makes the bucket, as the first native write does.
func (c *crew) prepare(t *testing.T) {
	t.Helper()
	w := c.writers[0]
	for _, err := range []error{w.d.nativePut(w.web, "first", nil), w.d.native(w.web, http.MethodDelete, "/delete/first", nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (c *crew) acknowledged() (n int) {
	for _, w := range c.writers {
		n += w.acks
	}
	return n
}

func (c *crew) interrupted() (n int) {
	for _, w := range c.writers {
		n += w.cuts
	}
	return n
}

// work lets all write until an error stops each, or stop is called. stop returns when all have ended.
func (c *crew) work() (stop func()) {
	var wg sync.WaitGroup
	var over atomic.Bool
	for _, w := range c.writers {
		wg.Go(func() {
			for !over.Load() {
				if !w.step() {
					return
				}
			}
		})
	}
	return func() {
		over.Store(true)
		wg.Wait()
	}
}

// step makes one random write. It reports whether the store acknowledged it.
func (w *writer) step() bool {
	key := fmt.Sprintf("crew %d/%d", w.number, w.choices.IntN(keysEach))
	if w.writes < journalMost && w.choices.IntN(3) == 0 {
		key = fmt.Sprintf("journal %d/%d", w.number, w.writes)
	}
	w.writes++
	next := value{write: w.writes}
	began := w.now()
	var err error
	switch dice := w.choices.IntN(100); {
	case dice < 15:
		next = value{}
		err = w.remove(key)
	case dice < 18:
		next.size, next.parts = minPart+w.choices.IntN(1<<20), true
		err = w.putParts(key, next.body(key))
	default:
		next.size = w.size()
		err = w.put(key, next.body(key))
	}
	if err != nil {
		if status := statusOf(err); status >= 400 && status < 500 {
			w.refused = append(w.refused, fmt.Errorf("%s: %w", key, err))
		}
		w.maybe[key] = append(w.maybe[key], next)
		w.acts = append(w.acts, act{key, next, began, -1})
		w.cuts++
		return false
	}
	w.acts = append(w.acts, act{key, next, began, w.now()})
	w.known[key] = next
	delete(w.maybe, key)
	w.acks++
	return true
}

// now is the moment, for acts.
func (w *writer) now() int {
	if w.moment == nil {
		return 0
	}
	return w.moment()
}

// size draws a size: mostly small, some that share a file, some with a file of their own.
func (w *writer) size() int {
	switch dice := w.choices.IntN(20); {
	case dice == 0:
		return 0
	case dice < 14:
		return w.choices.IntN(8 << 10)
	case dice < 19:
		return w.choices.IntN(200 << 10)
	}
	return 1<<20 + w.choices.IntN(1<<20)
}

// put and remove use the native API in half of the writers and S3 in the others.
func (w *writer) put(key string, body []byte) error {
	if w.number%2 == 0 {
		return w.d.nativePut(w.web, escape(key), body)
	}
	in := &s3.PutObjectInput{Bucket: aws.String(crewBucket), Key: &key, Body: bytes.NewReader(body), StorageClass: w.class}
	// What is known is the condition: a write that was lost, or came late, is refused.
	switch _, unsure := w.maybe[key]; {
	case unsure:
	case w.known[key].write == 0:
		in.IfNoneMatch = aws.String("*")
	default:
		in.IfMatch = aws.String(w.known[key].etag(w.known[key].body(key)))
	}
	_, err := w.s3.PutObject(context.Background(), in)
	return err
}

func (w *writer) remove(key string) error {
	if w.number%2 == 0 {
		err := w.d.native(w.web, http.MethodDelete, "/delete/"+escape(key), nil)
		if statusOf(err) == http.StatusNotFound && (w.known[key].write == 0 || len(w.maybe[key]) > 0) {
			return nil // the native API says that there was nothing to delete, which is right, or may be
		}
		return err
	}
	_, err := w.s3.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: aws.String(crewBucket), Key: &key})
	return err
}

func (w *writer) putParts(key string, body []byte) error {
	return uploadInTwo(context.Background(), w.s3, crewBucket, key, body)
}

// uploadInTwo writes a body as a multipart upload of two parts. Only the completion makes it an object.
func uploadInTwo(ctx context.Context, c *s3.Client, bucket, key string, body []byte) error {
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	var parts []types.CompletedPart
	for i, piece := range [][]byte{body[:minPart], body[minPart:]} {
		number := int32(i + 1)
		out, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId, PartNumber: &number, Body: bytes.NewReader(piece)})
		if err != nil {
			return err
		}
		parts = append(parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
	}
	_, err = c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	return err
}

// check reads everything back and compares it with what was acknowledged; what was interrupted may hold or not, and is
// known from then on. It compares the listing too.
func (c *crew) check(t *testing.T) {
	t.Helper()
	for _, err := range c.wrong(t.Context()) {
		t.Error(err)
	}
	for _, w := range c.writers {
		clear(w.maybe)
		for _, err := range w.refused {
			t.Errorf("writer %d was refused: %v", w.number, err)
		}
	}
	if err := c.misListed(t); err != nil {
		t.Error(err)
	}
}

// wrong reads back what each writer knows, and returns what is not as it should be.
func (c *crew) wrong(ctx context.Context) []error {
	var mu sync.Mutex // guards errs
	var errs []error
	var wg sync.WaitGroup
	for _, w := range c.writers {
		wg.Go(func() {
			for key := range w.keys() {
				if err := w.verify(ctx, key); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return errs
}

// misListed returns how the listing differs from what the writers know; nil where it does not.
func (c *crew) misListed(t *testing.T) error {
	t.Helper()
	got, want := listAll(t, c.writers[0].s3, crewBucket), c.holds()
	if slices.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("the listing has %d keys, %d objects are there: missing %q, too many %q", len(got), len(want), without(want, got), without(got, want))
}

// keys are those that something is known of.
func (w *writer) keys() map[string]bool {
	keys := map[string]bool{}
	for key := range w.known {
		keys[key] = true
	}
	for key := range w.maybe {
		keys[key] = true
	}
	return keys
}

// holds returns the keys that hold objects, in order.
func (c *crew) holds() []string {
	var keys []string
	for _, w := range c.writers {
		for key, v := range w.known {
			if v.write != 0 {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// verify compares one key with what it may hold, and is sure from then on.
func (w *writer) verify(ctx context.Context, key string) error {
	candidates := append([]value{w.known[key]}, w.maybe[key]...)
	out, err := w.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(crewBucket), Key: &key})
	var got []byte
	switch {
	case statusOf(err) == http.StatusNotFound:
	case err != nil:
		return fmt.Errorf("%s: %w; it should hold %v", key, err, candidates)
	default:
		got, err = io.ReadAll(out.Body)
		if err := errors.Join(err, out.Body.Close()); err != nil {
			return fmt.Errorf("%s: after %d bytes: %w; it should hold %v", key, len(got), err, candidates)
		}
	}
	for _, v := range candidates {
		if body := v.body(key); out == nil && v.write == 0 || out != nil && v.write != 0 && bytes.Equal(got, body) {
			if out != nil && aws.ToString(out.ETag) != v.etag(body) {
				return fmt.Errorf("%s: ETag %s, want %s", key, aws.ToString(out.ETag), v.etag(body))
			}
			w.known[key] = v
			return nil
		}
	}
	if out == nil {
		return fmt.Errorf("%s: no object; it should hold %v", key, candidates)
	}
	return fmt.Errorf("%s: %d bytes of SHA-256 %s; it should hold %v", key, len(got), sha(got), candidates)
}

// without returns what is in a and not in b, which is ordered; at most ten.
func without(a, b []string) []string {
	var d []string
	for _, s := range a {
		if _, found := slices.BinarySearch(b, s); !found && len(d) < 10 {
			d = append(d, s)
		}
	}
	return d
}

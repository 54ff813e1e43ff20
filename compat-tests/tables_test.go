package compattests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	tableWriters = 6
	tableCommits = 12 // of each writer
)

// tableWriter commits to a table as the writers of lakehouse formats do. Now and then it is cut off in the middle of a
// request and goes on without knowing what became of it, as a process that was killed and started again.
type tableWriter struct {
	c       *s3.Client
	bucket  string
	name    string
	choices *rand.Rand
	cutOff  int // requests whose outcome it did not learn
	lost    int // races that it lost
}

// writeTable lets writers commit at the same time, kills the store in their midst and starts it again. Each writer calls
// commit until it has come through, once for each of its commits.
func writeTable(t *testing.T, d *deployment, b string, commit func(ctx context.Context, w *tableWriter, id string) error) {
	t.Helper()
	s, ctx := seed(t), t.Context()
	var group sync.WaitGroup
	writers := make([]*tableWriter, tableWriters)
	for i := range writers {
		w := &tableWriter{c: d.sdk(t), bucket: b, name: fmt.Sprint("writer", i), choices: newRand(s, uint64(i))}
		writers[i] = w
		group.Go(func() {
			for n := range tableCommits {
				if err := commit(ctx, w, fmt.Sprintf("%s/%d", w.name, n)); err != nil {
					t.Errorf("%s, commit %d: %v", w.name, n, err)
					return
				}
			}
		})
	}
	time.Sleep(150 * time.Millisecond) // somewhere among the commits; the moment is what varies
	d.front.kill(t)
	d.start(t)
	group.Wait()
	cut, lost := 0, 0
	for _, w := range writers {
		cut, lost = cut+w.cutOff, lost+w.lost
	}
	t.Logf("%d commits, %d races lost, %d requests without an answer", tableWriters*tableCommits, lost, cut)
}

// put stores an object under a condition. It reports whether this writer's body was stored; where the answer is missing,
// it reads what is there. A cut-off request may still be under way then, so it is only taken as failed once another body is
// there, or the same request was refused.
func (w *tableWriter) put(ctx context.Context, key, body, ifMatch string) (bool, error) {
	in := &s3.PutObjectInput{Bucket: &w.bucket, Key: &key}
	if ifMatch == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = &ifMatch
	}
	for range 400 {
		in.Body = strings.NewReader(body)
		attempt, cancel := ctx, context.CancelFunc(func() {})
		if w.choices.IntN(8) == 0 {
			attempt, cancel = context.WithTimeout(ctx, time.Duration(w.choices.IntN(3000))*time.Microsecond)
		}
		_, err := w.c.PutObject(attempt, in)
		cancel()
		switch status := statusOf(err); {
		case err == nil:
			return true, nil
		case status == 412 || status == 409 || status == 404:
			// Refused, or refused because an earlier attempt of ours came through after all.
			return w.holds(ctx, key, body)
		case status != 0 && status < 500:
			return false, err
		}
		w.cutOff++
		time.Sleep(5 * time.Millisecond)
	}
	return false, errors.New("the store did not come back")
}

// holds reports whether the object is there with the body.
func (w *tableWriter) holds(ctx context.Context, key, body string) (bool, error) {
	got, _, err := w.read(ctx, key)
	if statusOf(err) == 404 {
		return false, nil
	}
	if err == nil && got != body {
		w.lost++
	}
	return got == body, err
}

// read returns an object's body and ETag. It outlasts a restart of the store.
func (w *tableWriter) read(ctx context.Context, key string) (body, etag string, err error) {
	for range 400 {
		var out *s3.GetObjectOutput
		if out, err = w.c.GetObject(ctx, &s3.GetObjectInput{Bucket: &w.bucket, Key: &key}); err == nil {
			var b []byte
			if b, err = io.ReadAll(out.Body); err == nil {
				return string(b), aws.ToString(out.ETag), out.Body.Close()
			}
		}
		if status := statusOf(err); status != 0 && status < 500 && status != 200 {
			return "", "", err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return "", "", err
}

func deltaKey(version int) string { return fmt.Sprintf("table/_delta_log/%020d.json", version) }

// TestDeltaLog has writers append to a log whose entries are numbered objects, each made with "If-None-Match: *", as
// delta-rs does. In the end every commit is there once and the log has no gap.
//
// Covers: PutObject, GetObject, ListObjectsV2.
func TestDeltaLog(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c := d.sdk(t)
		b := bucket(t, c, "delta")
		writeTable(t, d, b, func(ctx context.Context, w *tableWriter, id string) error {
			next := 0
			for ; ; next++ {
				head, err := w.c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b, Prefix: aws.String("table/_delta_log/"), StartAfter: aws.String(deltaKey(next))})
				if err == nil { // else the writer finds out from the refusals
					next += int(aws.ToInt32(head.KeyCount))
				}
				if mine, err := w.put(ctx, deltaKey(next), id, ""); mine || err != nil {
					return err
				}
			}
		})
		keys := listAll(t, c, b)
		if len(keys) != tableWriters*tableCommits {
			t.Errorf("%d entries, want %d", len(keys), tableWriters*tableCommits)
		}
		seen := map[string]int{}
		for i, key := range keys {
			if key != deltaKey(i) {
				t.Fatalf("entry %d is %s: the log has a gap", i, key)
			}
			seen[string(get(t, c, b, key))]++
		}
		wantEachOnce(t, seen)
	})
}

// TestIcebergPointer has writers swing one pointer with If-Match, as catalogs on an object store do: each commit is a new
// metadata object that names its parent. In the end the chain from the pointer has every commit once.
//
// Covers: PutObject, GetObject.
func TestIcebergPointer(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c := d.sdk(t)
		b, pointer := bucket(t, c, "iceberg"), "table/metadata/current"
		put(t, c, b, pointer, []byte("root"))
		writeTable(t, d, b, func(ctx context.Context, w *tableWriter, id string) error {
			for attempt := 0; ; attempt++ {
				parent, etag, err := w.read(ctx, pointer)
				if err != nil {
					return err
				}
				key := fmt.Sprintf("table/metadata/%s-%d.json", id, attempt)
				if mine, err := w.put(ctx, key, id+"\n"+parent, ""); !mine || err != nil {
					return fmt.Errorf("a key of one's own: %v, %w", mine, err)
				}
				if mine, err := w.put(ctx, pointer, key, etag); err != nil {
					return err
				} else if mine || w.isAncestor(ctx, pointer, key) {
					return nil
				}
			}
		})
		seen, at := map[string]int{}, string(get(t, c, b, pointer))
		for ; at != "root" && len(seen) <= tableWriters*tableCommits; at = parentIn(get(t, c, b, at)) {
			id, _, _ := bytes.Cut(get(t, c, b, at), []byte("\n"))
			seen[string(id)]++
		}
		wantEachOnce(t, seen)
	})
}

func parentIn(metadata []byte) string {
	_, parent, _ := strings.Cut(string(metadata), "\n")
	return parent
}

// isAncestor reports whether a metadata object is in the chain: a swing whose answer was lost may have come through and
// been built upon since.
func (w *tableWriter) isAncestor(ctx context.Context, pointer, key string) bool {
	at, _, err := w.read(ctx, pointer)
	for err == nil && at != "root" && at != key {
		var metadata string
		metadata, _, err = w.read(ctx, at)
		at = parentIn([]byte(metadata))
	}
	return at == key
}

func wantEachOnce(t *testing.T, seen map[string]int) {
	t.Helper()
	for i := range tableWriters {
		for n := range tableCommits {
			if id := fmt.Sprintf("writer%d/%d", i, n); seen[id] != 1 {
				t.Errorf("commit %s is there %d times", id, seen[id])
			}
		}
	}
	if len(seen) != tableWriters*tableCommits {
		t.Errorf("%d different commits, want %d", len(seen), tableWriters*tableCommits)
	}
}

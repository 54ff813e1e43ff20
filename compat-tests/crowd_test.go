package compattests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// crowdBar is the most that a process may ever hold however many clients there are, in bytes.
const crowdBar = 200 << 20

// TestMemoryOfCrowds lets a crowd of clients put and get objects at the same time, all of which pause in the middle, in
// each way to keep objects. Where the store can not serve all of them within its memory, the others wait, or are told to
// come again, as clients do. TDKVS_CROWD is how many clients there are, TDKVS_CROWD_MIB the size of the objects.
//
// Covers: PutObject, GetObject.
func TestMemoryOfCrowds(t *testing.T) {
	clients, size := sizeFromEnv(t, "TDKVS_CROWD", 256), sizeFromEnv(t, "TDKVS_CROWD_MIB", 1)<<20
	for _, way := range []struct{ name, lines string }{
		{"one copy", ""},
		{"three copies", "replicas: 3\n"},
		{"4+2", codedLines},
	} {
		for _, kind := range []string{serverKind, clusterKind} {
			t.Run(way.name+", "+kind, func(t *testing.T) {
				d := startDeployment(t, kind, settings{volumes: codedVolumes, lines: way.lines, garbageGrace: time.Second})
				(&throng{d: d, clients: clients, body: content("body", size)}).run(t)
			})
		}
	}
}

// throng is a crowd of clients of one store.
type throng struct {
	d       *deployment
	clients int
	body    []byte
	bucket  string
	c       *s3.Client
	web     *http.Client
	again   atomic.Int64 // requests that were repeated
}

// errBusy is the answer of a store that has too much to do.
var errBusy = errors.New(http.StatusText(http.StatusServiceUnavailable))

// insist repeats what the store was too busy for, as the SDKs do.
func (c *throng) insist(do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		if !errors.Is(err, errBusy) || attempt == 5 {
			return err
		}
		c.again.Add(1)
		time.Sleep(time.Duration(attempt) * crowdPause)
	}
}

func (c *throng) run(t *testing.T) {
	c.c, c.web = c.d.sdk(t), c.d.httpClient(t, c.clients)
	c.bucket = bucket(t, c.c, "crowd")
	for _, phase := range []struct {
		name string
		each func(t *testing.T, key string) error
	}{
		{"puts, each with a pause", c.put},
		{"gets, each with a pause", c.get},
	} {
		began := time.Now()
		var done sync.WaitGroup
		for i := range c.clients {
			done.Go(func() {
				if err := c.insist(func() error { return phase.each(t, fmt.Sprint("body ", i%64)) }); err != nil {
					t.Errorf("%s: client %d after %v: %v", phase.name, i, time.Since(began).Round(time.Millisecond), err)
				}
			})
		}
		done.Wait()
		t.Logf("%d %s: %v, %d came again", c.clients, phase.name, time.Since(began).Round(time.Millisecond), c.again.Swap(0))
		c.d.checkMemory(t, crowdBar)
	}
}

// crowdPause is how long each client does nothing, in the middle.
const crowdPause = time.Second

// put sends a body, and pauses before its last byte.
func (c *throng) put(t *testing.T, key string) error {
	signed, err := s3.NewPresignClient(c.c).PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &c.bucket, Key: aws.String(key)})
	if err != nil {
		return err
	}
	goOn := make(chan struct{})
	slow := &pausingReader{rest: c.body, pause: len(c.body) - 1, goOn: goOn, paused: func() {
		time.AfterFunc(crowdPause, func() { close(goOn) })
	}}
	return putSlowly(c.web, signed.URL, slow, len(c.body))
}

// get asks for a body, and pauses before it reads any of it.
func (c *throng) get(t *testing.T, key string) error {
	signed, err := s3.NewPresignClient(c.c).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: aws.String(key)})
	if err != nil {
		return err
	}
	resp, err := c.web.Get(signed.URL)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	if resp.StatusCode == http.StatusServiceUnavailable {
		return errBusy
	}
	time.Sleep(crowdPause)
	same := &comparing{rest: c.body}
	if _, err := io.Copy(same, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || len(same.rest) > 0 {
		return fmt.Errorf("%s, %d bytes are missing", resp.Status, len(same.rest))
	}
	return nil
}

// comparing is a writer that takes what it has to be, and nothing else.
type comparing struct{ rest []byte }

func (c *comparing) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(c.rest, p) {
		return 0, fmt.Errorf("wrong bytes, or too many, %d before the end", len(c.rest))
	}
	c.rest = c.rest[len(p):]
	return len(p), nil
}

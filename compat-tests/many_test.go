package compattests

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestManySmallObjects stores many objects of 1 KiB through the native API, and checks what that costs: files on disk,
// memory, and the time to become ready again.
func TestManySmallObjects(t *testing.T) {
	count := sizeFromEnv(t, "TDKVS_MANY_OBJECTS", 5000)
	eachDeployment(t, func(t *testing.T, d *deployment) {
		before := countFiles(t, d.dir)
		d.storeMany(t, count)
		files := countFiles(t, d.dir) - before
		t.Logf("%d objects took %d files", count, files)
		if files > 100+count/1000 {
			t.Errorf("%d objects took %d files", count, files)
		}
		d.checkMemory(t, 512<<20)
		for _, way := range []struct {
			name string
			end  func(t testing.TB)
		}{{"an orderly stop", d.stop}, {"SIGKILL", d.killAll}} {
			way.end(t)
			took := d.start(t)
			t.Logf("ready %v after a start that follows %s", took.Round(time.Millisecond), way.name)
			if took > 10*time.Second {
				t.Errorf("ready only after %v", took)
			}
		}
		d.checkMany(t, count)
		d.checkMemory(t, 512<<20)
	})
}

func manyKey(i int) string  { return fmt.Sprintf("many/%02x/%07d", i%256, i) }
func manyBody(i int) []byte { return content(fmt.Sprint("many", i), 1<<10) }

// storeMany stores the objects with 64 writers and logs the rate and the latencies.
func (d *deployment) storeMany(t testing.TB, count int) {
	t.Helper()
	const writers = 64
	web := d.httpClient(t, writers)
	latencies := make([]time.Duration, count)
	began := time.Now()
	mustTogether(t, writers, count, func(i int) {
		start := time.Now()
		if err := d.nativePut(web, manyKey(i), manyBody(i)); err != nil {
			t.Errorf("object %d: %v", i, err)
			return
		}
		latencies[i] = time.Since(start)
	})
	took := time.Since(began)
	slices.Sort(latencies)
	t.Logf("%d durable PUTs of 1 KiB by %d writers: %.0f objects/s, p50 %v, p99 %v", count, writers, float64(count)/took.Seconds(),
		latencies[count/2].Round(10*time.Microsecond), latencies[count*99/100].Round(10*time.Microsecond))
}

// nativePut stores a value through the native API. Any error means that it was not acknowledged.
func (d *deployment) nativePut(c *http.Client, key string, body []byte) error {
	return d.native(c, http.MethodPut, "/set/"+key, body)
}

// native sends a request that has no answer to speak of to the native API.
func (d *deployment) native(c *http.Client, method, path string, body []byte) error {
	req, err := http.NewRequest(method, d.url()+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(d.accessKey, d.secretKey)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end
	if resp.StatusCode/100 != 2 {
		return &refusal{resp.StatusCode, string(window(text, 0))}
	}
	return err
}

// checkMany lists all objects and reads a sample of them.
func (d *deployment) checkMany(t testing.TB, count int) {
	t.Helper()
	c, listed := d.sdk(t), 0
	for pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: aws.String("kv")}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		listed += len(page.Contents)
	}
	if listed != count {
		t.Errorf("listed %d objects of %d", listed, count)
	}
	for i := 0; i < count; i += max(1, count/300) {
		sameBytes(t, manyKey(i), get(t, c, "kv", manyKey(i)), manyBody(i))
	}
}

// killAll ends all processes with SIGKILL.
func (d *deployment) killAll(t testing.TB) {
	t.Helper()
	for _, p := range d.processes() {
		p.kill(t)
	}
}

func countFiles(t testing.TB, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(_ string, _ os.DirEntry, err error) error {
		n++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

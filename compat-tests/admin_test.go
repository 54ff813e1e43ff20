package compattests

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// admin runs the admin command against the deployment and returns its exit code and output.
func (d *deployment) admin(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	p := &process{
		name: "tdkvs admin " + strings.Join(args, " "), args: append([]string{"admin"}, args...), logFile: filepath.Join(t.TempDir(), "log"),
		env: []string{"TDKVS_ENDPOINT=" + d.url(), "TDKVS_ACCESS_KEY=" + d.accessKey, "TDKVS_SECRET_KEY=" + d.secretKey},
	}
	p.args = append(p.args, "-region", region)
	p.start(t)
	code = p.wait(t, 3*time.Minute)
	p.checkLog(t)
	return code, p.log(t)
}

// mustAdmin runs the admin command and wants success.
func (d *deployment) mustAdmin(t *testing.T, args ...string) string {
	t.Helper()
	code, output := d.admin(t, args...)
	if code != 0 {
		t.Fatalf("admin %v: exit code %d\n%s", args, code, output)
	}
	return output
}

// adminDocument runs the admin command and decodes its JSON.
func adminDocument[T any](t *testing.T, d *deployment, args ...string) T {
	t.Helper()
	var doc T
	output := d.mustAdmin(t, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(output), &doc); err != nil {
		t.Fatalf("admin %v: %v\n%s", args, err, output)
	}
	return doc
}

type adminVolumes struct {
	Volumes []struct {
		Number               int
		State, Health, Error string
		Blobs                int
	}
}

type adminRebalance struct {
	Active bool
	Moved  int
}

type adminLocation struct {
	InPlace bool `json:"in_place"`
	Extents []struct {
		Pieces []struct{ Volume int }
	}
}

// readers read a set of objects over and over and compare their SHA-256.
type readers struct {
	s3     *s3.Client
	bucket string
	want   map[string]string // SHA-256 by key
	keys   []string
	reads  atomic.Int64
}

// work reads until stop is called, which returns when all have ended.
func (r *readers) work(t *testing.T, n int, seed uint64) (stop func()) {
	var over atomic.Bool
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			choices := newRand(seed, 100+uint64(i))
			for !over.Load() {
				r.read(t, r.keys[choices.IntN(len(r.keys))])
			}
		})
	}
	return func() { over.Store(true); wg.Wait() }
}

func (r *readers) read(t *testing.T, key string) {
	out, err := r.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &r.bucket, Key: &key})
	if err != nil {
		t.Errorf("read %s: %v", key, err)
		return
	}
	b, err := io.ReadAll(out.Body)
	if err := errors.Join(err, out.Body.Close()); err != nil {
		t.Errorf("read %s: after %d bytes: %v", key, len(b), err)
		return
	}
	if got := sha(b); got != r.want[key] {
		t.Errorf("read %s: SHA-256 %s, want %s", key, got, r.want[key])
	}
	r.reads.Add(1)
}

// TestVolumesComeAndGo grows and shrinks a cluster by the admin command while clients write, read and delete. None of them
// may notice.
func TestVolumesComeAndGo(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, clusterKind, settings{})
	c := d.sdk(t)
	bucket(t, c, "kept")
	r := &readers{s3: c, bucket: "kept", want: map[string]string{}}
	for i := range 260 {
		key, size := fmt.Sprintf("object %d", i), 100*i
		if i%13 == 0 {
			size = 1<<20 + i
		}
		body := content(key, size)
		put(t, c, "kept", key, body)
		r.keys, r.want[key] = append(r.keys, key), sha(body)
	}
	s := seed(t)
	crew := newCrew(t, d, s)
	crew.prepare(t)
	endReaders, endCrew := r.work(t, 2, s), crew.work()
	defer func() { endReaders(); endCrew() }() // also where the test ends early; again is no matter

	added := d.addVolume(t, "volume4")
	d.waitUp(t, added)
	if out := d.mustAdmin(t, "volume", "add", added, "-watch", "-interval", "200ms"); !strings.Contains(out, "volume 4 (") || !strings.Contains(out, "done: ") {
		t.Errorf("volume add: %s", out)
	}
	if v := adminDocument[adminVolumes](t, d, "volume", "ls").Volumes; len(v) != 4 || v[3].Blobs == 0 || v[3].Health != "ok" {
		t.Errorf("after the addition: %+v", v)
	}
	if out := d.mustAdmin(t, "volume", "delete", "2", "-watch", "-interval", "200ms"); !strings.Contains(out, "volume 2 has left the cluster") {
		t.Errorf("volume delete: %s", out)
	}
	d.cancelMidway(t, "1")

	endReaders()
	endCrew()
	if n := crew.interrupted(); n != 0 {
		t.Errorf("%d writes failed", n)
	}
	t.Logf("%d writes and %d reads meanwhile", crew.acknowledged(), r.reads.Load())
	for _, key := range r.keys {
		r.read(t, key)
	}
	crew.check(t)
	for i, key := range r.keys {
		if i%20 != 0 {
			continue // each is a process
		}
		l := adminDocument[adminLocation](t, d, "locate", "kept/"+key)
		if !l.InPlace || len(l.Extents) != 1 || l.Extents[0].Pieces[0].Volume == 2 {
			t.Errorf("%s: %+v", key, l)
		}
	}
	numbers := ""
	for _, v := range adminDocument[adminVolumes](t, d, "volume", "ls").Volumes {
		numbers += fmt.Sprintf("%d %s %s, ", v.Number, v.State, v.Health)
	}
	if want := "1 active ok, 3 active ok, 4 active ok, "; numbers != want {
		t.Errorf("volumes %s, want %s", numbers, want)
	}
	if code, out := d.admin(t, "volume", "delete", "2"); code != 1 || !strings.Contains(out, "was deleted already") {
		t.Errorf("volume 2 again: exit code %d, %s", code, out)
	}
	// The next start has the list that is now: the volume that left is not on it.
	own := volumeURLs(t, d)
	d.front.stop(t)
	d.front.args = []string{"master", "-config=" + d.masterConfig(t, "afterwards", []string{own[0], own[2], added})}
	d.start(t)
	for _, key := range r.keys[:20] {
		r.read(t, key)
	}
}

// waitUp waits until a volume process answers.
func (d *deployment) waitUp(t *testing.T, url string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if up, _ := (&deployment{addr: strings.TrimPrefix(url, "http://")}).probe("/-/healthz"); up {
			return
		}
	}
	t.Fatalf("%s is not up", url)
}

// cancelMidway begins to delete a volume and changes its mind when some of it has moved.
func (d *deployment) cancelMidway(t *testing.T, volume string) {
	t.Helper()
	d.mustAdmin(t, "rebalance", "limit", "-rate", "1MiB")
	d.mustAdmin(t, "volume", "delete", volume)
	moved := false
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && !moved; {
		moved = adminDocument[adminRebalance](t, d, "rebalance", "status").Moved > 0
	}
	if !moved {
		t.Error("nothing has moved in a minute")
	}
	d.mustAdmin(t, "volume", "cancel", volume)
	d.mustAdmin(t, "rebalance", "limit", "-rate", "none")
	d.mustAdmin(t, "rebalance", "status", "-watch", "-interval", "200ms")
	if adminDocument[adminRebalance](t, d, "rebalance", "status").Active {
		t.Error("the rebalance has not ended")
	}
}

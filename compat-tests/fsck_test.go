package compattests

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// checkReport is what fsck says.
type checkReport struct {
	State  string
	Report struct {
		Clean             bool
		Blobs, Pieces     int
		Findings, Pending []struct {
			Kind  string
			Count int
		}
		Examples  []map[string]any
		Undecided int
		Unchecked []map[string]any
		Repairs   int
	}
}

// counts is the findings by kind.
func (r checkReport) counts() map[string]int {
	n := map[string]int{}
	for _, f := range r.Report.Findings {
		n[f.Kind] = f.Count
	}
	return n
}

// fsck checks the store and returns the exit code and the report.
func (d *deployment) fsck(t *testing.T, args ...string) (code int, r checkReport) {
	t.Helper()
	code, output := d.admin(t, append([]string{"fsck", "-interval", "50ms", "-o", "json"}, args...)...)
	if err := json.NewDecoder(strings.NewReader(output)).Decode(&r); err != nil {
		t.Fatalf("fsck: exit code %d, %v\n%s", code, err, output)
	}
	return code, r
}

// wantWhole waits until nothing waits to be moved or repaired, and wants that the store is whole then. A master that was
// killed leaves the blobs of the writes that were under way: at most orphans of them, which nothing names.
func (d *deployment) wantWhole(t *testing.T, orphans int) checkReport {
	t.Helper()
	var r checkReport
	for end := time.Now().Add(growTime); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		_, r = d.fsck(t)
		n := r.counts()
		if n["orphan"] <= orphans {
			delete(n, "orphan")
		}
		if len(n) > 0 || len(r.Report.Unchecked) > 0 {
			t.Fatalf("the store is not whole: %+v", r)
		}
		if len(r.Report.Pending) == 0 && r.Report.Undecided == 0 {
			return r
		}
	}
	t.Fatalf("something is still about to be put right: %+v", r)
	return r
}

// stillWhole checks what a test leaves, where it runs. Processes that were killed may leave orphans.
func (d *deployment) stillWhole(t *testing.T) {
	t.Helper()
	if t.Failed() || !d.front.alive() {
		return
	}
	orphans := 0
	for _, p := range d.processes() {
		if p.killed {
			orphans = math.MaxInt
		}
	}
	d.wantWhole(t, orphans)
}

// TestFsck: a store that is whole is clean, while it serves; what is then damaged behind its back is found.
//
// Covers: PutObject, CompleteMultipartUpload.
func TestFsck(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, clusterKind, settings{garbageGrace: 200 * time.Millisecond})
	crew := newCrew(t, d, seed(t))
	crew.prepare(t)
	stop := crew.work()
	for range 5 {
		if code, r := d.fsck(t, "-deep", "-rate", "none"); code != 0 || !r.Report.Clean {
			t.Errorf("under load: exit code %d, %+v", code, r)
		}
	}
	stop()
	c := d.sdk(t)
	bucket(t, c, "damaged")
	put(t, c, "damaged", "gone", bytes.Repeat([]byte("gone"), 1<<20))
	put(t, c, "damaged", "rotten", bytes.Repeat([]byte("rotten"), 1<<19))
	if r := d.wantWhole(t, 0); r.Report.Blobs == 0 || r.Report.Pieces == 0 {
		t.Errorf("nothing was looked at: %+v", r)
	}
	d.stop(t)
	gone, rotten := d.largeFile(t, "gonegone"), d.largeFile(t, "rottenrotten")
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(rotten)
	if err != nil {
		t.Fatal(err)
	}
	body[len(body)/2] ^= 1
	if err := os.WriteFile(rotten, body, 0o600); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	code, r := d.fsck(t, "-deep", "-rate", "none")
	n := r.counts()
	if code != 1 || n["missing"] != 1 || n["unreadable"] != 1 || n["corrupt"] != 1 || len(n) != 3 {
		t.Errorf("exit code %d, %+v", code, r)
	}
	for _, x := range r.Report.Examples {
		if want := map[string]string{"missing": "gone", "unreadable": "gone", "corrupt": "rotten"}[x["kind"].(string)]; x["bucket"] != "damaged" || x["key"] != want {
			t.Errorf("%+v", x)
		}
	}
}

// largeFile returns the only file of a volume that has this in it.
func (d *deployment) largeFile(t *testing.T, content string) (found string) {
	t.Helper()
	for _, dir := range d.dataDirs {
		err := filepath.Walk(filepath.Join(dir, "blobs"), func(name string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() {
				return err
			}
			b, err := os.ReadFile(name)
			if bytes.Contains(b, []byte(content)) {
				found = name
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found == "" {
		t.Fatalf("no file has %q", content)
	}
	return found
}

package compattests

import (
	"bytes"
	"encoding/json"
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

// wantWhole waits until nothing waits to be moved or repaired and, where the master was killed, what that has left was looked
// for, and wants that the store is whole then.
func (d *deployment) wantWhole(t *testing.T) checkReport {
	t.Helper()
	d.waitLookedOver(t)
	var r checkReport
	for end := time.Now().Add(growTime); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		var code int
		code, r = d.fsck(t)
		if len(r.counts()) > 0 || len(r.Report.Unchecked) > 0 {
			t.Fatalf("the store is not whole: %+v", r)
		}
		if len(r.Report.Pending) == 0 && r.Report.Undecided == 0 {
			if code != 0 || !r.Report.Clean {
				t.Fatalf("exit code %d of a check that has found nothing: %+v", code, r)
			}
			return r
		}
	}
	t.Fatalf("something is still about to be put right: %+v", r)
	return r
}

// leftovers is what the status says of the look for what a crash has left.
type leftovers struct {
	Left, Found, Excess int
	Trouble             string
}

// waitLookedOver waits until all volumes were looked over for what a crash has left.
func (d *deployment) waitLookedOver(t *testing.T) leftovers {
	t.Helper()
	var l leftovers
	for end := time.Now().Add(growTime); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		l = mustAdminGet[struct{ Leftovers leftovers }](t, d, "/cluster").Leftovers
		if l.Left == 0 {
			if l.Excess > 0 || l.Trouble != "" {
				t.Fatalf("leftovers: %+v", l)
			}
			return l
		}
	}
	t.Fatalf("the look for leftovers does not end: %+v", l)
	return l
}

// stillWhole checks what a test leaves, where it runs.
func (d *deployment) stillWhole(t *testing.T) {
	t.Helper()
	if !t.Failed() && d.front.alive() {
		d.wantWhole(t)
	}
}

// TestFsck: a store that is whole is clean, while it serves; what is then damaged behind its back is found.
//
// Covers: PutObject, CompleteMultipartUpload.
func TestFsck(t *testing.T) {
	t.Parallel()
	// Without a scrub, which would come before the second check or behind it.
	d := startDeployment(t, clusterKind, settings{garbageGrace: 200 * time.Millisecond, volumeLines: "scrub_rate: 0\n"})
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
	if r := d.wantWhole(t); r.Report.Blobs == 0 || r.Report.Pieces == 0 {
		t.Errorf("nothing was looked at: %+v", r)
	}
	d.leave("missing", "unreadable")
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
		err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() || !strings.Contains(name, "/blobs/") {
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

package compattests

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fsckStopped checks a store that does not run, of which nothing may change by that.
func (d *deployment) fsckStopped(t testing.TB, args ...string) (code int, r checkReport, output string) {
	t.Helper()
	p := &process{name: "tdkvs fsck", args: append([]string{"fsck", "-o", "json"}, args...), logFile: filepath.Join(d.dir, "fsck-"+randomHex(4)+".log")}
	p.args = append(p.args, d.front.args[1]) // -config
	switch {
	case d.kind == serverKind:
		p.args = append(p.args, d.front.args[4:]...) // behind -listen
	case !slices.Contains(args, "-apply"):
		for _, v := range slices.Concat(d.volumes, d.added) {
			p.args = append(p.args, v.setting(t, "path"))
		}
	}
	p.start(t)
	code = p.wait(t, 3*time.Minute)
	p.checkLog(t)
	output = p.log(t)
	// A failure has no document, and a repair has two, of which the last counts. There may be lines of the log around them.
	for rest := "\n" + output; ; {
		_, document, found := strings.Cut(rest, "\n{\n")
		var next checkReport
		if !found || json.NewDecoder(strings.NewReader("{\n"+document)).Decode(&next) != nil {
			return code, r, output
		}
		r, rest = next, document
	}
}

// setting returns a setting of the configuration file of a process.
func (p *process) setting(t testing.TB, name string) string {
	t.Helper()
	_, file, _ := strings.Cut(p.args[1], "=")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return value
		}
	}
	t.Fatalf("%s has no %s", file, name)
	return ""
}

// leave says that a test leaves findings of these kinds, on purpose, in the store
// that it ends with.
func (d *deployment) leave(kinds ...string) { d.left = append(d.left, kinds...) }

// leaveUnchecked says that a test leaves a store that can not be checked: why goes to its
// log.
func (d *deployment) leaveUnchecked(why string) { d.unchecked = why }

// wantWholeStopped ends every test with a deployment: the store that it leaves, stopped, is
// as it should be, but for what the test says that it leaves. The blobs of writes that were
// under way when the front was killed are not: the next start looks for them.
func (d *deployment) wantWholeStopped(t testing.TB) {
	t.Helper()
	if t.Failed() || !d.served || t.Skipped() {
		return
	}
	if d.unchecked != "" {
		t.Logf("the store that is left is not checked: %s", d.unchecked)
		return
	}
	code, r, output := d.fsckStopped(t)
	left := d.left
	if d.front.killed {
		left = append(left, "orphan")
		r.Report.Undecided = 0
	}
	for kind := range r.counts() {
		if !slices.Contains(left, kind) {
			t.Errorf("the store that is left has findings: exit code %d\n%s", code, output)
			return
		}
	}
	if r.State != "done" || len(r.Report.Unchecked) > 0 || r.Report.Undecided > 0 || code != 0 && len(left) == 0 {
		t.Errorf("the store that is left can not be checked: exit code %d\n%s", code, output)
	}
}

// TestFsckRepairs: what is damaged in a store of two copies, while it is stopped, is found by the check of a
// stopped store, which changes nothing; and repaired by that of a store that serves, while clients write.
//
// Covers: PutObject, CompleteMultipartUpload, GetObject.
func TestFsckRepairs(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{serverKind, clusterKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := settings{garbageGrace: 200 * time.Millisecond, volumes: 3, lines: "replicas: 2\n"}
			if kind == clusterKind {
				s.volumeLines = "scrub_rate: 0\n"
			} else {
				s.lines += "scrub_rate: 0\n"
			}
			d := startDeployment(t, kind, s)
			crew := newCrew(t, d, seed(t))
			crew.prepare(t)
			stop := crew.work()
			c := d.sdk(t)
			bucket(t, c, "damaged")
			for _, name := range []string{"gone", "rotten"} {
				put(t, c, "damaged", name, bytes.Repeat([]byte(name), 1<<19))
			}
			stop()
			d.wantWhole(t)
			d.stop(t)
			d.damage(t, "gone", "rotten")
			code, r, output := d.fsckStopped(t, "-deep", "-repair")
			if n := r.counts(); code != 1 || n["missing"] != 1 || n["corrupt"] != 1 || len(n) != 2 {
				t.Fatalf("exit code %d\n%s", code, output)
			}
			if kind == serverKind {
				code, r, output = d.fsckStopped(t, "-deep", "-repair", "-apply")
				if code != 0 || !r.Report.Clean {
					t.Fatalf("repaired while it is stopped: exit code %d\n%s", code, output)
				}
			}
			d.start(t)
			stop = crew.work()
			if kind == clusterKind {
				output := d.mustAdmin(t, "fsck", "-deep", "-rate=none", "-repair", "-apply", "-watch", "-interval=50ms")
				if !strings.Contains(output, "make it anew") {
					t.Error(output)
				}
			}
			stop()
			crew.check(t)
			for _, name := range []string{"gone", "rotten"} {
				if got := get(t, c, "damaged", name); !bytes.Equal(got, bytes.Repeat([]byte(name), 1<<19)) {
					t.Errorf("%s has %d bytes", name, len(got))
				}
			}
			if code, r := d.fsck(t, "-deep", "-rate=none"); code != 0 {
				t.Errorf("exit code %d, %+v", code, r)
			}
		})
	}
}

// damage removes the file of one object and flips a bit in that of another.
func (d *deployment) damage(t *testing.T, gone, rotten string) {
	t.Helper()
	if err := os.Remove(d.largeFile(t, gone+gone)); err != nil {
		t.Fatal(err)
	}
	file := d.largeFile(t, rotten+rotten)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

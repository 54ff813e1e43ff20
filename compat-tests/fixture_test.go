package compattests

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Fixtures are data directories that builds of the past have made, with a manifest of what must be read back from
// them: testdata/fixtures/<name>-<kind>.tar.gz and .json.gz. `make fixture` makes those of today's formats.
const fixtureDir = "testdata/fixtures"

// fixtureLines are the settings of the stores in fixtures.
const fixtureLines = "garbage_grace: 10m\nstorage_classes:\n  STANDARD_IA: {code: 2+1, min_size: 4KiB}\n"

// fixtureSettings are those of the store of a fixture of either kind, with its data in dir.
func fixtureSettings(t testing.TB, kind, dir string) settings {
	t.Helper()
	s := settings{dir: t.TempDir(), data: dir, volumes: 3, lines: fixtureLines}
	if kind == clusterKind {
		s.volumes = 4
		s.lines += "replicas: 2\n"
	}
	return s
}

// TestFixtures opens what builds of the past have left, reads everything back, checks it, and goes on to work with it.
func TestFixtures(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob(filepath.Join(fixtureDir, "*.tar.gz"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("fixtures: %q, %v", archives, err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".tar.gz"), func(t *testing.T) {
			t.Parallel()
			openFixture(t, archive)
		})
	}
}

// TestFixtureOfThisBuild makes a fixture, as `make fixture` does, and opens it. TDKVS_FIXTURE, where set, is the name that
// it is kept under.
func TestFixtureOfThisBuild(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{serverKind, clusterKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if name := os.Getenv("TDKVS_FIXTURE"); name != "" {
				dir = fixtureDir
				kind = name + "-" + kind
			}
			archive := filepath.Join(dir, kind+".tar.gz")
			makeFixture(t, archive)
			openFixture(t, archive)
		})
	}
}

// kindOf is the kind of store that is in an archive.
func kindOf(archive string) string {
	if strings.HasSuffix(archive, clusterKind+".tar.gz") {
		return clusterKind
	}
	return serverKind
}

// openFixture unpacks a fixture, opens it and compares.
func openFixture(t *testing.T, archive string) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xzf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v\n%s", err, out)
	}
	d := startDeployment(t, kindOf(archive), fixtureSettings(t, kindOf(archive), dir))
	want := readManifest(t, archive)
	compareReadings(t, want, d.crawl(t))
	d.useFixture(t)
	d.wantWhole(t)
	if d.kind == serverKind { // in a cluster a volume has left meanwhile, which is still on its list
		d.stop(t)
		d.start(t)
	}
	if code, r := d.fsck(t, "-deep", "-rate", "none"); code != 0 || !r.Report.Clean {
		t.Errorf("after it was written to: exit code %d, %+v", code, r)
	}
}

func compareReadings(t *testing.T, want, got []reading) {
	t.Helper()
	if len(want) < 100 {
		t.Fatalf("the manifest has %d readings only", len(want))
	}
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			t.Fatalf("too much: %+v", got[i])
		case i >= len(got):
			t.Fatalf("missing: %+v", want[i])
		case !want[i].equal(got[i]):
			t.Fatalf("\n got %+v\nwant %+v", got[i], want[i])
		}
	}
}

// manifestOf is the file beside an archive that says what is in it.
func manifestOf(archive string) string { return strings.TrimSuffix(archive, ".tar.gz") + ".json.gz" }

func readManifest(t *testing.T, archive string) []reading {
	t.Helper()
	f, err := os.Open(manifestOf(archive))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // read only
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var readings []reading
	if err := json.NewDecoder(z).Decode(&readings); err != nil {
		t.Fatal(err)
	}
	return readings
}

func writeManifest(t *testing.T, archive string, readings []reading) {
	t.Helper()
	f, err := os.Create(manifestOf(archive))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	enc := json.NewEncoder(z)
	enc.SetIndent("", " ")
	for _, err := range []error{enc.Encode(readings), z.Close(), f.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// useFixture goes on with what was in progress, and writes.
func (d *deployment) useFixture(t *testing.T) {
	t.Helper()
	c := d.sdk(t)
	for _, name := range d.bucketNames(t) {
		put(t, c, name, "written later", []byte(name))
		if got := string(get(t, c, name, "written later")); got != name {
			t.Errorf("%s: %q was written and %q is there", name, name, got)
		}
		for _, up := range d.uploadsIn(t, name) {
			d.goOn(t, name, up)
		}
	}
	if d.kind != clusterKind {
		return
	}
	d.mustAdmin(t, "rebalance", "resume")
	d.waitRebalanced(t)
	volumes := mustAdminGet[adminVolumes](t, d, "/volumes").Volumes
	for _, v := range volumes {
		if v.State != "active" || len(volumes) != 3 {
			t.Errorf("the volume that was being deleted is still there: %+v", volumes)
		}
	}
}

// makeFixture makes a store of everything that there is to keep, and packs it.
func makeFixture(t *testing.T, archive string) {
	t.Helper()
	dir := t.TempDir()
	d := startDeployment(t, kindOf(archive), fixtureSettings(t, kindOf(archive), dir))
	d.fill(t)
	d.stop(t) // so that there are both ends of a log: an orderly one, and below the other
	d.start(t)
	d.change(t)
	readings := d.crawl(t)
	for _, p := range d.processes() {
		p.kill(t)
	}
	writeManifest(t, archive, readings)
	// Most of it is space taken in advance.
	args := []string{"--sparse", "--hole-detection=raw", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-czf", archive, "-C", dir, "."}
	if out, err := exec.Command("tar", args...).CombinedOutput(); err != nil {
		t.Fatalf("pack: %v\n%s", err, out)
	}
	info, err := os.Stat(archive)
	if err != nil || info.Size() > 800<<10 {
		t.Errorf("the fixture is of %d bytes, %v", info.Size(), err)
	}
	t.Logf("%d bytes, %d readings, %v", info.Size(), len(readings), time.Now().UTC().Format(time.DateOnly))
}

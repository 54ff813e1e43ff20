package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tdkvs/gateway/adminapi"
)

// fsck runs the command.
func fsck(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"fsck"}, args...), envOf("GOMEMLIMIT", "", "GOGC", ""), &out, &errs)
	return code, out.String(), errs.String()
}

// fsckReports runs the command and decodes its documents.
func fsckReports(t *testing.T, args ...string) (code int, reports []adminapi.Check, stderr string) {
	t.Helper()
	code, stdout, stderr := fsck(t, append([]string{"-o", "json"}, args...)...)
	for d := json.NewDecoder(strings.NewReader(stdout)); ; {
		var c adminapi.Check
		err := d.Decode(&c)
		if errors.Is(err, io.EOF) {
			return code, reports, stderr
		}
		if err != nil {
			t.Fatalf("%v: %s\n%s", err, stdout, stderr)
		}
		reports = append(reports, c)
	}
}

// kinds are the findings of a report by kind.
func kinds(c adminapi.Check) map[string]uint64 {
	n := map[string]uint64{}
	if c.Report != nil {
		for _, f := range c.Report.Findings {
			n[f.Kind] = f.Count
		}
	}
	return n
}

// treeOf is all that lies below directories: contents and times.
func treeOf(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	for _, dir := range dirs {
		err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() {
				return err
			}
			b, err := os.ReadFile(name)
			tree[name] = fmt.Sprint(info.ModTime(), string(b))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// putLarge stores large objects, each with the name of its key in it.
func putLarge(t *testing.T, endpoint string, keys credentialsConfig, names ...string) {
	t.Helper()
	for _, name := range names {
		body := strings.Repeat(name, 1<<19)
		if code, text := native(t, http.MethodPut, endpoint+"/set/"+name, keys, strings.NewReader(body)); code/100 != 2 {
			t.Fatalf("set: %d %s", code, text)
		}
	}
}

// largeFile returns the file of a large object.
func largeFile(t *testing.T, name string, dirs ...string) string {
	t.Helper()
	for file, content := range treeOf(t, dirs...) {
		if strings.Contains(file, "/blobs/") && strings.Contains(content, name+name) {
			return file
		}
	}
	t.Fatalf("no file of %s", name)
	return ""
}

// TestFsckServer: the store of a server is checked when it is stopped, without a
// change to it; what was damaged is found, and repaired as far as that can be.
func TestFsckServer(t *testing.T) {
	t.Parallel()
	dirs := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	s := startRole(t, "server", "-listen=127.0.0.1:0", dirs[0], dirs[1])
	endpoint := "http://" + s.address(t)
	putLarge(t, endpoint, storedKeys(t, dirs[0]), "gone", "stays")
	if code, _, stderr := fsck(t, dirs...); code != exitFailed || !strings.Contains(stderr, `"tdkvs admin fsck"`) {
		t.Errorf("beside the server: exit %d, %s", code, stderr)
	}
	s.stop()
	before := treeOf(t, dirs...)
	if code, stdout, stderr := fsck(t, append(dirs, "-deep", "-watch")...); code != exitDone || !strings.Contains(stdout, "result     clean") {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	if !maps.Equal(before, treeOf(t, dirs...)) {
		t.Error("the check has changed something")
	}
	if err := os.Remove(largeFile(t, "gone", dirs...)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dirs[1], volumeDir, "notes"), []byte("who put this here?"), 0o600); err != nil {
		t.Fatal(err)
	}
	before = treeOf(t, dirs...)
	want := map[string]uint64{"missing": 1, "unreadable": 1, "unknown file": 1}
	code, reports, stderr := fsckReports(t, append(dirs, "-repair")...)
	if code != exitFailed || len(reports) != 1 || !maps.Equal(kinds(reports[0]), want) || !strings.Contains(stderr, "3 findings") || len(reports[0].Report.Remedies) != 3 {
		t.Errorf("exit %d: %+v %s", code, reports, stderr)
	}
	for _, f := range reports[0].Report.Examples {
		if f.Kind == "unknown file" && (f.Volume != 2 || !strings.Contains(f.Detail, "volume/notes") || f.Bytes != 18) {
			t.Errorf("%+v", f)
		}
	}
	if !maps.Equal(before, treeOf(t, dirs...)) {
		t.Error("the plan of a repair has changed something")
	}
	code, reports, stderr = fsckReports(t, append(dirs, "-repair", "-apply")...)
	if code != exitFailed || len(reports) != 2 || kinds(reports[1])["damaged"] != 1 || reports[0].Report.Repair != adminapi.CheckApply {
		t.Errorf("exit %d: %+v %s", code, reports, stderr)
	}
	s = startRole(t, "server", "-listen=127.0.0.1:0", dirs[0], dirs[1])
	if code, _ := native(t, http.MethodGet, "http://"+s.address(t)+"/get/stays", storedKeys(t, dirs[0]), nil); code != http.StatusOK {
		t.Errorf("what was whole can not be read: %d", code)
	}
}

// TestFsckMaster: the volumes of a stopped master are asked over the wire, or
// their directories are opened.
func TestFsckMaster(t *testing.T) {
	t.Parallel()
	var dirs, urls []string
	var volumes []*role
	for range 2 {
		dir := filepath.Join(t.TempDir(), "volume")
		file := writeFile(t, "volume.yaml", fmt.Sprintf("listen: 127.0.0.1:0\npath: %s\ncluster_secret: %s\n", dir, clusterSecret))
		v := startRole(t, "volume", "-config", file)
		volumes, dirs, urls = append(volumes, v), append(dirs, dir), append(urls, "http://"+v.address(t))
	}
	data := filepath.Join(t.TempDir(), "master")
	config := "-config=" + masterFile(t, data, clusterSecret, urls)
	m := startRole(t, "master", config)
	putLarge(t, "http://"+m.address(t), credentialsConfig{"abc", "12345678"}, "one", "two", "three")
	if code, _, stderr := fsck(t, config); code != exitFailed || !strings.Contains(stderr, `"tdkvs admin fsck"`) {
		t.Errorf("beside the master: exit %d, %s", code, stderr)
	}
	m.stop()
	before := treeOf(t, data)
	wantClean := func(args ...string) {
		t.Helper()
		code, reports, stderr := fsckReports(t, args...)
		if code != exitDone || len(reports) != 1 || !reports[0].Report.Clean || reports[0].Report.Blobs != 3 {
			t.Errorf("%q: exit %d: %+v %s", args, code, reports, stderr)
		}
	}
	wantClean(config)
	if code, _, stderr := fsck(t, config, dirs[0]); code != exitFailed || !strings.Contains(stderr, "in use") {
		t.Errorf("a directory that is in use: exit %d, %s", code, stderr)
	}
	volumes[0].stop()
	if code, reports, _ := fsckReports(t, config); code != exitFailed || len(reports) != 1 || len(reports[0].Report.Unchecked) != 1 {
		t.Errorf("without a volume: exit %d: %+v", code, reports)
	}
	wantClean(config, dirs[0])
	volumes[1].stop()
	wantClean(append(dirs, config)...)
	if !maps.Equal(before, treeOf(t, data)) {
		t.Error("the metadata has changed")
	}
	if code, _, stderr := fsck(t, config, "-repair", "-apply", dirs[0]); code != exitMisuse || !strings.Contains(stderr, "over the wire") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// TestFsckRefuses: what is no store, a store whose metadata is damaged, and flags
// that make no sense. No directory is made.
func TestFsckRefuses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	for _, flags := range [][]string{{}, {"-repair", "-apply"}} {
		if code, _, stderr := fsck(t, append(flags, dir)...); code != exitFailed || !strings.Contains(stderr, "holds no metadata") {
			t.Errorf("exit %d, %s", code, stderr)
		}
	}
	if isDir(dir) {
		t.Error("it has made the directory")
	}
	for flags, want := range map[string]string{
		"-apply": "goes with -repair", "-only=missing": "goes with -repair", "-repair -only=misssing": "no kind", "-o=xml": "want table or json",
		"-rate=fast": "-rate",
	} {
		if code, _, stderr := fsck(t, append(strings.Fields(flags), dir)...); code != exitMisuse || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %s", flags, code, stderr)
		}
	}
	s := startRole(t, "server", "-listen=127.0.0.1:0", dir)
	putLarge(t, "http://"+s.address(t), storedKeys(t, dir), "a")
	s.stop()
	tables, err := filepath.Glob(filepath.Join(dir, metadataDir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(tables[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := fsck(t, dir); code != exitFailed || !strings.Contains(stderr, filepath.Base(tables[0])) || !strings.Contains(stderr, "backup") {
		t.Errorf("a damaged table: exit %d, %s", code, stderr)
	}
}

// TestFsckForeignSegment: a volume that does not open is named, and the others are
// checked.
func TestFsckForeignSegment(t *testing.T) {
	t.Parallel()
	dirs := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	s := startRole(t, "server", "-listen=127.0.0.1:0", dirs[0], dirs[1])
	endpoint, keys := "http://"+s.address(t), storedKeys(t, dirs[0])
	for i := range 20 {
		if code, text := native(t, http.MethodPut, fmt.Sprint(endpoint, "/set/key", i), keys, strings.NewReader("small")); code/100 != 2 {
			t.Fatalf("set: %d %s", code, text)
		}
	}
	s.stop()
	segment := func(dir string) string { return filepath.Join(dir, volumeDir, "segments", "00000001.seg") }
	b, err := os.ReadFile(segment(dirs[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(segment(dirs[1]), b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, reports, stderr := fsckReports(t, dirs...)
	if code != exitFailed || len(reports) != 1 || kinds(reports[0])["segment"] != 1 || len(reports[0].Report.Unchecked) != 1 || reports[0].Report.Blobs == 0 {
		t.Errorf("exit %d: %+v %s", code, reports, stderr)
	}
}

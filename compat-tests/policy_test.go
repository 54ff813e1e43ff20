package compattests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// pieceLocation is what the tests read of "admin locate".
type pieceLocation struct {
	InPlace bool `json:"in_place"`
	Extents []struct {
		Part   int
		Size   int64
		Code   *struct{ Data, Parity int }
		Pieces []struct {
			Volume  int
			Blob    string
			InPlace bool `json:"in_place"`
		}
	}
}

// volumes are those that hold the pieces of an extent, in order.
func (l pieceLocation) volumes(extent int) []int {
	var at []int
	for _, p := range l.Extents[extent].Pieces {
		at = append(at, p.Volume)
	}
	slices.Sort(at)
	return at
}

// TestReplicasLive raises and lowers the number of copies, of the store and of a bucket, while it serves. The data
// follows, and every object reads all the time.
func TestReplicasLive(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, clusterKind, settings{garbageGrace: 1}) // 1 ns: at once
	c := d.sdk(t)
	bucket(t, c, "kept")
	r := &readers{s3: c, bucket: "kept", want: map[string]string{}}
	for i := range 40 {
		key := fmt.Sprintf("object %d", i)
		body := content(key, 200*i+((i%7)/6)<<20)
		put(t, c, "kept", key, body)
		r.keys, r.want[key] = append(r.keys, key), sha(body)
	}
	end := r.work(t, 1, seed(t))
	defer func() { end() }()
	wantCopies := func(what string, n int) {
		t.Helper()
		for i, key := range r.keys {
			if i%8 != 0 {
				continue // each is a process
			}
			l := adminDocument[pieceLocation](t, d, "locate", "kept/"+key)
			if at := l.volumes(0); !l.InPlace || len(slices.Compact(at)) != n {
				t.Errorf("%s: %s is on volumes %v, want %d of them; in place: %v", what, key, at, n, l.InPlace)
			}
		}
	}
	wantCopies("at first", 1)
	if out := d.mustAdmin(t, "replicas", "2", "--watch", "--interval", "100ms"); !strings.Contains(out, "2 copies of everything") || !strings.Contains(out, "done: 40 pieces") {
		t.Errorf("replicas 2: %s", out)
	}
	wantCopies("2 replicas", 2)
	put(t, c, "kept", "new", []byte("written with two"))
	if l := adminDocument[pieceLocation](t, d, "locate", "kept/new"); len(l.volumes(0)) != 2 {
		t.Errorf("a new object: %+v", l)
	}
	d.mustAdmin(t, "bucket", "replicas", "kept", "3", "-watch", "-interval=100ms")
	wantCopies("3 of the bucket", 3)
	// A restart changes nothing of it: the configuration does not say.
	end()
	d.front.stop(t)
	d.start(t)
	end = r.work(t, 1, seed(t))
	wantCopies("after a restart", 3)
	d.mustAdmin(t, "bucket", "replicas", "kept", "default", "-watch")
	wantCopies("2 again", 2)
	if code, out := d.admin(t, "replicas", "4"); code != 1 || !strings.Contains(out, "4 replicas need as many volumes, and 3 take data") {
		t.Errorf("replicas 4: exit code %d, %s", code, out)
	}
	end()
	for _, key := range r.keys {
		r.read(t, key)
	}
	if out := d.mustAdmin(t, "status"); !strings.Contains(out, "redundancy  2 copies\n") || !strings.Contains(out, "state       ready\n") {
		t.Errorf("status: %s", out)
	}
}

// TestStorageClasses stores objects in classes of the configuration, with the aws CLI as anybody would.
func TestStorageClasses(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, clusterKind, settings{volumes: 6, lines: "storage_classes:\n  STANDARD_IA: 4+2\n  COLD_1: {code: 2+1, min_size: 4MiB}\n"})
	a := d.awsCLI(t)
	c := d.sdk(t)
	bucket(t, c, "classes")
	const size = 8 << 20
	file := contentFile(t, a.dir, "eight", size)
	a.s3(t, "cp", file, "s3://classes/coded", "--storage-class", "STANDARD_IA")
	a.s3(t, "cp", file, "s3://classes/plain")
	put(t, c, "classes", "small", nil)
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: new("classes"), Key: new("cold"), StorageClass: types.StorageClass("COLD_1"), Body: strings.NewReader(strings.Repeat("c", 5<<20))}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: new("classes"), Key: new("small"), StorageClass: types.StorageClassStandardIa, Body: strings.NewReader("small")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: new("classes"), Key: new("bad"), StorageClass: types.StorageClass("COLD_2"), Body: strings.NewReader("x")}); statusOf(err) != 400 {
		t.Errorf("a class that is none: %v", err)
	}
	for _, tt := range []struct {
		key              string
		data, parity, on int
	}{{"coded", 4, 2, 6}, {"cold", 2, 1, 3}, {"plain", 0, 0, 1}, {"small", 0, 0, 3}} {
		l := adminDocument[pieceLocation](t, d, "locate", "classes/"+tt.key)
		if !l.InPlace || len(l.Extents) == 0 {
			t.Errorf("%s: %+v", tt.key, l)
			continue
		}
		for i, x := range l.Extents {
			coded := x.Code != nil
			if coded != (tt.data > 0) || coded && (x.Code.Data != tt.data || x.Code.Parity != tt.parity) || len(slices.Compact(l.volumes(i))) != tt.on {
				t.Errorf("%s: extent %d: %+v", tt.key, i, x)
			}
		}
	}
	if out := d.mustAdmin(t, "locate", "classes/coded"); !strings.Contains(out, "shard 6 of 4+2") {
		t.Errorf("locate: %s", out)
	}
	a.s3(t, "cp", "s3://classes/coded", filepath.Join(a.dir, "back"))
	if got, want := shaOfFile(t, filepath.Join(a.dir, "back")), shaOfFile(t, file); got != want {
		t.Errorf("coded: SHA-256 %s, want %s", got, want)
	}
	if out := d.mustAdmin(t, "status"); !strings.Contains(out, "COLD_1 2+1 from 4.0 MiB on; STANDARD_IA 4+2 from 1.0 MiB on") {
		t.Errorf("status: %s", out)
	}
}

// TestDirectoryLeaves deletes a directory of a server while it serves. The next start must not name it, and says so.
func TestDirectoryLeaves(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, serverKind, settings{})
	c := d.sdk(t)
	bucket(t, c, "kept")
	for i := range 30 {
		put(t, c, "kept", fmt.Sprint(i), content(fmt.Sprint("kept", i), 1000*i))
	}
	if out := d.mustAdmin(t, "volume", "delete", "2", "--watch", "--interval", "100ms"); !strings.Contains(out, "volume 2 has left the cluster") {
		t.Errorf("volume delete: %s", out)
	}
	d.front.stop(t)
	args := d.front.args
	again := &process{name: "server with the deleted directory", args: args, env: d.front.env, logFile: filepath.Join(d.dir, "again.log")}
	again.start(t)
	if code := again.wait(t, time.Minute); code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, text := range []string{d.dataDirs[1], "which was deleted from this cluster", "take it off the list", "Nothing was changed"} {
		if !strings.Contains(again.log(t), text) {
			t.Errorf("the refusal does not say %q:\n%s", text, again.log(t))
		}
	}
	d.front.args = args[:len(args)-1]
	if err := os.RemoveAll(d.dataDirs[1]); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	for i := range 30 {
		sameBytes(t, "with one directory", get(t, c, "kept", fmt.Sprint(i)), content(fmt.Sprint("kept", i), 1000*i))
	}
}

package compattests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Covers: CreateBucket, ListBuckets, PutObject, GetObject, ListObjects, DeleteObjects.
func TestS3cmd(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		dir := t.TempDir()
		config := filepath.Join(dir, "s3cfg")
		text := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nbucket_location = %s\n"+
			"use_https = False\nsignature_v2 = False\nmultipart_chunk_size_mb = 5\nmax_retries = 1\n", d.accessKey, d.secretKey, d.addr, d.addr, region)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s3cmd := func(args ...string) string {
			t.Helper()
			return string(tool{name: "s3cmd", args: append([]string{"-c", config, "--no-progress"}, args...), dir: dir}.run(t))
		}
		s3cmd("mb", "s3://commanded")
		if out := s3cmd("ls"); !strings.Contains(out, "s3://commanded") {
			t.Errorf("ls: %q", out)
		}
		for _, size := range []int64{0, 1000, 17 << 20} {
			path, back := contentFile(t, dir, fmt.Sprintf("f %d", size), size), filepath.Join(dir, "back")
			s3cmd("put", path, "s3://commanded/dir/f+%")
			s3cmd("get", "--force", "s3://commanded/dir/f+%", back)
			if got, want := shaOfFile(t, back), shaOfFile(t, path); got != want {
				t.Errorf("%d bytes: SHA-256 %s, want %s", size, got, want)
			}
		}
		if out := s3cmd("info", "s3://commanded/dir/f+%"); !strings.Contains(out, fmt.Sprint(17<<20)) {
			t.Errorf("info: %q", out)
		}
		s3cmd("cp", "s3://commanded/dir/f+%", "s3://commanded/copy")
		s3cmd("mv", "s3://commanded/copy", "s3://commanded/moved")
		if out := s3cmd("ls", "s3://commanded"); !strings.Contains(out, "s3://commanded/moved") || !strings.Contains(out, "DIR") || strings.Contains(out, "copy") {
			t.Errorf("ls: %q", out)
		}
		tree, back := sampleTree(t), filepath.Join(dir, "tree")
		s3cmd("sync", tree+"/", "s3://commanded/tree/")
		if err := os.Mkdir(back, 0o700); err != nil {
			t.Fatal(err)
		}
		s3cmd("sync", "s3://commanded/tree/", back+"/")
		sameTree(t, back, tree)
		s3cmd("del", "s3://commanded/moved")
		s3cmd("del", "--recursive", "--force", "s3://commanded/")
		s3cmd("rb", "s3://commanded")
	})
}

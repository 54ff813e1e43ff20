package compattests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rclone returns what runs an rclone command whose remote "store" is the store under test, and a folder of its own.
func (d *deployment) rclone(t testing.TB, provider string) (func(args ...string) tool, string) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "rclone.conf")
	text := fmt.Sprintf("[store]\ntype = s3\nprovider = %s\naccess_key_id = %s\nsecret_access_key = %s\nendpoint = %s\nregion = %s\n"+
		"force_path_style = true\nupload_cutoff = 8Mi\nchunk_size = 5Mi\n", provider, d.accessKey, d.secretKey, d.url(), region)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(args ...string) tool {
		return tool{name: "rclone", args: append([]string{"--config", config, "--retries", "1", "--low-level-retries", "1"}, args...), dir: dir}
	}, dir
}

// Covers: PutObject, GetObject, HeadObject, ListObjectsV2, DeleteObject.
func TestRclone(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		command, dir := d.rclone(t, "Other")
		rclone := func(args ...string) string { t.Helper(); return string(command(args...).run(t)) }
		tree, back := sampleTree(t), filepath.Join(dir, "back")
		contentFile(t, tree, "large/parts.bin", 21<<20) // above the cutoff: in parts
		rclone("mkdir", "store:cloned")
		rclone("copy", tree, "store:cloned/tree")
		rclone("check", "--download", tree, "store:cloned/tree")
		rclone("check", tree, "store:cloned/tree") // by ETag and recorded MD5
		rclone("copy", "store:cloned/tree", back)
		sameTree(t, back, tree)

		contentFile(t, tree, "notes.txt", 5000)
		contentFile(t, tree, "new/file", 77)
		if err := os.Remove(filepath.Join(tree, "one")); err != nil {
			t.Fatal(err)
		}
		rclone("sync", tree, "store:cloned/tree")
		rclone("sync", "store:cloned/tree", "store:cloned/second") // copied by the store
		rclone("sync", "store:cloned/second", back)
		sameTree(t, back, tree)
		if out := rclone("lsf", "-R", "--files-only", "store:cloned/second"); strings.Count(out, "\n") != len(treeOf(t, tree)) {
			t.Errorf("lsf: %q", out)
		}
		rclone("moveto", "store:cloned/tree/new/file", "store:cloned/tree/moved file")
		if out := rclone("cat", "store:cloned/tree/moved file"); out != string(content("new/file", 77)) {
			t.Errorf("cat: %q", out)
		}
		rclone("purge", "store:cloned")
		if out := rclone("lsd", "store:"); strings.Contains(out, "cloned") {
			t.Errorf("after purge: %q", out)
		}
	})
}

// TestRcloneFurther uses rclone as it uses MinIO, which lets it copy large objects in parts, and everything beyond the
// syncing of folders: hashes, streams, moves within the store, links, and old versions.
//
// Covers: PutObject, GetObject, HeadObject, CopyObject, ListObjectsV2, ListObjectVersions, PutBucketVersioning.
// Covers: GetBucketVersioning, ListMultipartUploads, AbortMultipartUpload, DeleteObject.
func TestRcloneFurther(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		command, dir := d.rclone(t, "Minio")
		rclone := func(args ...string) string { t.Helper(); return string(command(args...).run(t)) }
		tree := sampleTree(t)
		contentFile(t, tree, "large/parts.bin", 13<<20)
		rclone("mkdir", "store:further")
		rclone("sync", "--checksum", tree, "store:further/tree")
		rclone("check", "--download", tree, "store:further/tree")
		if got, want := sortedLines(rclone("hashsum", "MD5", "store:further/tree")), sortedLines(rclone("hashsum", "MD5", tree)); got != want {
			t.Errorf("hashes by the store:\n%s\nof the files:\n%s", got, want)
		}
		rclone("move", "store:further/tree", "store:further/moved") // copied and deleted by the store
		rclone("check", tree, "store:further/moved")
		if out := rclone("lsf", "-R", "--files-only", "store:further/tree"); out != "" {
			t.Errorf("left behind: %s", out)
		}
		if out := rclone("size", "store:further/moved"); !strings.Contains(out, fmt.Sprintf("Total objects: %d", len(treeOf(t, tree)))) {
			t.Errorf("size: %s", out)
		}
		for _, size := range []int{0, 1000, 11 << 20} {
			up := command("rcat", "store:further/stream")
			body := content("rcat", size)
			up.stdin = bytes.NewReader(body)
			up.run(t)
			sameBytes(t, "cat", command("cat", "store:further/stream").run(t), body)
		}
		sameBytes(t, "cat of a range", command("cat", "--offset", "1000", "--count", "500", "store:further/stream").run(t), content("rcat", 11<<20)[1000:1500])
		link := strings.TrimSpace(rclone("link", "--expire", "1m", "store:further/stream"))
		sameBytes(t, "by a link", call(t, d.httpClient(t, 1), "GET", link, nil).body, content("rcat", 11<<20))
		u := beginUpload(t, d.sdk(t), "further", "left behind")
		u.put(t, 1, content("part", 100))
		if out := rclone("backend", "list-multipart-uploads", "store:further"); !strings.Contains(out, u.id) {
			t.Errorf("uploads: %s", out)
		}
		rclone("backend", "cleanup", "-o", "max-age=0s", "store:further")
		if out := rclone("backend", "list-multipart-uploads", "store:further"); strings.Contains(out, u.id) {
			t.Errorf("uploads after cleanup: %s", out)
		}
		testRcloneVersions(t, command, dir)
		rclone("purge", "store:further")
	})
}

// testRcloneVersions writes a file twice and deletes it, sees all of that, reads the old version, and removes what is hidden.
func testRcloneVersions(t *testing.T, command func(args ...string) tool, dir string) {
	t.Helper()
	rclone := func(args ...string) string { t.Helper(); return string(command(args...).run(t)) }
	rclone("mkdir", "store:versioned")
	if out := rclone("backend", "versioning", "store:versioned", "Enabled"); !strings.Contains(out, "Enabled") {
		t.Errorf("versioning: %s", out)
	}
	for i := range 2 {
		contentFile(t, dir, "file.txt", int64(1000+i))
		rclone("copyto", filepath.Join(dir, "file.txt"), "store:versioned/file.txt")
	}
	rclone("deletefile", "store:versioned/file.txt")
	if out := rclone("lsf", "store:versioned"); out != "" {
		t.Errorf("listed after the delete: %s", out)
	}
	old := strings.Fields(rclone("--s3-versions", "lsf", "--format", "sp", "--separator", " ", "store:versioned"))
	if len(old) != 4 {
		t.Fatalf("versions: %q", old)
	}
	for i := 0; i < len(old); i += 2 {
		want := content("file.txt", 1001)
		if old[i] == "1000" {
			want = want[:1000]
		}
		sameBytes(t, old[i+1], []byte(rclone("--s3-versions", "cat", "store:versioned/"+old[i+1])), want)
	}
	rclone("backend", "cleanup-hidden", "store:versioned")
	if out := rclone("--s3-versions", "lsf", "store:versioned"); out != "" {
		t.Errorf("versions after cleanup: %s", out)
	}
	rclone("purge", "store:versioned")
}

func sortedLines(text string) string {
	return strings.Join(slices.Sorted(strings.Lines(text)), "")
}

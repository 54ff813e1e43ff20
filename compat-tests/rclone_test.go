package compattests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Covers: PutObject, GetObject, HeadObject, ListObjectsV2, DeleteObject.
func TestRclone(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		dir := t.TempDir()
		config := filepath.Join(dir, "rclone.conf")
		text := fmt.Sprintf("[store]\ntype = s3\nprovider = Other\naccess_key_id = %s\nsecret_access_key = %s\nendpoint = %s\nregion = %s\n"+
			"force_path_style = true\nupload_cutoff = 8Mi\nchunk_size = 5Mi\n", d.accessKey, d.secretKey, d.url(), region)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		rclone := func(args ...string) string {
			t.Helper()
			args = append([]string{"--config", config, "--retries", "1", "--low-level-retries", "1"}, args...)
			return string(tool{name: "rclone", args: args, dir: dir}.run(t))
		}
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

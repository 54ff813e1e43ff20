package compattests

import (
	"path/filepath"
	"strings"
	"testing"
)

// Covers: PutObject, GetObject, ListObjectsV2, DeleteObject.
func TestRestic(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		dir := t.TempDir()
		restic := func(args ...string) string {
			t.Helper()
			env := []string{"AWS_ACCESS_KEY_ID=" + d.accessKey, "AWS_SECRET_ACCESS_KEY=" + d.secretKey, "AWS_DEFAULT_REGION=" + region,
				"RESTIC_PASSWORD=of the test", "RESTIC_REPOSITORY=s3:" + d.url() + "/backups/host"}
			args = append([]string{"--cache-dir", filepath.Join(dir, "cache")}, args...)
			return string(tool{name: "restic", args: args, env: env, dir: dir}.run(t))
		}
		tree, back := sampleTree(t), filepath.Join(dir, "restored")
		restic("init") // makes the bucket too
		restic("backup", tree)
		contentFile(t, tree, "large/more.bin", 20<<20)
		contentFile(t, tree, "notes.txt", 9000)
		restic("backup", tree)
		restic("check", "--read-data")
		restic("restore", "latest", "--target", back)
		sameTree(t, filepath.Join(back, tree), tree)
		restic("forget", "--keep-last", "1", "--prune")
		restic("check", "--read-data")
		if out := restic("snapshots", "--json"); strings.Count(out, `"short_id"`) != 1 {
			t.Errorf("snapshots: %s", out)
		}
	})
}

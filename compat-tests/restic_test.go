package compattests

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// restic returns what runs a restic command on a repository in the store, and a folder of its own.
func (d *deployment) restic(t testing.TB, repository string) (func(args ...string) tool, string) {
	t.Helper()
	dir := t.TempDir()
	env := []string{"AWS_ACCESS_KEY_ID=" + d.accessKey, "AWS_SECRET_ACCESS_KEY=" + d.secretKey, "AWS_DEFAULT_REGION=" + region,
		"RESTIC_PASSWORD=of the test", "RESTIC_FROM_PASSWORD=of the test", "RESTIC_REPOSITORY=s3:" + d.url() + "/" + repository}
	return func(args ...string) tool {
		return tool{name: "restic", args: append([]string{"--cache-dir", filepath.Join(dir, "cache")}, args...), env: env, dir: dir}
	}, dir
}

// Covers: PutObject, GetObject, ListObjectsV2, DeleteObject.
func TestRestic(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		command, dir := d.restic(t, "backups/host")
		restic := func(args ...string) string { t.Helper(); return string(command(args...).run(t)) }
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

// TestResticRepositories copies snapshots between two repositories, backs up a stream, and goes on after a backup that was
// killed.
//
// Covers: PutObject, GetObject, HeadObject, ListObjectsV2, DeleteObject.
func TestResticRepositories(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		first, dir := d.restic(t, "backups/first")
		second, _ := d.restic(t, "other-bucket/deep/second")
		tree := sampleTree(t)
		first("init").run(t)
		if r := first("init").try(t); r.code == 0 {
			t.Error("a repository was made twice")
		}
		first("backup", "--tag", "one", tree).run(t)
		stream := first("backup", "--stdin", "--stdin-filename", "dump.sql", "--tag", "stream")
		stream.stdin = bytes.NewReader(content("dump", 9<<20))
		stream.run(t)
		sameBytes(t, "the stream, dumped", first("dump", "--tag", "stream", "latest", "/dump.sql").run(t), content("dump", 9<<20))
		killBackup(t, first)
		first("unlock", "--remove-all").run(t)
		first("backup", "--tag", "two", tree).run(t)
		if out := string(first("snapshots", "--json").run(t)); strings.Count(out, `"short_id"`) != 3 {
			t.Errorf("snapshots: %s", out)
		}
		from := "s3:" + d.url() + "/backups/first"
		second("init", "--from-repo", from, "--copy-chunker-params").run(t)
		second("copy", "--from-repo", from).run(t)
		second("check", "--read-data").run(t)
		back := filepath.Join(dir, "restored")
		second("restore", "latest", "--tag", "two", "--target", back).run(t)
		sameTree(t, filepath.Join(back, tree), tree)
		second("forget", "--tag", "stream", "--keep-last", "1", "--keep-tag", "none", "--prune").run(t)
		first("prune", "--max-unused", "0").run(t)
		first("check", "--read-data").run(t)
		wrong := first("snapshots")
		wrong.env = append(slices.Clone(wrong.env), "RESTIC_PASSWORD=wrong")
		if r := wrong.try(t); r.code == 0 || !strings.Contains(r.stderr, "wrong password") {
			t.Errorf("a wrong password: exit code %d, %s", r.code, r.stderr)
		}
	})
}

// killBackup begins the backup of a stream and ends restic with SIGKILL in its midst: its lock and half its packs stay in the
// repository.
func killBackup(t *testing.T, restic func(args ...string) tool) {
	t.Helper()
	c := restic("backup", "--stdin", "--stdin-filename", "never ends")
	cmd := exec.Command(c.name, c.args...)
	cmd.Env, cmd.Dir = neutralEnv(c.env...), c.dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(in, contentReader("killed", 40<<20))
	if err := errors.Join(err, cmd.Process.Kill()); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("restic ended before it was killed")
	}
}

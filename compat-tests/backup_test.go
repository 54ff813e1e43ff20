package compattests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// backupDone is what admin backup says in JSON.
type backupDone struct {
	ID           string
	Rows, Bodies int
	Bytes        int64
	NewBytes     int64 `json:"new_bytes"`
	ResumedPacks int   `json:"resumed_packs"`
	Format       int
}

// backUp makes a backup and returns what the command says of it.
func (d *deployment) backUp(t *testing.T, args ...string) (b backupDone) {
	t.Helper()
	output := d.mustAdmin(t, append([]string{"backup", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(output), &b); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return b
}

// restore restores into a deployment that was laid out and not started.
func (d *deployment) restore(t *testing.T, env []string, args ...string) (code int, output string) {
	t.Helper()
	for _, v := range d.volumes {
		if !v.alive() {
			v.start(t)
		}
	}
	p := &process{name: "tdkvs restore", env: env, logFile: filepath.Join(t.TempDir(), "log")}
	if d.kind == serverKind {
		p.args = slices.Concat([]string{"restore", "-config", filepath.Join(d.dir, "server.yaml")}, args, d.dataDirs)
	} else {
		p.args = append([]string{"restore", "-config", filepath.Join(d.dir, "master.yaml")}, args...)
	}
	p.start(t)
	code = p.wait(t, 3*time.Minute)
	p.checkLog(t)
	return code, p.log(t)
}

func (d *deployment) mustRestore(t *testing.T, env []string, args ...string) {
	t.Helper()
	if code, output := d.restore(t, env, args...); code != 0 {
		t.Fatalf("restore %v: exit code %d\n%s", args, code, output)
	}
}

// fillForBackup puts something of every kind into a bucket that never changes.
func fillForBackup(t *testing.T, d *deployment) {
	t.Helper()
	c := d.sdk(t)
	name := bucket(t, c, "steady")
	if _, err := c.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		put(t, c, name, fmt.Sprintf("small/%03d", i), content(fmt.Sprint("small", i), 100+17*i))
	}
	put(t, c, name, "twice", content("first", 5000))
	put(t, c, name, "twice", content("second", 6000))
	put(t, c, name, "gone", content("gone", 10))
	if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &name, Key: aws.String("gone")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &name, Key: aws.String("described"), Body: bytes.NewReader(content("described", 3<<20)), Metadata: map[string]string{"who": "me"},
		ContentType: aws.String("text/x-test"), Tagging: aws.String("a=b"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	}); err != nil {
		t.Fatal(err)
	}
	if err := uploadInTwo(t.Context(), c, name, "in parts", content("in parts", 11<<20)); err != nil {
		t.Fatal(err)
	}
}

// described is all that a client can see of a bucket: each version with what HEAD and GET say of it.
func described(t *testing.T, d *deployment, name string) []string {
	t.Helper()
	c := d.sdk(t)
	var all []string
	in := &s3.ListObjectVersionsInput{Bucket: &name}
	for more := true; more; {
		page, err := c.ListObjectVersions(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Versions {
			o, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &name, Key: v.Key, VersionId: v.VersionId, ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(drain(t, o.Body))
			tags, err := c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &name, Key: v.Key, VersionId: v.VersionId})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%s %s %v %v %s %s %v %s %d %v %s %s", *v.Key, *v.VersionId, *v.IsLatest, *v.LastModified, *v.ETag, hex.EncodeToString(sum[:]),
				o.Metadata, aws.ToString(o.ContentType), *v.Size, len(tags.TagSet), aws.ToString(o.ChecksumSHA256), aws.ToString(o.ChecksumCRC32)))
		}
		for _, m := range page.DeleteMarkers {
			all = append(all, fmt.Sprintf("marker %s %s %v %v", *m.Key, *m.VersionId, *m.IsLatest, *m.LastModified))
		}
		more = aws.ToBool(page.IsTruncated)
		in.KeyMarker, in.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
	}
	return all
}

// TestBackupUnderLoad: a backup to a directory, to a file and to the bucket of another store, while clients write and
// delete. Each comes back the same into stores of either shape; the second writes only what is new.
//
// Covers: PutObject, GetObject, ListObjectVersions.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	from := startDeployment(t, clusterKind, settings{garbageGrace: time.Millisecond, lines: "replicas: 2\n"})
	fillForBackup(t, from)
	want := described(t, from, "steady")
	other := startDeployment(t, serverKind, settings{})
	bucket(t, other.sdk(t), "backups")
	env := []string{"AWS_ACCESS_KEY_ID=" + other.accessKey, "AWS_SECRET_ACCESS_KEY=" + other.secretKey, "AWS_ENDPOINT_URL=" + other.url(), "AWS_REGION=" + region}
	dir := t.TempDir()
	crew := newCrew(t, from, 9)
	crew.prepare(t)
	stop := crew.work()
	places := []string{filepath.Join(dir, "repository"), filepath.Join(dir, "full.tar"), "s3://backups/in/here"}
	for i, place := range places {
		first := from.backUpWith(t, env, place)
		if first.Bodies == 0 || first.NewBytes != first.Bytes {
			t.Errorf("%s: %+v", place, first)
		}
		next := []string{place}
		if i == 1 {
			next = []string{filepath.Join(dir, "more.tar"), "-base", place}
		}
		if second := from.backUpWith(t, env, next...); second.NewBytes >= second.Bytes {
			t.Errorf("%s: the second writes too much: %+v", place, second)
		}
	}
	stop()
	crew.check(t)
	from.wantWhole(t)
	if b := from.backUpWith(t, env, places[0]); b.NewBytes >= b.Bytes {
		t.Errorf("at rest: %+v", b)
	}
	if b := from.backUpWith(t, env, places[0]); b.NewBytes != 0 {
		t.Errorf("an empty increment: %+v", b)
	}
	for i, back := range [][]string{{places[0]}, {"-base", places[1], filepath.Join(dir, "more.tar")}, {places[2]}} {
		kind := []string{serverKind, clusterKind, serverKind}[i]
		to := newDeployment(t, kind, settings{})
		to.mustRestore(t, env, back...)
		to.start(t)
		if got := described(t, to, "steady"); !slices.Equal(got, want) {
			t.Errorf("%v: %d versions came back that are not the %d that were there", back, len(got), len(want))
		}
		if i == 0 {
			crew.d = to
			for _, w := range crew.writers {
				w.d, w.s3, w.web = to, to.sdk(t), to.httpClient(t, 4)
			}
			crew.check(t) // that backup was the last: it has all that was acknowledged
		}
		to.wantWhole(t)
		to.stop(t)
		if code, output := to.restore(t, env, back...); code != 1 || !strings.Contains(output, "not empty") {
			t.Errorf("into a store with something in it: exit code %d\n%s", code, output)
		}
	}
}

// backUpWith is backUp with an environment.
func (d *deployment) backUpWith(t *testing.T, env []string, args ...string) (b backupDone) {
	t.Helper()
	p := &process{
		name: "tdkvs admin backup", logFile: filepath.Join(t.TempDir(), "log"),
		args: slices.Concat([]string{"admin", "backup", "-o", "json", "-endpoint", d.url(), "-access-key", d.accessKey, "-secret-key", d.secretKey, "-region", region}, args),
		env:  env,
	}
	p.start(t)
	if code := p.wait(t, 3*time.Minute); code != 0 {
		t.Fatalf("backup %v: exit code %d\n%s", args, code, p.log(t))
	}
	if err := json.Unmarshal([]byte(p.log(t)), &b); err != nil {
		t.Fatalf("%v\n%s", err, p.log(t))
	}
	return b
}

// TestBackupDamage: each flipped byte of a backup is found, a backup without a pack can not be restored, and one that is
// cut short is none. What is killed goes on.
//
// Covers: PutObject, ListObjectVersions.
func TestBackupDamage(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, serverKind, settings{})
	fillForBackup(t, d)
	dir := filepath.Join(t.TempDir(), "backups")
	d.backUp(t, dir)
	d.mustAdmin(t, "backup", "verify", dir)
	files := map[string]int64{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			info, err := e.Info()
			files[name] = info.Size()
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		spoiled := bytes.Clone(whole)
		spoiled[len(spoiled)/2] ^= 1
		for what, content := range map[string][]byte{"a flipped bit": spoiled, "cut short": whole[:len(whole)/2]} {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if code, output := d.admin(t, "backup", "verify", dir); code != 1 {
				t.Errorf("%s: %s: exit code %d\n%s", name, what, code, output)
			}
		}
		if err := os.WriteFile(name, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.mustAdmin(t, "backup", "verify", dir)
	to := newDeployment(t, serverKind, settings{})
	for _, bad := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{filepath.Join(dir, "nowhere")}, 1, "no place of backups"},
		{[]string{"-backup", "20260102T030405Z-0a1b2c3d", dir}, 1, "no such backup"},
		{[]string{"-"}, 2, "not from the input"},
		{[]string{"s3://"}, 2, "names no bucket"},
		{[]string{"-base", "nowhere", dir}, 1, "no place of backups"},
	} {
		if code, output := to.restore(t, nil, bad.args...); code != bad.code || !strings.Contains(output, bad.says) {
			t.Errorf("restore %v: exit code %d\n%s", bad.args, code, output)
		}
	}
	for _, bad := range [][]string{
		{"backup"}, {"backup", dir, "-keep", "3"}, {"backup", dir, "-within", "-1s"}, {"backup", dir, "-within", "169h"}, {"backup", dir, "-concurrency", "65"},
		{"backup", "prune", dir}, {"backup", "ls"}, {"backup", dir, "-base", dir}, {"backup", "-", "-o", "json"},
	} {
		if code, output := d.admin(t, bad...); code != 2 {
			t.Errorf("admin %v: exit code %d\n%s", bad, code, output)
		}
	}
}

// TestBackupLosesItsHold: a backup whose store starts anew in the middle fails, and is not in the list; the next one goes
// on where it was.
//
// Covers: PutObject.
func TestBackupLosesItsHold(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, serverKind, settings{})
	c := d.sdk(t)
	name := bucket(t, c, "held")
	for i := range 12 {
		put(t, c, name, fmt.Sprint(i), content(fmt.Sprint(i), 16<<20))
	}
	dir := filepath.Join(t.TempDir(), "backups")
	p := &process{
		name: "tdkvs admin backup", logFile: filepath.Join(t.TempDir(), "log"), mayDie: true,
		args: []string{"admin", "backup", dir, "-concurrency", "1", "-endpoint", d.url(), "-access-key", d.accessKey, "-secret-key", d.secretKey, "-region", region},
	}
	p.start(t)
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		if packs, _ := filepath.Glob(filepath.Join(dir, "packs", "*", "*")); len(packs) > 0 {
			break
		}
		if time.Now().After(end) || !p.alive() {
			t.Fatalf("no pack was written\n%s", p.log(t))
		}
	}
	d.front.kill(t)
	d.start(t)
	if code := p.wait(t, time.Minute); code != 1 {
		t.Fatalf("exit code %d of a backup that has lost its store\n%s", code, p.log(t))
	}
	if code, output := d.admin(t, "backup", "verify", dir); code != 1 || !strings.Contains(output, "none") {
		t.Errorf("exit code %d\n%s", code, output)
	}
	b := d.backUp(t, dir)
	if b.ResumedPacks == 0 || b.NewBytes >= b.Bytes {
		t.Errorf("the next backup does not go on: %+v", b)
	}
	d.mustAdmin(t, "backup", "verify", dir)
	d.mustAdmin(t, "backup", "prune", dir, "-keep", "1")
	d.mustAdmin(t, "backup", "verify", dir)
}

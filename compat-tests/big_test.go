package compattests

import (
	"path/filepath"
	"testing"
	"time"
)

// memoryBar is the most that a process may ever hold while it moves objects of any size, in bytes.
const memoryBar = 256 << 20

// TestBigObject moves one big file up and down with the aws CLI, which sends it in parts, and again in one piece with
// curl, and looks at the memory that this took.
//
// Covers: CreateMultipartUpload, UploadPart, CompleteMultipartUpload, GetObject.
func TestBigObject(t *testing.T) {
	mib := sizeFromEnv(t, "TDKVS_BIG_MIB", 64)
	eachDeployment(t, func(t *testing.T, d *deployment) {
		a, size := d.awsCLI(t), int64(mib)<<20
		path, back := contentFile(t, a.dir, "big", size), filepath.Join(a.dir, "back")
		want := shaOfFile(t, path)
		a.s3(t, "mb", "s3://big")
		began := time.Now()
		a.s3(t, "cp", "--no-progress", path, "s3://big/object")
		up := time.Since(began)
		began = time.Now()
		a.s3(t, "cp", "--no-progress", "s3://big/object", back)
		t.Logf("aws s3 cp of %d MiB: up %.0f MiB/s, down %.0f MiB/s", mib, float64(mib)/up.Seconds(), float64(mib)/time.Since(began).Seconds())
		if got := shaOfFile(t, back); got != want {
			t.Errorf("by parts: SHA-256 %s, want %s", got, want)
		}
		user := d.accessKey + ":" + d.secretKey
		tool{name: "curl", args: []string{"-q", "-sS", "--fail", "-u", user, "-T", path, d.url() + "/set/big"}}.run(t)
		tool{name: "curl", args: []string{"-q", "-sS", "--fail", "-u", user, "-o", back, d.url() + "/get/big"}}.run(t)
		if got := shaOfFile(t, back); got != want {
			t.Errorf("in one piece: SHA-256 %s, want %s", got, want)
		}
		d.checkMemory(t, memoryBar)
	})
}

// checkMemory fails the test when a process has ever held more than the bar, in bytes.
func (d *deployment) checkMemory(t testing.TB, bar int64) {
	t.Helper()
	for _, p := range d.processes() {
		peak := p.peakMemory(t)
		t.Logf("%s held at most %d MiB", p.name, peak>>20)
		if peak > bar {
			t.Errorf("%s held %d MiB, over %d", p.name, peak>>20, bar>>20)
		}
	}
}

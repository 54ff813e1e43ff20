package compattests

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// contentReader yields bytes that depend on the label alone and do not compress.
func contentReader(label string, size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8(sha256.Sum256([]byte(label))), size)
}

// content returns contentReader's bytes.
func content(label string, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(label))).Read(b) // never fails, by its contract
	return b
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// etagOf is the quoted ETag of an object written in one piece.
func etagOf(b []byte) string {
	sum := md5.Sum(b)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// shaOf reads all of r and returns its SHA-256 and its length.
func shaOf(t testing.TB, r io.Reader) (string, int64) {
	t.Helper()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	return hex.EncodeToString(h.Sum(nil)), n
}

func shaOfFile(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // read only
	sum, _ := shaOf(t, f)
	return sum
}

// sameBytes fails the test when got is not want, and says where they part.
func sameBytes(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if sha(got) == sha(want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Errorf("%s: %d bytes, want %d; they differ from byte %d on (%q, want %q)", what, len(got), len(want), at,
		window(got, at), window(want, at))
}

func window(b []byte, at int) []byte { return b[at:min(at+40, len(b))] }

// contentFile writes a file of the label's content and returns its path.
func contentFile(t testing.TB, dir, name string, size int64) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, contentReader(name, size)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// sameTree fails the test when two directories do not hold the same files with the same bytes.
func sameTree(t testing.TB, got, want string) {
	t.Helper()
	a, b := treeOf(t, got), treeOf(t, want)
	for name, sum := range b {
		if a[name] != sum {
			t.Errorf("%s: SHA-256 %q, want %q", name, a[name], sum)
		}
	}
	for name := range a {
		if _, ok := b[name]; !ok {
			t.Errorf("%s should not be there", name)
		}
	}
}

// treeOf returns the SHA-256 of every file below dir, by its path from there.
func treeOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		sums[rel] = shaOfFile(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// sampleTree makes a directory of files of many sizes and awkward names, about 4 MiB in all.
func sampleTree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, size := range map[string]int64{
		"empty": 0, "one": 1, "notes.txt": 1 << 10, "sub/a b.bin": 70 << 10, "sub/deep/er/plus+and%41.bin": 64 << 10,
		"sub/ümläut.txt": 333, "sub/smile 😀.bin": 4097, "large/three.bin": 3<<20 + 7, "quote'and\"so.txt": 12,
	} {
		contentFile(t, dir, name, size)
	}
	return dir
}

// limitedBuffer keeps the first bytes written to it, for messages.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	const most = 64 << 10
	if room := most - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

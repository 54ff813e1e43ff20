package compattests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestDeleteDuringRead deletes and overwrites objects while they are read, and goes on reading long after their bytes are
// due for removal: each reader gets the whole of what it began with.
func TestDeleteDuringRead(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{serverKind, clusterKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := startDeployment(t, kind, settings{garbageGrace: 200 * time.Millisecond})
			c, b := d.sdk(t), "deleted"
			bucket(t, c, b)
			// Larger than what the sockets in between can hold, in one piece and in parts of which the later ones are not yet
			// open when the first is read.
			want := map[string][]byte{"piece": content("piece", 24<<20), "parts": {}}
			put(t, c, b, "piece", want["piece"])
			u := beginUpload(t, c, b, "parts")
			for i := range 5 {
				part := content(fmt.Sprint("part", i), minPart)
				u.put(t, int32(i+1), part)
				want["parts"] = append(want["parts"], part...)
			}
			if _, err := u.complete(t.Context(), u.parts); err != nil {
				t.Fatal(err)
			}
			readers, heads := map[string]io.ReadCloser{}, map[string][]byte{}
			for key := range want {
				out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: &key})
				if err != nil {
					t.Fatal(err)
				}
				heads[key] = make([]byte, 1000)
				if _, err := io.ReadFull(out.Body, heads[key]); err != nil {
					t.Fatal(err)
				}
				readers[key] = out.Body
			}
			put(t, c, b, "piece", []byte("another"))
			if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("parts")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second) // ten times the grace
			for key, r := range readers {
				rest, err := io.ReadAll(r)
				if err := errors.Join(err, r.Close()); err != nil {
					t.Errorf("%s: after %d bytes: %v", key, len(heads[key])+len(rest), err)
				}
				sameBytes(t, key, slices.Concat(heads[key], rest), want[key])
			}
			sameBytes(t, "the new object", get(t, c, b, "piece"), []byte("another"))
		})
	}
}

// TestSpaceComesBack deletes, overwrites and aborts, and waits until no file of a large blob is left.
func TestSpaceComesBack(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{serverKind, clusterKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := startDeployment(t, kind, settings{garbageGrace: 100 * time.Millisecond})
			c, b, ctx := d.sdk(t), "emptied", t.Context()
			bucket(t, c, b)
			for i := range 12 {
				put(t, c, b, fmt.Sprint("key", i%8), content(fmt.Sprint("space", i), 2<<20))
			}
			aborted, whole := beginUpload(t, c, b, "aborted"), beginUpload(t, c, b, "whole")
			for _, u := range []*upload{aborted, whole} {
				u.put(t, 1, content("first", minPart))
				u.put(t, 2, content("replaced", minPart))
				u.put(t, 2, content("second", minPart))
			}
			if _, err := whole.complete(ctx, whole.parts[:1]); err != nil {
				t.Fatal(err)
			}
			if _, err := c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b, Key: &aborted.key, UploadId: &aborted.id}); err != nil {
				t.Fatal(err)
			}
			if n := d.countBlobs(t); n < 9 {
				t.Fatalf("%d files of large blobs, at least 9 are in use", n)
			}
			for _, key := range listAll(t, c, b) {
				if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b, Key: &key}); err != nil {
					t.Fatal(err)
				}
			}
			for end := time.Now().Add(time.Minute); d.countBlobs(t) > 0; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d files of deleted blobs are left after a minute", d.countBlobs(t))
				}
			}
			body := bytes.Repeat([]byte("x"), 2<<20)
			put(t, c, b, "after", body)
			sameBytes(t, "written afterwards", get(t, c, b, "after"), body)
		})
	}
}

// countBlobs counts the files of large blobs in all volumes.
func (d *deployment) countBlobs(t testing.TB) int {
	t.Helper()
	return len(d.findFiles(t, "blobs"))
}

package compattests

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// minio returns a MinIO client. Over plain HTTP it signs every chunk of a streamed body; with trailing set it sends a
// checksum behind them.
func (d *deployment) minio(t testing.TB, trailing bool) *minio.Client {
	t.Helper()
	c, err := minio.New(d.addr, &minio.Options{
		Creds: credentials.NewStaticV4(d.accessKey, d.secretKey, ""), Region: region, Transport: d.transport(t, 16),
		TrailingHeaders: trailing, MaxRetries: 1, BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func minioGet(t testing.TB, c *minio.Client, b, key string) []byte {
	t.Helper()
	o, err := c.GetObject(t.Context(), b, key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return drain(t, o)
}

// Covers: PutObject, GetObject, HeadObject, DeleteObject.
func TestMinIOObjects(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		for _, trailing := range []bool{false, true} {
			c, b := d.minio(t, trailing), fmt.Sprintf("minio-%v", trailing)
			if err := c.MakeBucket(t.Context(), b, minio.MakeBucketOptions{Region: region}); err != nil {
				t.Fatal(err)
			}
			for _, size := range sizes() {
				key, body := fmt.Sprint("size/", size), content(fmt.Sprint("minio", size), size)
				info, err := c.PutObject(t.Context(), b, key, bytes.NewReader(body), int64(size),
					minio.PutObjectOptions{ContentType: "text/x-minio", UserMetadata: map[string]string{"Who": "minio"}})
				if err != nil {
					t.Fatalf("put %s, trailing %v: %v", key, trailing, err)
				}
				sameBytes(t, key, minioGet(t, c, b, key), body)
				stat, err := c.StatObject(t.Context(), b, key, minio.StatObjectOptions{})
				if err != nil || stat.Size != int64(size) || stat.ETag != info.ETag || stat.ContentType != "text/x-minio" || stat.UserMetadata["Who"] != "minio" {
					t.Errorf("stat of %s: %+v, %v", key, stat, err)
				}
			}
			testMinIOStreams(t, c, b)
		}
	})
}

// testMinIOStreams puts bodies of unknown length, in parts, and a file, and reads from the middle.
func testMinIOStreams(t *testing.T, c *minio.Client, b string) {
	t.Helper()
	ctx, size := t.Context(), 12<<20+3
	body := content("stream", size)
	if _, err := c.PutObject(ctx, b, "stream", io.MultiReader(bytes.NewReader(body)), -1, minio.PutObjectOptions{PartSize: minPart}); err != nil {
		t.Fatal(err)
	}
	sameBytes(t, "a stream of unknown length", minioGet(t, c, b, "stream"), body)
	path := contentFile(t, t.TempDir(), "file.bin", 17<<20)
	if _, err := c.FPutObject(ctx, b, "file", path, minio.PutObjectOptions{PartSize: minPart, NumThreads: 3}); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(t.TempDir(), "back.bin")
	if err := c.FGetObject(ctx, b, "file", back, minio.GetObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, want := shaOfFile(t, back), shaOfFile(t, path); got != want {
		t.Errorf("the file came back with SHA-256 %s, want %s", got, want)
	}
	o, err := c.GetObject(ctx, b, "stream", minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	middle := make([]byte, 100_000)
	if _, err := o.ReadAt(middle, 6<<20); err != nil {
		t.Error(err)
	}
	sameBytes(t, "the middle", middle, body[6<<20:6<<20+len(middle)])
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

// Covers: UploadPartCopy, CompleteMultipartUpload.
func TestMinIOCompose(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx, b := d.minio(t, false), t.Context(), "composed"
		if err := c.MakeBucket(ctx, b, minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
		var want []byte
		var sources []minio.CopySrcOptions
		for i, size := range []int{minPart, minPart + 99, 1234} {
			key, body := fmt.Sprint("piece ", i), content(fmt.Sprint("piece", i), size)
			if _, err := c.PutObject(ctx, b, key, bytes.NewReader(body), int64(size), minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			want, sources = append(want, body...), append(sources, minio.CopySrcOptions{Bucket: b, Object: key})
		}
		if _, err := c.ComposeObject(ctx, minio.CopyDestOptions{Bucket: b, Object: "whole"}, sources...); err != nil {
			t.Fatal(err)
		}
		sameBytes(t, "composed", minioGet(t, c, b, "whole"), want)
		if _, err := c.CopyObject(ctx, minio.CopyDestOptions{Bucket: b, Object: "copy"}, minio.CopySrcOptions{Bucket: b, Object: "whole"}); err != nil {
			t.Fatal(err)
		}
		sameBytes(t, "copied", minioGet(t, c, b, "copy"), want)
	})
}

// Covers: ListObjects, ListObjectsV2, DeleteObjects.
func TestMinIOListingsAndRemoval(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx, b := d.minio(t, false), t.Context(), "listed"
		if err := c.MakeBucket(ctx, b, minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
		keys := append(listedKeys(), controlKeys()...)
		slices.Sort(keys)
		for _, key := range keys {
			if _, err := c.PutObject(ctx, b, key, bytes.NewReader(nil), 0, minio.PutObjectOptions{}); err != nil {
				t.Fatalf("put %q: %v", key, err)
			}
		}
		list := func(options minio.ListObjectsOptions) []string {
			var got []string
			for o := range c.ListObjects(ctx, b, options) {
				if o.Err != nil {
					t.Fatal(o.Err)
				}
				got = append(got, o.Key)
			}
			return got
		}
		for _, v1 := range []bool{false, true} {
			if got := list(minio.ListObjectsOptions{Recursive: true, MaxKeys: 9, UseV1: v1}); !slices.Equal(got, keys) {
				t.Errorf("version 1 %v: listed %q, want %q", v1, got, keys)
			}
			got := list(minio.ListObjectsOptions{Prefix: "many/"})
			if want := expectedListing(keys, "many/", "/", ""); !slices.Equal(got, want) {
				t.Errorf("version 1 %v: listed %q, want %q", v1, got, want)
			}
		}
		objects := make(chan minio.ObjectInfo)
		go func() {
			defer close(objects)
			for _, key := range listedKeys() {
				objects <- minio.ObjectInfo{Key: key}
			}
		}()
		for e := range c.RemoveObjects(ctx, b, objects, minio.RemoveObjectsOptions{}) {
			t.Errorf("remove %q: %v", e.ObjectName, e.Err)
		}
		for _, key := range controlKeys() {
			if err := c.RemoveObject(ctx, b, key, minio.RemoveObjectOptions{}); err != nil {
				t.Errorf("remove %q: %v", key, err)
			}
		}
		if err := c.RemoveBucket(ctx, b); err != nil {
			t.Errorf("remove the emptied bucket: %v", err)
		}
	})
}

// Covers: PutObject, GetObject, HeadObject.
func TestMinIOPresigned(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx, b, key, web := d.minio(t, false), t.Context(), "minio-presigned", "dir/a b+c%.txt", d.httpClient(t, 4)
		if err := c.MakeBucket(ctx, b, minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
		body := content("presigned", 100_000)
		up, err := c.PresignedPutObject(ctx, b, key, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if a := call(t, web, "PUT", up.String(), body); a.status != 200 {
			t.Errorf("presigned PUT: %v", a)
		}
		down, err := c.PresignedGetObject(ctx, b, key, time.Minute, url.Values{"response-content-disposition": {"inline"}})
		if err != nil {
			t.Fatal(err)
		}
		a := call(t, web, "GET", down.String(), nil)
		sameBytes(t, "presigned GET", a.body, body)
		if a.header.Get("Content-Disposition") != "inline" {
			t.Errorf("Content-Disposition %q", a.header.Get("Content-Disposition"))
		}
	})
}

// Covers: ListMultipartUploads, AbortMultipartUpload.
func TestMinIOBrokenOffUpload(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx, b := d.minio(t, false), t.Context(), "broken-off"
		if err := c.MakeBucket(ctx, b, minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
		// A body that ends early leaves nothing behind, and what was there stays.
		for _, size := range []int64{100_000, 3 << 20} {
			old := content("old", 1000)
			if _, err := c.PutObject(ctx, b, "k", bytes.NewReader(old), int64(len(old)), minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			short := io.LimitReader(contentReader("short", size), size/2)
			if _, err := c.PutObject(ctx, b, "k", short, size, minio.PutObjectOptions{DisableMultipart: true}); err == nil {
				t.Errorf("half a body of %d bytes was accepted", size)
			}
			sameBytes(t, "after a broken-off overwrite", minioGet(t, c, b, "k"), old)
		}
	})
}

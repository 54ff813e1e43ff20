package compattests

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const minPart = 5 << 20 // the smallest part that may be followed by another

// upload is a multipart upload in progress.
type upload struct {
	c           *s3.Client
	bucket, key string
	id          string
	parts       []types.CompletedPart
}

func beginUpload(t testing.TB, c *s3.Client, b, key string) *upload {
	t.Helper()
	out, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &b, Key: &key, ContentType: aws.String("text/x-parts"),
		Metadata: map[string]string{"m": "parts"}})
	if err != nil {
		t.Fatal(err)
	}
	return &upload{c: c, bucket: b, key: key, id: *out.UploadId}
}

func (u *upload) put(t testing.TB, number int32, body []byte) {
	t.Helper()
	out, err := u.c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, PartNumber: &number, Body: bytes.NewReader(body)})
	if err != nil {
		t.Fatalf("part %d: %v", number, err)
	}
	if aws.ToString(out.ETag) != etagOf(body) {
		t.Errorf("part %d: ETag %s, want %s", number, aws.ToString(out.ETag), etagOf(body))
	}
	u.parts = append(u.parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
}

func (u *upload) complete(ctx context.Context, parts []types.CompletedPart) (*s3.CompleteMultipartUploadOutput, error) {
	return u.c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
}

// partsETag is the quoted ETag of an object made of parts.
func partsETag(parts ...[]byte) string {
	h := md5.New()
	for _, p := range parts {
		sum := md5.Sum(p)
		_, _ = h.Write(sum[:])
	}
	return fmt.Sprintf(`"%s-%d"`, hex.EncodeToString(h.Sum(nil)), len(parts))
}

// Covers: CreateMultipartUpload, UploadPart, ListParts, CompleteMultipartUpload.
func TestSDKMultipart(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		b, key := bucket(t, c, "multipart"), "dir/object of parts"
		put(t, c, b, key, []byte("what was there before"))
		p1, p2, p3 := content("p1", minPart), content("p2", minPart+12345), content("p3", 777)
		u := beginUpload(t, c, b, key)
		u.put(t, 3, p3)
		u.put(t, 1, content("replaced", minPart))
		u.parts = u.parts[:1]
		u.put(t, 1, p1)
		u.put(t, 2, p2)
		slices.SortFunc(u.parts, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
		testListParts(t, u, []int64{minPart, minPart + 12345, 777})
		sameBytes(t, "before completion", get(t, c, b, key), []byte("what was there before"))
		want := slices.Concat(p1, p2, p3)
		for range 2 { // completing again gives the same answer
			out, err := u.complete(ctx, u.parts)
			if err != nil {
				t.Fatal(err)
			}
			if aws.ToString(out.ETag) != partsETag(p1, p2, p3) || aws.ToString(out.Key) != key || aws.ToString(out.Bucket) != b {
				t.Errorf("completed as %s %s %s, want ETag %s", aws.ToString(out.Bucket), aws.ToString(out.Key), aws.ToString(out.ETag), partsETag(p1, p2, p3))
			}
		}
		got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatal(err)
		}
		sameBytes(t, "the whole", drain(t, got.Body), want)
		if got.Metadata["m"] != "parts" || aws.ToString(got.ContentType) != "text/x-parts" {
			t.Errorf("metadata %v, type %s", got.Metadata, aws.ToString(got.ContentType))
		}
		testReadsOfParts(t, c, b, key, [][]byte{p1, p2, p3}, want)

		sparse := beginUpload(t, c, b, "sparse") // the numbers may have gaps
		sparse.put(t, 4, p1)
		sparse.put(t, 10000, p3)
		if _, err := sparse.complete(ctx, sparse.parts); err != nil {
			t.Fatal(err)
		}
		sameBytes(t, "parts 4 and 10000", get(t, c, b, "sparse"), slices.Concat(p1, p3))
	})
}

func testListParts(t *testing.T, u *upload, sizes []int64) {
	t.Helper()
	var got []int64
	in := &s3.ListPartsInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, MaxParts: aws.Int32(2)}
	for pages := s3.NewListPartsPaginator(u.c, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Parts {
			got = append(got, *p.Size)
		}
	}
	if !slices.Equal(got, sizes) {
		t.Errorf("listed parts of %v bytes, want %v", got, sizes)
	}
	out, err := u.c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &u.bucket, Prefix: aws.String("dir/")})
	if err != nil || len(out.Uploads) != 1 || aws.ToString(out.Uploads[0].Key) != u.key || aws.ToString(out.Uploads[0].UploadId) != u.id {
		t.Errorf("listed uploads %+v, %v", out, err)
	}
}

// testReadsOfParts reads single parts, and ranges that begin and end anywhere in parts.
func testReadsOfParts(t *testing.T, c *s3.Client, b, key string, parts [][]byte, whole []byte) {
	t.Helper()
	for i, part := range parts {
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: &key, PartNumber: aws.Int32(int32(i + 1))})
		if err != nil {
			t.Errorf("part %d: %v", i+1, err)
			continue
		}
		sameBytes(t, fmt.Sprintf("part %d", i+1), drain(t, out.Body), part)
		if aws.ToInt32(out.PartsCount) != int32(len(parts)) {
			t.Errorf("part %d: x-amz-mp-parts-count %d, want %d", i+1, aws.ToInt32(out.PartsCount), len(parts))
		}
	}
	for _, r := range [][2]int{{0, 10}, {minPart - 1, minPart}, {minPart - 70_000, 2*minPart + 12345 + 5}, {2*minPart + 12340, len(whole) - 1}, {len(whole) - 1, len(whole) - 1}} {
		header := fmt.Sprintf("bytes=%d-%d", r[0], r[1])
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: &key, Range: &header})
		if err != nil {
			t.Errorf("%s: %v", header, err)
			continue
		}
		sameBytes(t, header, drain(t, out.Body), whole[r[0]:r[1]+1])
	}
}

// Covers: UploadPart, CompleteMultipartUpload, AbortMultipartUpload.
func TestSDKMultipartRefusals(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		b, key := bucket(t, c, "refusals"), "k"
		u := beginUpload(t, c, b, key)
		u.put(t, 1, content("small", 100))
		u.put(t, 2, content("small", 200))
		_, err := u.complete(ctx, u.parts)
		wantCode(t, "a small part before the last", err, "EntityTooSmall", http.StatusBadRequest)
		_, err = u.complete(ctx, []types.CompletedPart{u.parts[1], u.parts[0]})
		wantCode(t, "parts out of order", err, "InvalidPartOrder", http.StatusBadRequest)
		_, err = u.complete(ctx, []types.CompletedPart{{PartNumber: aws.Int32(3), ETag: u.parts[0].ETag}})
		wantCode(t, "a part that was not sent", err, "InvalidPart", http.StatusBadRequest)
		_, err = u.complete(ctx, []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: u.parts[1].ETag}})
		wantCode(t, "another part's ETag", err, "InvalidPart", http.StatusBadRequest)
		_, err = u.complete(ctx, nil)
		wantCode(t, "no parts", err, "MalformedXML", http.StatusBadRequest)
		for _, number := range []int32{0, 10001} {
			_, err = c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &b, Key: &key, UploadId: &u.id, PartNumber: &number, Body: bytes.NewReader(nil)})
			wantCode(t, fmt.Sprint("part number ", number), err, "InvalidArgument", http.StatusBadRequest)
		}
		_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key})
		wantCode(t, "after refused completions", err, "NoSuchKey", http.StatusNotFound)
		if _, err := u.complete(ctx, u.parts[:1]); err != nil {
			t.Errorf("a single small part: %v", err)
		}
		sameBytes(t, "part 2 left out", get(t, c, b, key), content("small", 100))

		gone := beginUpload(t, c, b, "gone")
		gone.put(t, 1, content("gone", minPart))
		if _, err := c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b, Key: &gone.key, UploadId: &gone.id}); err != nil {
			t.Error(err)
		}
		_, err = gone.complete(ctx, gone.parts)
		wantCode(t, "complete an aborted upload", err, "NoSuchUpload", http.StatusNotFound)
		_, err = c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &b, Key: &key, UploadId: aws.String("made-up"), PartNumber: aws.Int32(1), Body: bytes.NewReader(nil)})
		wantCode(t, "a part of no upload", err, "NoSuchUpload", http.StatusNotFound)
		_, err = c.ListParts(ctx, &s3.ListPartsInput{Bucket: &b, Key: &gone.key, UploadId: &gone.id})
		wantCode(t, "list the parts of no upload", err, "NoSuchUpload", http.StatusNotFound)
		out, err := c.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &b})
		if err != nil || len(out.Uploads) != 0 {
			t.Errorf("uploads left: %+v, %v", out, err)
		}
	})
}

// Covers: UploadPartCopy.
func TestSDKUploadPartCopy(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		b, source := bucket(t, c, "part-copies"), content("source", 7<<20)
		put(t, c, b, "source", source)
		u := beginUpload(t, c, b, "copied")
		for i, r := range []string{"bytes=0-5242879", "bytes=5242880-7340031"} {
			number := int32(i + 1)
			out, err := c.UploadPartCopy(ctx, &s3.UploadPartCopyInput{Bucket: &b, Key: &u.key, UploadId: &u.id, PartNumber: &number,
				CopySource: aws.String(b + "/source"), CopySourceRange: &r})
			if err != nil {
				t.Fatal(err)
			}
			u.parts = append(u.parts, types.CompletedPart{PartNumber: &number, ETag: out.CopyPartResult.ETag, ChecksumCRC32: out.CopyPartResult.ChecksumCRC32})
		}
		if _, err := u.complete(ctx, u.parts); err != nil {
			t.Fatal(err)
		}
		sameBytes(t, "copied by parts", get(t, c, b, "copied"), source)
		_, err := c.UploadPartCopy(ctx, &s3.UploadPartCopyInput{Bucket: &b, Key: &u.key, UploadId: aws.String("made-up"), PartNumber: aws.Int32(1),
			CopySource: aws.String(b + "/source")})
		wantCode(t, "a copy into no upload", err, "NoSuchUpload", http.StatusNotFound)
	})
}

// TestSDKTransferManager uses the manager that most programs have, although the SDK recommends another by now.
func TestSDKTransferManager(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		endpoint, trusting := d.tlsFront(t)
		for name, c := range map[string]*s3.Client{
			"http":  d.sdk(t),
			"https": d.sdk(t, func(o *s3.Options) { o.BaseEndpoint, o.HTTPClient = &endpoint, trusting }),
		} {
			b, key, size := bucket(t, c, "managed-"+name), "big", 23<<20+11
			body := content("managed", size)
			up := manager.NewUploader(c, func(u *manager.Uploader) { u.Concurrency = 3 }) //nolint:staticcheck // see above
			// A reader that cannot seek makes the manager read the parts into memory and sign or sum each.
			out, err := up.Upload(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: &key, Body: io.MultiReader(bytes.NewReader(body))}) //nolint:staticcheck // see above
			if err != nil {
				t.Fatal(err)
			}
			if parts := (size + minPart - 1) / minPart; !bytes.HasSuffix([]byte(aws.ToString(out.ETag)), fmt.Appendf(nil, `-%d"`, parts)) {
				t.Errorf("%s: ETag %s of %d parts", name, aws.ToString(out.ETag), parts)
			}
			got := manager.NewWriteAtBuffer(make([]byte, 0, size))
			down := manager.NewDownloader(c, func(d *manager.Downloader) { d.Concurrency, d.PartSize = 3, 4<<20 }) //nolint:staticcheck // see above
			if _, err := down.Download(t.Context(), got, &s3.GetObjectInput{Bucket: &b, Key: &key}); err != nil {  //nolint:staticcheck // see above
				t.Fatal(err)
			}
			sameBytes(t, "managed transfer over "+name, got.Bytes(), body)
		}
	})
}

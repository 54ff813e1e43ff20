package compattests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/cors"
	"github.com/minio/minio-go/v7/pkg/tags"
)

// minioPut stores a small object.
func minioPut(t testing.TB, c *minio.Client, b, key, body string, options minio.PutObjectOptions) minio.UploadInfo {
	t.Helper()
	info, err := c.PutObject(t.Context(), b, key, strings.NewReader(body), int64(len(body)), options)
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return info
}

// wantMinIOCode fails the test unless err is the S3 error of the code.
func wantMinIOCode(t testing.TB, what string, err error, code string) {
	t.Helper()
	if got := minio.ToErrorResponse(err).Code; err == nil || got != code {
		t.Errorf("%s: code %q, want %s (%v)", what, got, code, err)
	}
}

// minioBucket makes a bucket.
func minioBucket(t testing.TB, c *minio.Client, b string, options minio.MakeBucketOptions) string {
	t.Helper()
	if err := c.MakeBucket(t.Context(), b, options); err != nil {
		t.Fatal(err)
	}
	return b
}

// Covers: PutBucketVersioning, GetBucketVersioning, ListObjectVersions, GetObject, HeadObject, DeleteObject, DeleteObjects.
func TestMinIOVersions(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.minio(t, false), t.Context()
		b := minioBucket(t, c, "minio-versions", minio.MakeBucketOptions{})
		if err := c.EnableVersioning(ctx, b); err != nil {
			t.Fatal(err)
		}
		if v, err := c.GetBucketVersioning(ctx, b); err != nil || !v.Enabled() {
			t.Errorf("versioning: %+v, %v", v, err)
		}
		var ids []string
		for i := range 3 {
			ids = append(ids, minioPut(t, c, b, "dir/a b", fmt.Sprint("version ", i), minio.PutObjectOptions{}).VersionID)
		}
		o, err := c.GetObject(ctx, b, "dir/a b", minio.GetObjectOptions{VersionID: ids[1]})
		if err != nil {
			t.Fatal(err)
		}
		sameBytes(t, "the second version", drain(t, o), []byte("version 1"))
		if stat, err := c.StatObject(ctx, b, "dir/a b", minio.StatObjectOptions{VersionID: ids[0]}); err != nil || stat.VersionID != ids[0] {
			t.Errorf("stat: %+v, %v", stat, err)
		}
		if err := c.RemoveObject(ctx, b, "dir/a b", minio.RemoveObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err = c.StatObject(ctx, b, "dir/a b", minio.StatObjectOptions{})
		if e := minio.ToErrorResponse(err); e.StatusCode != http.StatusNotFound {
			t.Errorf("stat of what a marker hides: %v", err)
		}
		var listed []minio.ObjectInfo
		for v := range c.ListObjects(ctx, b, minio.ListObjectsOptions{WithVersions: true, Recursive: true, MaxKeys: 2}) {
			if v.Err != nil {
				t.Fatal(v.Err)
			}
			listed = append(listed, v)
		}
		if len(listed) != 4 || !listed[0].IsDeleteMarker || !listed[0].IsLatest || listed[1].VersionID != ids[2] || listed[3].VersionID != ids[0] {
			t.Errorf("listed %+v", listed)
		}
		objects := make(chan minio.ObjectInfo, len(listed))
		for _, v := range listed[:2] {
			objects <- minio.ObjectInfo{Key: v.Key, VersionID: v.VersionID}
		}
		close(objects)
		for r := range c.RemoveObjectsWithResult(ctx, b, objects, minio.RemoveObjectsOptions{}) {
			if r.Err != nil || r.ObjectVersionID == "" || r.DeleteMarker != (r.ObjectVersionID == listed[0].VersionID) {
				t.Errorf("removed %+v", r)
			}
		}
		sameBytes(t, "current again", minioGet(t, c, b, "dir/a b"), []byte("version 1"))
		if err := c.SuspendVersioning(ctx, b); err != nil {
			t.Fatal(err)
		}
		minioPut(t, c, b, "dir/a b", "the null version", minio.PutObjectOptions{})
		if stat, err := c.StatObject(ctx, b, "dir/a b", minio.StatObjectOptions{VersionID: "null"}); err != nil || stat.Size != 16 {
			t.Errorf("stat of null: %+v, %v", stat, err)
		}
		wantMinIOCode(t, "remove a bucket with versions", c.RemoveBucket(ctx, b), "BucketNotEmpty")
	})
}

// Covers: PutObject, CopyObject, UploadPartCopy, GetObjectTagging, HeadObject.
func TestMinIOCopyOptions(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.minio(t, false), t.Context()
		b := minioBucket(t, c, "minio-copies", minio.MakeBucketOptions{})
		info := minioPut(t, c, b, "src", "body of the source", minio.PutObjectOptions{UserMetadata: map[string]string{"A": "1"}, UserTags: map[string]string{"t": "1"}, ContentType: "text/a"})
		src, dst := minio.CopySrcOptions{Bucket: b, Object: "src"}, minio.CopyDestOptions{Bucket: b, Object: "dst"}
		for what, change := range map[string]func(s *minio.CopySrcOptions){
			"another ETag":      func(s *minio.CopySrcOptions) { s.MatchETag = "0123456789abcdef0123456789abcdef" },
			"not this ETag":     func(s *minio.CopySrcOptions) { s.NoMatchETag = info.ETag },
			"modified since":    func(s *minio.CopySrcOptions) { s.MatchModifiedSince = time.Now().Add(-time.Second).Add(time.Second) },
			"unmodified before": func(s *minio.CopySrcOptions) { s.MatchUnmodifiedSince = time.Now().Add(-time.Hour) },
		} {
			s := src
			change(&s)
			_, err := c.CopyObject(ctx, dst, s)
			wantMinIOCode(t, what, err, "PreconditionFailed")
		}
		s := src
		s.MatchETag = info.ETag
		if _, err := c.CopyObject(ctx, dst, s); err != nil {
			t.Fatal(err)
		}
		dst.ReplaceMetadata, dst.UserMetadata, dst.ReplaceTags, dst.UserTags, dst.ContentType = true, map[string]string{"B": "2"}, true, map[string]string{"u": "2"}, "text/b"
		if _, err := c.CopyObject(ctx, dst, src); err != nil {
			t.Fatal(err)
		}
		stat, err := c.StatObject(ctx, b, "dst", minio.StatObjectOptions{})
		if err != nil || stat.ContentType != "text/b" || !maps.Equal(stat.UserMetadata, map[string]string{"B": "2"}) || stat.UserTagCount != 1 {
			t.Errorf("a copy with all replaced: %+v, %v", stat, err)
		}
		large := content("ranged source", 7<<20)
		if _, err := c.PutObject(ctx, b, "large", bytes.NewReader(large), int64(len(large)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		part := minio.CopySrcOptions{Bucket: b, Object: "large", MatchRange: true, Start: 100, End: 6 << 20}
		if _, err := c.ComposeObject(ctx, minio.CopyDestOptions{Bucket: b, Object: "composed"}, part, src); err != nil {
			t.Fatal(err)
		}
		sameBytes(t, "composed of a range", minioGet(t, c, b, "composed"), append(slices.Clone(large[100:6<<20+1]), "body of the source"...))
	})
}

// Covers: PutObject, HeadObject, GetObjectAttributes, CompleteMultipartUpload.
func TestMinIOChecksums(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.minio(t, true), t.Context() // in trailers
		b := minioBucket(t, c, "minio-checksums", minio.MakeBucketOptions{})
		for _, kind := range []minio.ChecksumType{minio.ChecksumCRC32, minio.ChecksumCRC32C, minio.ChecksumSHA1, minio.ChecksumSHA256, minio.ChecksumCRC64NVME, minio.ChecksumFullObjectCRC32C} {
			for _, size := range []int{0, 100, 11 << 20} {
				key, body := fmt.Sprint(kind, " ", size), content(kind.String(), size)
				info, err := c.PutObject(ctx, b, key, bytes.NewReader(body), int64(size), minio.PutObjectOptions{Checksum: kind, PartSize: minPart})
				if err != nil {
					t.Errorf("put %s: %v", key, err)
					continue
				}
				stat, err := c.StatObject(ctx, b, key, minio.StatObjectOptions{Checksum: true})
				if err != nil || stat.Size != int64(size) || stat.ETag != info.ETag {
					t.Errorf("stat %s: %+v, %v", key, stat, err)
				}
				sums := stat.ChecksumCRC32 + stat.ChecksumCRC32C + stat.ChecksumSHA1 + stat.ChecksumSHA256 + stat.ChecksumCRC64NVME
				if sums == "" {
					t.Errorf("stat %s has no checksum", key)
				}
				sameBytes(t, key, minioGet(t, c, b, key), body)
			}
		}
		a, err := c.GetObjectAttributes(ctx, b, fmt.Sprint(minio.ChecksumSHA256, " ", 11<<20), minio.ObjectAttributesOptions{MaxParts: 2})
		if err != nil || a.ObjectSize != 11<<20 || a.ObjectParts.PartsCount != 3 || len(a.ObjectParts.Parts) != 2 || !a.ObjectParts.IsTruncated {
			t.Errorf("attributes: %+v, %v", a, err)
		}
	})
}

// Covers: PutObjectTagging, GetObjectTagging, DeleteObjectTagging, PutBucketTagging, GetBucketTagging, DeleteBucketTagging.
// Covers: PutBucketCors, GetBucketCors, DeleteBucketCors, SelectObjectContent.
func TestMinIODocuments(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.minio(t, false), t.Context()
		b := minioBucket(t, c, "minio-documents", minio.MakeBucketOptions{})
		minioPut(t, c, b, "k", "a,b\n1,2\n", minio.PutObjectOptions{UserTags: map[string]string{"first": "1", "with space": "a/b"}})
		got, err := c.GetObjectTagging(ctx, b, "k", minio.GetObjectTaggingOptions{})
		if err != nil || !maps.Equal(got.ToMap(), map[string]string{"first": "1", "with space": "a/b"}) {
			t.Errorf("tags: %v, %v", got, err)
		}
		set, err := tags.MapToObjectTags(map[string]string{"second": "2"})
		if err := errors.Join(err, c.PutObjectTagging(ctx, b, "k", set, minio.PutObjectTaggingOptions{})); err != nil {
			t.Fatal(err)
		}
		if got, err = c.GetObjectTagging(ctx, b, "k", minio.GetObjectTaggingOptions{}); err != nil || got.String() != "second=2" {
			t.Errorf("tags: %v, %v", got, err)
		}
		if err := c.RemoveObjectTagging(ctx, b, "k", minio.RemoveObjectTaggingOptions{}); err != nil {
			t.Error(err)
		}
		_, err = c.GetBucketTagging(ctx, b)
		wantMinIOCode(t, "no bucket tags", err, "NoSuchTagSet")
		set, err = tags.MapToBucketTags(map[string]string{"team": "minio"})
		if err := errors.Join(err, c.SetBucketTagging(ctx, b, set)); err != nil {
			t.Fatal(err)
		}
		if got, err = c.GetBucketTagging(ctx, b); err != nil || got.String() != "team=minio" {
			t.Errorf("bucket tags: %v, %v", got, err)
		}
		if err := c.RemoveBucketTagging(ctx, b); err != nil {
			t.Error(err)
		}
		rule := cors.Rule{AllowedOrigin: []string{"https://*.example"}, AllowedMethod: []string{"GET"}, AllowedHeader: []string{"*"}, MaxAgeSeconds: 30}
		if err := c.SetBucketCors(ctx, b, cors.NewConfig([]cors.Rule{rule})); err != nil {
			t.Fatal(err)
		}
		if config, err := c.GetBucketCors(ctx, b); err != nil || config == nil || len(config.CORSRules) != 1 || config.CORSRules[0].MaxAgeSeconds != 30 {
			t.Errorf("CORS: %+v, %v", config, err)
		}
		if err := c.SetBucketCors(ctx, b, nil); err != nil { // removes it
			t.Error(err)
		}
		_, err = c.SelectObjectContent(ctx, b, "k", minio.SelectObjectOptions{Expression: "select * from s3object", ExpressionType: minio.QueryExpressionTypeSQL,
			InputSerialization: minio.SelectObjectInputSerialization{CSV: &minio.CSVInputOptions{}}, OutputSerialization: minio.SelectObjectOutputSerialization{CSV: &minio.CSVOutputOptions{}}})
		wantMinIOCode(t, "select, which is not offered", err, "NotImplemented")
	})
}

// Covers: PutObjectLockConfiguration, GetObjectLockConfiguration, PutObjectRetention, GetObjectRetention.
// Covers: PutObjectLegalHold, GetObjectLegalHold, DeleteObject.
func TestMinIOLocks(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.minio(t, false), t.Context()
		b := minioBucket(t, c, "minio-locks", minio.MakeBucketOptions{ObjectLocking: true})
		mode, days, unit := minio.Governance, uint(2), minio.Days
		if err := c.SetBucketObjectLockConfig(ctx, b, &mode, &days, &unit); err != nil {
			t.Fatal(err)
		}
		if on, m, n, u, err := c.GetObjectLockConfig(ctx, b); err != nil || on != "Enabled" || *m != mode || *n != days || *u != unit {
			t.Errorf("lock configuration: %v %v %v %v, %v", on, m, n, u, err)
		}
		byDefault := minioPut(t, c, b, "default", "x", minio.PutObjectOptions{})
		if m, until, err := c.GetObjectRetention(ctx, b, "default", ""); err != nil || *m != minio.Governance || time.Until(*until) < 47*time.Hour {
			t.Errorf("retention by default: %v until %v, %v", m, until, err)
		}
		until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		_, err := c.PutObject(ctx, b, "held", strings.NewReader("x"), 1, minio.PutObjectOptions{LegalHold: minio.LegalHoldEnabled, DisableContentSha256: true})
		wantMinIOCode(t, "a lock on a body that nothing guards", err, "InvalidRequest")
		held := minioPut(t, c, b, "held", "x", minio.PutObjectOptions{Mode: minio.Governance, RetainUntilDate: until, LegalHold: minio.LegalHoldEnabled, SendContentMd5: true})
		hold, err := c.GetObjectLegalHold(ctx, b, "held", minio.GetObjectLegalHoldOptions{})
		if err != nil || *hold != minio.LegalHoldEnabled {
			t.Errorf("legal hold: %v, %v", hold, err)
		}
		err = c.RemoveObject(ctx, b, "held", minio.RemoveObjectOptions{VersionID: held.VersionID, GovernanceBypass: true})
		wantMinIOCode(t, "remove what is held", err, "AccessDenied")
		off := minio.LegalHoldDisabled
		if err := c.PutObjectLegalHold(ctx, b, "held", minio.PutObjectLegalHoldOptions{Status: &off}); err != nil {
			t.Fatal(err)
		}
		earlier := until.Add(-time.Minute)
		err = c.PutObjectRetention(ctx, b, "held", minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &earlier})
		wantMinIOCode(t, "shorten", err, "AccessDenied")
		if err := c.PutObjectRetention(ctx, b, "held", minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &earlier, GovernanceBypass: true}); err != nil {
			t.Error(err)
		}
		for key, id := range map[string]string{"held": held.VersionID, "default": byDefault.VersionID} {
			err := c.RemoveObject(ctx, b, key, minio.RemoveObjectOptions{VersionID: id})
			wantMinIOCode(t, "remove what is kept", err, "AccessDenied")
			if err := c.RemoveObject(ctx, b, key, minio.RemoveObjectOptions{VersionID: id, GovernanceBypass: true}); err != nil {
				t.Errorf("remove %s with bypass: %v", key, err)
			}
		}
	})
}

// Covers: PostObject.
func TestMinIOPostPolicy(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.minio(t, false), t.Context()
		b := minioBucket(t, c, "minio-posts", minio.MakeBucketOptions{})
		p := minio.NewPostPolicy()
		err := errors.Join(p.SetBucket(b), p.SetKeyStartsWith("in/"), p.SetExpires(time.Now().UTC().Add(time.Minute)), p.SetContentTypeStartsWith("text/"),
			p.SetContentLengthRange(1, 1000), p.SetUserMetadata("who", "minio"), p.SetSuccessStatusAction("201"))
		if err != nil {
			t.Fatal(err)
		}
		url, fields, err := c.PresignedPostPolicy(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		fields["key"], fields["Content-Type"] = "in/posted.txt", "text/x"
		a := postForm(t, d, url.String(), fields, []byte("posted"))
		if a.status != http.StatusCreated || !bytes.Contains(a.body, []byte("<Key>in/posted.txt</Key>")) {
			t.Errorf("post: %v", a)
		}
		stat, err := c.StatObject(ctx, b, "in/posted.txt", minio.StatObjectOptions{})
		if err != nil || stat.Size != 6 || stat.ContentType != "text/x" || stat.UserMetadata["Who"] != "minio" {
			t.Errorf("stat: %+v, %v", stat, err)
		}
		wantS3Error(t, "too much", postForm(t, d, url.String(), fields, make([]byte, 1001)), http.StatusBadRequest, "EntityTooLarge", "")
		fields["key"] = "out/posted.txt"
		wantS3Error(t, "another prefix", postForm(t, d, url.String(), fields, []byte("posted")), http.StatusForbidden, "AccessDenied", "")
	})
}

// postForm sends a form with a file, as a browser does.
func postForm(t testing.TB, d *deployment, url string, fields map[string]string, file []byte) answer {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := form.WriteField(name, fields[name]); err != nil {
			t.Fatal(err)
		}
	}
	w, err := form.CreateFormFile("file", "file.bin")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(file)
	if err := errors.Join(err, form.Close()); err != nil {
		t.Fatal(err)
	}
	return call(t, d.httpClient(t, 1), http.MethodPost, url, body.Bytes(), "Content-Type", form.FormDataContentType())
}

// Covers: GetObject, HeadObject, PutObject.
func TestMinIOReaders(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.minio(t, false), t.Context()
		b, body := minioBucket(t, c, "minio-readers", minio.MakeBucketOptions{}), content("reader", 3<<20+17)
		info, err := c.PutObject(ctx, b, "k", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		o, err := c.GetObject(ctx, b, "k", minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// Seek and ReadAt, mixed, against a reader of the same bytes in memory.
		choices, want := newRand(seed(t), 0), bytes.NewReader(body)
		for range 60 {
			at, n := choices.Int64N(int64(len(body))), choices.IntN(100_000)
			got, expected := make([]byte, n), make([]byte, n)
			if choices.IntN(2) == 0 {
				gotN, gotErr := o.ReadAt(got, at)
				wantN, wantErr := want.ReadAt(expected, at)
				if gotN != wantN || !errors.Is(gotErr, wantErr) || !bytes.Equal(got, expected) {
					t.Fatalf("ReadAt %d bytes at %d: %d, %v, want %d, %v", n, at, gotN, gotErr, wantN, wantErr)
				}
				continue
			}
			if _, err := o.Seek(at, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if _, err := want.Seek(at, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			gotN, _ := io.ReadFull(o, got) // ends early at the object's end, as below
			wantN, _ := io.ReadFull(want, expected)
			if gotN != wantN || !bytes.Equal(got, expected) {
				t.Fatalf("%d bytes from %d: %d, want %d", n, at, gotN, wantN)
			}
		}
		if at, err := o.Seek(-10, io.SeekEnd); err != nil || at != int64(len(body))-10 {
			t.Errorf("seek from the end: %d, %v", at, err)
		}
		sameBytes(t, "the last bytes", drain(t, o), body[len(body)-10:])
		var ranged minio.GetObjectOptions
		if err := errors.Join(ranged.SetRange(1000, 1999), ranged.SetMatchETag(info.ETag)); err != nil {
			t.Fatal(err)
		}
		if o, err = c.GetObject(ctx, b, "k", ranged); err != nil {
			t.Fatal(err)
		}
		sameBytes(t, "a range", drain(t, o), body[1000:2000])
		var create minio.PutObjectOptions
		create.SetMatchETagExcept("*")
		_, err = c.PutObject(ctx, b, "k", strings.NewReader("x"), 1, create)
		wantMinIOCode(t, "create what exists", err, "PreconditionFailed")
		var swap minio.PutObjectOptions
		swap.SetMatchETag(info.ETag)
		if _, err := c.PutObject(ctx, b, "k", strings.NewReader("swapped"), 7, swap); err != nil {
			t.Error(err)
		}
		_, err = c.PutObject(ctx, b, "k", strings.NewReader("x"), 1, swap)
		wantMinIOCode(t, "swap the swapped", err, "PreconditionFailed")
	})
}

package compattests

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// archive is what changes now and then, and can be shown whole: every answer of the API about it.
type archive struct {
	c       *s3.Client
	bucket  string
	uploads []*upload // in progress
}

// versionedBucket makes a bucket that keeps versions.
func versionedBucket(t testing.TB, c *s3.Client, name string) string {
	t.Helper()
	_, err := c.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: aws.String(bucket(t, c, name)),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func newArchive(t *testing.T, d *deployment) *archive {
	c := d.sdk(t)
	return &archive{c: c, bucket: versionedBucket(t, c, "archive")}
}

// change adds, replaces and removes some of everything.
func (a *archive) change(t *testing.T, round int) {
	t.Helper()
	ctx, b := t.Context(), &a.bucket
	failed := func(errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	name := fmt.Sprintf("a//b/%d ü", round)
	_, err := a.c.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: &name, Body: bytes.NewReader(content(name, 3000)), ContentType: aws.String("text/x-odd"),
		Metadata: map[string]string{"round": fmt.Sprint(round)}, Tagging: aws.String("made=in&round=" + fmt.Sprint(round))})
	failed(err)
	var ids []*string
	for i := range 4 {
		ids = append(ids, put(t, a.c, a.bucket, "versions", content(fmt.Sprint("versions", round, i), 10<<i)).VersionId)
	}
	_, err = a.c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: b, Key: aws.String("versions"), VersionId: ids[1],
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("round"), Value: aws.String(fmt.Sprint(round))}}}})
	failed(err)
	_, err = removeVersion(t, a.c, b, aws.String("versions"), ids[2])
	failed(err)
	marked := fmt.Sprint("marked", round%2)
	put(t, a.c, a.bucket, marked, nil)
	_, err = a.c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: &marked})
	failed(err)
	_, err = a.c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: b, Key: aws.String("copy"), CopySource: aws.String(a.bucket + "/versions")})
	failed(err)
	a.changeUploads(t, round)
	_, err = a.c.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: b, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("round"), Value: aws.String(fmt.Sprint(round))}}}})
	failed(err)
	_, err = a.c.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: b, CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{{
		AllowedMethods: []string{"GET"}, AllowedOrigins: []string{fmt.Sprintf("https://%d.example", round)}}}}})
	failed(err)
	bucket(t, a.c, fmt.Sprint("archive-", round))
	if round > 0 {
		_, err = a.c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String(fmt.Sprint("archive-", round-1))})
		failed(err)
	}
}

// changeUploads begins an upload, adds to one, completes one, and aborts one, once there are enough.
func (a *archive) changeUploads(t *testing.T, round int) {
	t.Helper()
	u := beginUpload(t, a.c, a.bucket, fmt.Sprint("upload", round%3))
	u.put(t, 1, content(fmt.Sprint("part", round), minPart))
	a.uploads = append(a.uploads, u)
	a.uploads[0].put(t, int32(2+round), content(fmt.Sprint("further", round), 1000))
	if len(a.uploads) < 4 {
		return
	}
	if _, err := a.uploads[1].complete(t.Context(), a.uploads[1].parts); err != nil {
		t.Fatal(err)
	}
	_, err := a.c.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: &a.bucket, Key: &a.uploads[2].key, UploadId: &a.uploads[2].id})
	if err != nil {
		t.Fatal(err)
	}
	a.uploads = slices.Delete(a.uploads, 1, 3)
}

// show is all that the API says of the archive.
func (a *archive) show(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	say := func(what string, err error, values ...any) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		fmt.Fprintf(&b, "%s: %q\n", what, values)
	}
	ctx := t.Context()
	list, err := a.c.ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, bucket := range list.Buckets {
		say("bucket", nil, *bucket.Name, bucket.CreationDate.String())
	}
	versioning, err := a.c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &a.bucket})
	say("versioning", err, versioning.Status)
	tags, err := a.c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &a.bucket})
	say("tags", err, tagText(tags.TagSet))
	cors, err := a.c.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: &a.bucket})
	say("cors", err, fmt.Sprint(cors.CORSRules[0].AllowedOrigins))
	a.showVersions(t, say)
	a.showUploads(t, say)
	return b.String()
}

func tagText(tags []types.Tag) string {
	var b strings.Builder
	for _, tag := range tags {
		fmt.Fprintf(&b, "%s=%s ", *tag.Key, *tag.Value)
	}
	return b.String()
}

func (a *archive) showVersions(t *testing.T, say func(string, error, ...any)) {
	t.Helper()
	for pages := s3.NewListObjectVersionsPaginator(a.c, &s3.ListObjectVersionsInput{Bucket: &a.bucket}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.DeleteMarkers {
			say("marker", nil, *m.Key, *m.VersionId, m.LastModified.String(), *m.IsLatest)
		}
		for _, v := range page.Versions {
			say("version", nil, *v.Key, *v.VersionId, v.LastModified.String(), *v.IsLatest, *v.ETag, *v.Size)
			out, err := a.c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &a.bucket, Key: v.Key, VersionId: v.VersionId})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(out.Body)
			_ = out.Body.Close() // read only
			say("  body", err, sha(body), aws.ToString(out.ContentType), fmt.Sprint(slices.Sorted(maps.Keys(out.Metadata))), out.Metadata["round"])
			tags, err := a.c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &a.bucket, Key: v.Key, VersionId: v.VersionId})
			say("  tags", err, tagText(tags.TagSet))
		}
	}
}

func (a *archive) showUploads(t *testing.T, say func(string, error, ...any)) {
	t.Helper()
	uploads, err := a.c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &a.bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range uploads.Uploads {
		say("upload", nil, *u.Key, *u.UploadId, u.Initiated.String())
		parts, err := a.c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &a.bucket, Key: u.Key, UploadId: u.UploadId})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts.Parts {
			say("  part", nil, *p.PartNumber, *p.ETag, *p.Size, p.LastModified.String())
		}
	}
}

package s3api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// TestSDKVersions: what a client of today's SDK sees of versions and delete
// markers.
//
// Covers: PutBucketVersioning, GetBucketVersioning, PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects, CopyObject.
func TestSDKVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	c, ctx, bkt, key := s.sdk(), t.Context(), aws.String("bkt"), aws.String("dir/a b+c ü")
	if got, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bkt}); err != nil || got.Status != "" || got.MFADelete != "" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: bkt,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled, MFADelete: types.MFADeleteDisabled}}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bkt}); err != nil || got.Status != types.BucketVersioningStatusEnabled {
		t.Fatalf("got %+v, %v", got, err)
	}
	put := func(body string) string {
		t.Helper()
		out, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bkt, Key: key, Body: strings.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.VersionId)
	}
	v1, v2 := put("one"), put("two")
	got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bkt, Key: key, VersionId: &v1})
	if err != nil {
		t.Fatal(err)
	}
	if b := body(t, got.Body); b != "one" || aws.ToString(got.VersionId) != v1 {
		t.Errorf("got %q of %v", b, got.VersionId)
	}
	del, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bkt, Key: key})
	if err != nil || !aws.ToBool(del.DeleteMarker) || len(aws.ToString(del.VersionId)) != 32 {
		t.Fatalf("delete: %+v, %v", del, err)
	}
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: bkt, Key: key})
	var noKey *types.NoSuchKey
	if !errors.As(err, &noKey) {
		t.Errorf("got %v", err)
	}
	wantMarker(t, err, http.StatusNotFound, *del.VersionId)
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: bkt, Key: key, VersionId: del.VersionId})
	wantCode(t, err, "MethodNotAllowed")
	wantMarker(t, err, http.StatusMethodNotAllowed, *del.VersionId)
	_, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bkt, Key: key})
	var notFound *types.NotFound
	if !errors.As(err, &notFound) {
		t.Errorf("got %v", err)
	}
	wantMarker(t, err, http.StatusNotFound, *del.VersionId)
	_, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bkt, Key: key, VersionId: del.VersionId})
	wantCode(t, err, "MethodNotAllowed")
	wantMarker(t, err, http.StatusMethodNotAllowed, *del.VersionId)

	cp, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bkt, Key: key, CopySource: aws.String("bkt/dir/a%20b%2Bc%20%C3%BC?versionId=" + v1)})
	if err != nil || aws.ToString(cp.CopySourceVersionId) != v1 || len(aws.ToString(cp.VersionId)) != 32 {
		t.Errorf("copy: %+v, %v", cp, err)
	}
	many, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bkt, Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: key, VersionId: del.VersionId}, {Key: key, VersionId: &v2}, {Key: key}, {Key: key, VersionId: aws.String("bogus")}}}})
	if err != nil || len(many.Deleted) != 3 || len(many.Errors) != 1 {
		t.Fatalf("delete: %+v, %v", many, err)
	}
	if d := many.Deleted[0]; *d.VersionId != *del.VersionId || !*d.DeleteMarker || *d.DeleteMarkerVersionId != *del.VersionId {
		t.Errorf("marker: %+v", d)
	}
	if d := many.Deleted[1]; *d.VersionId != v2 || d.DeleteMarker != nil || d.DeleteMarkerVersionId != nil {
		t.Errorf("version: %+v", d)
	}
	if d := many.Deleted[2]; d.VersionId != nil || !*d.DeleteMarker || len(*d.DeleteMarkerVersionId) != 32 {
		t.Errorf("key: %+v", d)
	}
	if e := many.Errors[0]; *e.Code != "NoSuchVersion" || *e.VersionId != "bogus" {
		t.Errorf("error: %+v", e)
	}
}

// wantMarker fails unless err came with the headers of a delete marker.
func wantMarker(t *testing.T, err error, status int, id string) {
	t.Helper()
	var e *smithyhttp.ResponseError
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	h := e.HTTPResponse().Header
	if e.HTTPStatusCode() != status || h.Get("x-amz-delete-marker") != "true" || h.Get("x-amz-version-id") != id {
		t.Errorf("got %d, %v", e.HTTPStatusCode(), h)
	}
	if allow := h.Get("Allow"); (status == http.StatusMethodNotAllowed) != (allow == "DELETE") {
		t.Errorf("Allow is %q of a %d", allow, status)
	}
	if _, err := time.Parse(time.RFC1123, h.Get("Last-Modified")); status == http.StatusMethodNotAllowed && err != nil {
		t.Error(err)
	}
}

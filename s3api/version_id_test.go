package s3api_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api"
)

// another is an id that no version has.
const another = "0123456789abcdefghijklmnopqrstuv"

// TestVersionHeaders: what a write and a read say of the version, in each state
// of a bucket.
//
// Covers: PutObject, GetObject, HeadObject, GetObjectAcl.
func TestVersionHeaders(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	reads := func(id string) {
		t.Helper()
		for _, query := range []string{"", "?partNumber=1"} {
			s.get("/bkt/key"+query).wantHeader("x-amz-version-id", id, "x-amz-delete-marker", "")
			s.head("/bkt/key"+query).wantHeader("x-amz-version-id", id, "x-amz-delete-marker", "")
		}
		s.get("/bkt/key?acl").want(200).wantHeader("x-amz-version-id", id)
		s.get("/bkt/key", "Range", "bytes=0-0").want(206).wantHeader("x-amz-version-id", id)
		etag := s.head("/bkt/key").header.Get("ETag")
		s.get("/bkt/key", "If-None-Match", etag).want(304).wantHeader("x-amz-version-id", id, "ETag", etag)
	}
	s.put("/bkt/key", "unversioned").want(200).wantHeader("x-amz-version-id", "")
	reads("")
	s.setVersioning("bkt", "Enabled")
	reads("null")
	v1 := s.putVersion("/bkt/key", "one")
	reads(v1)
	v2 := s.putVersion("/bkt/key", "two")
	reads(v2)
	s.setVersioning("bkt", "Suspended")
	reads(v2)
	s.put("/bkt/key", "suspended").want(200).wantHeader("x-amz-version-id", "")
	reads("null")
	if v1 == v2 {
		t.Error("two versions have the same id")
	}
	for id, body := range map[string]string{v1: "one", v2: "two", "null": "suspended"} {
		s.get("/bkt/key?versionId="+id).want(200).wantBody(body).wantHeader("x-amz-version-id", id)
		s.head("/bkt/key?versionId="+id).want(200).wantHeader("x-amz-version-id", id, "Content-Length", fmt.Sprint(len(body)))
		s.get("/bkt/key?acl&versionId="+id).want(200).wantHeader("x-amz-version-id", id)
		s.get("/bkt/key?versionId="+id, "Range", "bytes=1-1").want(206).wantBody(body[1:2]).wantHeader("x-amz-version-id", id)
		s.get("/bkt/key?versionId="+id, "If-Match", etagOf("other")).wantError(412, "PreconditionFailed", "")
	}
}

// TestVersionIDs: what is no id, what is none of the key's, and what takes none.
//
// Covers: GetObject, HeadObject, DeleteObject, GetObjectAcl.
func TestVersionIDs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	v1 := s.putVersion("/bkt/key", "x")
	other := s.putVersion("/bkt/other", "y")
	const ulidLike, uuidLike = "01bx5zzkbkactav9wevgemmvrz", "a1b2c3d4_0000-4000-8000-0123456789ab"
	const empty, invalid, none = "Version id cannot be the empty string", "Invalid version id specified", "The specified version does not exist."
	for _, bad := range []string{"abc", "invalid_versionId", v1[:31], v1 + "0", "NULL", " " + v1[1:], strings.Repeat("!", 32), strings.Repeat("é", 16), ulidLike, uuidLike} {
		path := "/bkt/key?versionId=" + urlQuery(bad)
		s.get(path).wantError(400, "InvalidArgument", invalid, "ArgumentName", "versionId", "ArgumentValue", bad)
		s.get(path+"&acl").wantError(400, "InvalidArgument", invalid, "ArgumentName", "versionId", "ArgumentValue", bad)
		s.delete(path).wantError(400, "InvalidArgument", invalid, "ArgumentName", "versionId", "ArgumentValue", bad)
		s.head(path).want(400).wantBody("")
	}
	for _, path := range []string{"/bkt/key?versionId=", "/bkt/key?versionId"} {
		s.get(path).wantError(400, "InvalidArgument", empty, "ArgumentName", "versionId", "ArgumentValue", "")
		s.delete(path).wantError(400, "InvalidArgument", empty, "ArgumentName", "versionId", "ArgumentValue", "")
		s.head(path).want(400)
	}
	twice := "/bkt/key?versionId=" + v1 + "&versionId=" + other
	s.get(twice).wantError(400, "InvalidArgument", invalid, "ArgumentValue", v1+", "+other)
	s.delete(twice).wantError(400, "InvalidArgument", invalid)
	const uuid, ulid = "a1b2c3d4-0000-4000-8000-0123456789ab", "01BX5ZZKBKACTAV9WEVGEMMVRZ" // as other stores name versions
	for _, gone := range []string{another, other, "null", uuid, ulid} {
		for _, key := range []string{"key", "none"} {
			path := "/bkt/" + key + "?versionId=" + gone
			s.get(path).wantError(404, "NoSuchVersion", none, "Key", key, "VersionId", gone).wantHeader("x-amz-delete-marker", "", "x-amz-version-id", "")
			s.get(path+"&acl").wantError(404, "NoSuchVersion", none, "Key", key, "VersionId", gone)
			s.head(path).want(404).wantBody("").wantHeader("x-amz-delete-marker", "")
		}
	}
	s.get("/none/key?versionId="+v1).wantError(404, "NoSuchBucket", "")
	s.get("/bkt/key").want(200).wantBody("x").wantHeader("x-amz-version-id", v1)

	// In a bucket that never was versioned there is the null version only.
	s.bucket("plain")
	s.put("/plain/key", "x").want(200)
	s.get("/plain/key?versionId=null").want(200).wantBody("x").wantHeader("x-amz-version-id", "")
	s.get("/plain/key?versionId="+another).wantError(404, "NoSuchVersion", none, "VersionId", another)
	s.get("/plain/none?versionId=null").wantError(404, "NoSuchVersion", none)
	s.get("/plain/key?versionId=abc").wantError(400, "InvalidArgument", invalid)
	s.delete("/plain/key?versionId="+another).want(204).wantHeader("x-amz-version-id", another, "x-amz-delete-marker", "")
	s.get("/plain/key").want(200)
	s.delete("/plain/key?versionId=null").want(204).wantHeader("x-amz-version-id", "null", "x-amz-delete-marker", "")
	s.get("/plain/key").wantError(404, "NoSuchKey", "")
}

// Covers: PutObject, CopyObject, CreateMultipartUpload, UploadPart, UploadPartCopy, CompleteMultipartUpload, AbortMultipartUpload, ListParts.
func TestVersionIDRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	id := s.putVersion("/bkt/key", "x")
	upload := s.post("/bkt/mp?uploads", "").want(200).text("UploadId")
	source := map[string]string{"x-amz-copy-source": "/bkt/key"}
	for _, rq := range []request{
		{method: "PUT", path: "/bkt/key?x=y", body: "new"},
		{method: "PUT", path: "/bkt/key?x=y", header: source},
		{method: "POST", path: "/bkt/mp?uploads"},
		{method: "PUT", path: "/bkt/mp?partNumber=1&uploadId=" + upload, body: "new"},
		{method: "PUT", path: "/bkt/mp?partNumber=1&uploadId=" + upload, header: source},
		{method: "POST", path: "/bkt/mp?uploadId=" + upload, body: "<CompleteMultipartUpload/>"},
		{method: "DELETE", path: "/bkt/mp?uploadId=" + upload},
		{method: "GET", path: "/bkt/mp?uploadId=" + upload},
	} {
		path := rq.path
		for _, version := range []string{id, "abc", "", "null"} {
			rq.path = path + "&versionId=" + version
			s.do(rq).wantError(400, "InvalidArgument", "This operation does not accept a version-id.", "ArgumentName", "versionId", "ArgumentValue", version)
		}
	}
	s.get("/bkt/key").want(200).wantBody("x").wantHeader("x-amz-version-id", id)
	s.get("/bkt/mp?uploadId=" + upload).want(200)
}

// TestVersionPermissions: naming a version asks for another permission.
//
// Covers: GetObject, DeleteObject.
func TestVersionPermissions(t *testing.T) {
	t.Parallel()
	var asked []string
	s := newServer(t, func(c *s3api.Config) {
		c.Authorizer = authorizerFunc(func(_ context.Context, a s3api.Access) error {
			asked = append(asked, a.Permission+" "+a.Key+" "+a.VersionID)
			if strings.HasSuffix(a.Permission, "Version") {
				return s3api.ErrDenied
			}
			return nil
		})
	})
	s.versioned("bkt")
	id := s.putVersion("/bkt/key", "x")
	as := func(method, path string) *result {
		return s.do(request{method: method, path: path, key: userKey, secret: userSecret})
	}
	as("GET", "/bkt/key").want(200)
	as("GET", "/bkt/key?versionId="+id).wantError(403, "AccessDenied", "Access Denied")
	as("DELETE", "/bkt/key?versionId="+id).wantError(403, "AccessDenied", "Access Denied")
	as("DELETE", "/bkt/key").want(204)
	want := "s3:GetObject key |s3:GetObjectVersion key " + id + "|s3:DeleteObjectVersion key " + id + "|s3:DeleteObject key "
	if got := strings.Join(asked, "|"); got != want {
		t.Errorf("asked for %s", got)
	}
	s.get("/bkt/key?versionId=" + id).want(200)
}

// Covers: CopyObject.
func TestCopyVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("src")
	s.versioned("dst")
	s.bucket("plain")
	v1 := s.putVersion("/src/a b", "one")
	v2 := s.putVersion("/src/a b", "two")
	copied := func(dst, source, from, body string) string {
		t.Helper()
		r := s.put(dst, "", "x-amz-copy-source", source).want(200).wantHeader("x-amz-copy-source-version-id", from)
		id := r.header.Get("x-amz-version-id")
		s.get(dst).want(200).wantBody(body).wantHeader("x-amz-version-id", id)
		return id
	}
	if id := copied("/dst/key", "/src/a%20b", v2, "two"); len(id) != 32 || id == v2 {
		t.Errorf("id %q", id)
	}
	copied("/dst/key", "src/a%20b?versionId="+v1, v1, "one")
	copied("/dst/key", "src/a+b?versionId="+strings.ReplaceAll(v1, "0", "%30"), v1, "one")
	if id := copied("/plain/key", "/src/a%20b?versionId="+v1, v1, "one"); id != "" {
		t.Errorf("id %q in a bucket without versions", id)
	}
	copied("/plain/key2", "/plain/key", "", "one")
	copied("/dst/key", "/plain/key?versionId=null", "", "one")
	// The bucket's null version has a name once there are others.
	s.setVersioning("plain", "Enabled")
	copied("/dst/key", "/plain/key", "null", "one")
	copied("/dst/key", "/plain/key?versionId=null", "null", "one")
	s.setVersioning("dst", "Suspended")
	r := s.put("/dst/key", "", "x-amz-copy-source", "/src/a%20b").want(200)
	r.wantHeader("x-amz-version-id", "", "x-amz-copy-source-version-id", v2)
	s.get("/dst/key").want(200).wantHeader("x-amz-version-id", "null")

	for _, tt := range []struct {
		source        string
		status        int
		code, message string
		fields        []string
	}{
		{"/src/a%20b?versionId=abc", 400, "InvalidArgument", "Invalid version id specified", []string{"ArgumentName", "x-amz-copy-source", "ArgumentValue", "abc"}},
		{"/src/a%20b?versionId=", 400, "InvalidArgument", "Version id cannot be the empty string", []string{"ArgumentName", "x-amz-copy-source", "ArgumentValue", ""}},
		{"/src/a%20b?versionId=" + another, 404, "NoSuchVersion", "The specified version does not exist.", []string{"Key", "a b", "VersionId", another}},
		{"/src/none?versionId=" + v1, 404, "NoSuchVersion", "The specified version does not exist.", []string{"Key", "none", "VersionId", v1}},
		{"/src/a%20b?versionId=null", 404, "NoSuchVersion", "", []string{"VersionId", "null"}},
		{"/none/a?versionId=" + v1, 404, "NoSuchBucket", "", []string{"BucketName", "none"}},
	} {
		s.put("/dst/new", "", "x-amz-copy-source", tt.source).wantError(tt.status, tt.code, tt.message, tt.fields...)
	}
	s.get("/dst/new").wantError(404, "NoSuchKey", "")
}

// TestRestoreByCopy: an old version copied over its own key is the current one
// again; a copy that names no version changes nothing, and is refused.
//
// Covers: CopyObject.
func TestRestoreByCopy(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	v1 := s.put("/bkt/key", "one", "x-amz-meta-name", "value", "Content-Type", "text/plain").want(200).header.Get("x-amz-version-id")
	v2 := s.putVersion("/bkt/key", "two")
	const illegal = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
	s.put("/bkt/key", "", "x-amz-copy-source", "/bkt/key").wantError(400, "InvalidRequest", illegal)
	v3 := s.put("/bkt/key", "", "x-amz-copy-source", "/bkt/key?versionId="+v1).want(200).
		wantHeader("x-amz-copy-source-version-id", v1).header.Get("x-amz-version-id")
	s.get("/bkt/key").want(200).wantBody("one").
		wantHeader("x-amz-version-id", v3, "x-amz-meta-name", "value", "Content-Type", "text/plain", "ETag", etagOf("one"))
	s.get("/bkt/key?versionId=" + v2).want(200).wantBody("two")
	s.get("/bkt/key?versionId=" + v1).want(200).wantBody("one")
	// Also behind a delete marker, and from the version that is current.
	s.mark("/bkt/key")
	v4 := s.put("/bkt/key", "", "x-amz-copy-source", "/bkt/key?versionId="+v2).want(200).header.Get("x-amz-version-id")
	s.get("/bkt/key").want(200).wantBody("two").wantHeader("x-amz-version-id", v4)
	s.put("/bkt/key", "", "x-amz-copy-source", "/bkt/key?versionId="+v4).want(200)
	s.bucket("plain")
	s.put("/plain/key", "x").want(200)
	s.put("/plain/key", "", "x-amz-copy-source", "/plain/key?versionId=null").wantError(400, "InvalidRequest", illegal)
}

// TestMultipartVersions: an upload makes one version, however often it is
// completed; its parts may come from versions.
//
// Covers: CompleteMultipartUpload, UploadPartCopy.
func TestMultipartVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	v1 := s.putVersion("/bkt/src", "one")
	v2 := s.putVersion("/bkt/src", "two!")
	old := s.putVersion("/bkt/mp", "old")
	marker := s.mark("/bkt/gone")
	upload := s.post("/bkt/mp?uploads", "").want(200).wantHeader("x-amz-version-id", "").text("UploadId")
	part := "/bkt/mp?partNumber=1&uploadId=" + upload
	s.put(part, "x").want(200).wantHeader("x-amz-version-id", "")
	s.put(part, "", "x-amz-copy-source", "/bkt/src").want(200).wantHeader("x-amz-copy-source-version-id", v2, "x-amz-version-id", "")
	s.put(part, "", "x-amz-copy-source", "/bkt/src?versionId="+another).wantError(404, "NoSuchVersion", "", "Key", "src", "VersionId", another)
	s.put(part, "", "x-amz-copy-source", "/bkt/src?versionId=abc").wantError(400, "InvalidArgument", "Invalid version id specified", "ArgumentValue", "abc")
	s.put(part, "", "x-amz-copy-source", "/bkt/gone").wantError(404, "NoSuchKey", "", "Key", "gone").
		wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", marker)
	s.put(part, "", "x-amz-copy-source", "/bkt/gone?versionId="+marker).
		wantError(400, "InvalidRequest", "The source of a copy request may not specifically refer to a delete marker by version id.")
	r := s.put(part, "", "x-amz-copy-source", "/bkt/src?versionId="+v1, "x-amz-copy-source-range", "bytes=0-1").want(200).
		wantHeader("x-amz-copy-source-version-id", v1)
	doc := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + r.text("ETag") + "</ETag></Part></CompleteMultipartUpload>"
	done := s.post("/bkt/mp?uploadId="+upload, doc).want(200)
	id := done.header.Get("x-amz-version-id")
	if len(id) != 32 || id == old {
		t.Errorf("version id %q", id)
	}
	s.post("/bkt/mp?uploadId="+upload, doc).want(200).wantBody(done.body).wantHeader("x-amz-version-id", id)
	s.get("/bkt/mp").want(200).wantBody("on").wantHeader("x-amz-version-id", id)
	s.get("/bkt/mp?versionId=" + old).want(200).wantBody("old")
	s.get("/bkt/mp?partNumber=1&versionId="+id).want(206).wantHeader("x-amz-version-id", id, "x-amz-mp-parts-count", "1")
	// Also when another version has come since, or the object is gone.
	s.mark("/bkt/mp")
	s.post("/bkt/mp?uploadId="+upload, doc).want(200).wantHeader("x-amz-version-id", id)
	s.get("/bkt/mp").wantError(404, "NoSuchKey", "")

	s.setVersioning("bkt", "Suspended")
	upload = s.post("/bkt/mp?uploads", "").want(200).text("UploadId")
	sum := md5Hex("body")
	s.put("/bkt/mp?partNumber=1&uploadId="+upload, "body").want(200)
	doc = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + sum + "</ETag></Part></CompleteMultipartUpload>"
	s.post("/bkt/mp?uploadId="+upload, doc).want(200).wantHeader("x-amz-version-id", "")
	s.get("/bkt/mp").want(200).wantBody("body").wantHeader("x-amz-version-id", "null")
	s.post("/bkt/mp?uploadId="+upload, doc).want(200).wantHeader("x-amz-version-id", "")
}

// TestLateVersion: an answer that is late has sent its headers; the version is
// there all the same.
//
// Covers: CompleteMultipartUpload.
func TestLateVersion(t *testing.T) {
	t.Parallel()
	const late = time.Second // for all but the one that waits
	s := newServer(t, func(c *s3api.Config) { c.KeepAlive = late })
	s.versioned("bkt")
	upload := s.post("/bkt/mp?uploads", "").want(200).text("UploadId")
	s.put("/bkt/mp?partNumber=1&uploadId="+upload, "body").want(200)
	made := make(chan string, 1)
	s.hooks.completeUpload = func(ctx context.Context, req meta.CompleteRequest) (meta.Object, error) {
		time.Sleep(late + 200*time.Millisecond)
		obj, err := s.hooks.Backend.CompleteUpload(ctx, req)
		made <- obj.VersionID
		return obj, err
	}
	doc := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + md5Hex("body") + "</ETag></Part></CompleteMultipartUpload>"
	s.post("/bkt/mp?uploadId="+upload, doc).want(200).wantHeader("x-amz-version-id", "")
	id := <-made
	s.head("/bkt/mp").want(200).wantHeader("x-amz-version-id", id)
	s.post("/bkt/mp?uploadId="+upload, doc).want(200).wantHeader("x-amz-version-id", id)
}

func md5Hex(s string) string { return strings.Trim(etagOf(s), `"`) }

func urlQuery(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteString("%" + hex.EncodeToString([]byte{c}))
	}
	return b.String()
}

package s3api_test

import (
	"fmt"
	"testing"
	"time"
)

const (
	noSuchKey  = "The specified key does not exist."
	notAllowed = "The specified method is not allowed against this resource."
)

// TestReadDeleteMarker: to a read without a version there is nothing; a read of
// the marker itself is told what it is.
//
// Covers: GetObject, HeadObject, GetObjectAcl, GetObjectTagging.
func TestReadDeleteMarker(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	v1 := s.putVersion("/bkt/key", "x")
	start := time.Now().Truncate(time.Second)
	first := s.mark("/bkt/key")
	marker := s.mark("/bkt/key")
	only := s.mark("/bkt/none")
	if first == marker || len(marker) != 32 {
		t.Errorf("markers %q and %q", first, marker)
	}
	etag := etagOf("x")
	conditions := [][]string{nil, {"Range", "bytes=0-0"}, {"Range", "bytes=7-"}, {"If-Match", etag}, {"If-Match", `"other"`}, {"If-None-Match", "*"},
		{"If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"}, {"If-Unmodified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"}, {"x-amz-checksum-mode", "ENABLED"}}
	for _, tt := range []struct{ key, marker string }{{"key", marker}, {"none", only}} {
		for _, query := range []string{"?x=y", "?partNumber=1", "?partNumber=2", "?response-content-type=a"} {
			for _, c := range conditions {
				path := "/bkt/" + tt.key + query
				s.get(path, c...).wantError(404, "NoSuchKey", noSuchKey, "Key", tt.key).
					wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", tt.marker, "ETag", "", "Last-Modified", "")
				s.head(path, c...).want(404).wantBody("").wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", tt.marker, "ETag", "")

				path += "&versionId=" + tt.marker
				r := s.get(path, c...).wantError(405, "MethodNotAllowed", notAllowed, "Method", "GET", "ResourceType", "DeleteMarker").
					wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", tt.marker, "Allow", "DELETE", "ETag", "")
				r.wantModified(start)
				r = s.head(path, c...).want(405).wantBody("").
					wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", tt.marker, "Allow", "DELETE", "ETag", "")
				r.wantModified(start)
			}
		}
		s.get("/bkt/"+tt.key+"?acl").wantError(404, "NoSuchKey", noSuchKey, "Key", tt.key).
			wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", tt.marker)
		s.get("/bkt/"+tt.key+"?acl&versionId="+tt.marker).wantError(405, "MethodNotAllowed", notAllowed, "Method", "GET", "ResourceType", "DeleteMarker").
			wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", tt.marker, "Allow", "DELETE")
		s.get("/bkt/"+tt.key+"?tagging").wantError(405, "MethodNotAllowed", notAllowed, "Method", "GET", "ResourceType", "DeleteMarker").
			wantHeader("Allow", "DELETE", "x-amz-delete-marker", "")
		s.get("/bkt/"+tt.key+"?tagging&versionId="+tt.marker).wantError(405, "MethodNotAllowed", notAllowed, "ResourceType", "DeleteMarker").
			wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", tt.marker, "Allow", "DELETE")
	}
	s.get("/bkt/key?versionId="+first).wantError(405, "MethodNotAllowed", notAllowed).wantHeader("x-amz-version-id", first)
	// What never was there has no marker, and what lies beneath one is there.
	s.get("/bkt/nothing").wantError(404, "NoSuchKey", noSuchKey).wantHeader("x-amz-delete-marker", "", "x-amz-version-id", "")
	s.head("/bkt/nothing").want(404).wantHeader("x-amz-delete-marker", "", "x-amz-version-id", "")
	s.get("/bkt/key?versionId="+v1).want(200).wantBody("x").wantHeader("x-amz-delete-marker", "", "x-amz-version-id", v1)
	s.get("/bkt").want(200)
	if got := fmt.Sprint(s.get("/bkt").texts("Key")); got != "[]" {
		t.Errorf("listed are %s", got)
	}
}

// TestMarkerIsNoObject: only DELETE applies to a delete marker; what would change
// the object says so even where it does not name the marker.
//
// Covers: GetObjectAttributes, GetObjectRetention, GetObjectLegalHold, PutObjectAcl, PutObjectTagging, DeleteObjectTagging, PutObjectRetention, PutObjectLegalHold.
func TestMarkerIsNoObject(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.lockBucket("bkt")
	s.locked("/bkt/key")
	marker := s.mark("/bkt/key")
	tags := "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
	for _, rq := range []request{
		{method: "GET", path: "/bkt/key?attributes", header: map[string]string{"x-amz-object-attributes": "ETag"}},
		{method: "GET", path: "/bkt/key?retention"},
		{method: "GET", path: "/bkt/key?legal-hold"},
		{method: "PUT", path: "/bkt/key?acl", header: map[string]string{"x-amz-acl": "private"}},
		{method: "PUT", path: "/bkt/key?tagging", body: tags},
		{method: "DELETE", path: "/bkt/key?tagging"},
		{method: "PUT", path: "/bkt/key?retention", body: retention("GOVERNANCE", until(time.Hour))},
		{method: "PUT", path: "/bkt/key?legal-hold", body: legalHold("ON")},
	} {
		if rq.body != "" {
			rq.header = map[string]string{"Content-MD5": md5Of(rq.body)}
		}
		path := rq.path
		if rq.method == "GET" {
			s.do(rq).wantError(404, "NoSuchKey", noSuchKey, "Key", "key").wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", marker)
		} else {
			s.do(rq).wantError(405, "MethodNotAllowed", notAllowed, "Method", rq.method, "ResourceType", "DeleteMarker").
				wantHeader("Allow", "DELETE", "x-amz-delete-marker", "", "x-amz-version-id", "")
		}
		rq.path = path + "&versionId=" + marker
		s.do(rq).wantError(405, "MethodNotAllowed", notAllowed, "Method", rq.method, "ResourceType", "DeleteMarker").
			wantHeader("Allow", "DELETE", "x-amz-delete-marker", "true", "x-amz-version-id", marker)
		rq.path = path + "&versionId=" + another
		s.do(rq).wantError(404, "NoSuchVersion", "The specified version does not exist.", "Key", "key", "VersionId", another)
		rq.path = path + "&versionId=abc"
		s.do(rq).wantError(400, "InvalidArgument", "Invalid version id specified", "ArgumentValue", "abc")
	}
	s.delete("/bkt/key?versionId="+marker).want(204).wantHeader("x-amz-delete-marker", "true")
	s.get("/bkt/key").want(200).wantBody("body")
}

// wantModified fails unless Last-Modified lies between start and now.
func (r *result) wantModified(start time.Time) {
	r.t.Helper()
	at, err := time.Parse(time.RFC1123, r.header.Get("Last-Modified"))
	if err != nil || at.Before(start) || at.After(time.Now()) {
		r.t.Errorf("Last-Modified is %q: %v", r.header.Get("Last-Modified"), err)
	}
}

// Covers: CopyObject.
func TestCopyDeleteMarker(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	s.bucket("dst")
	v1 := s.putVersion("/bkt/key", "x")
	first := s.mark("/bkt/key")
	marker := s.mark("/bkt/key")
	for _, condition := range [][]string{nil, {"x-amz-copy-source-if-none-match", "*"}, {"x-amz-copy-source-if-match", etagOf("x")}} {
		s.put("/dst/key", "", append(condition, "x-amz-copy-source", "/bkt/key")...).wantError(404, "NoSuchKey", noSuchKey, "Key", "key").
			wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", marker)
		for _, id := range []string{first, marker} {
			s.put("/dst/key", "", append(condition, "x-amz-copy-source", "/bkt/key?versionId="+id)...).
				wantError(400, "InvalidRequest", "The source of a copy request may not specifically refer to a delete marker by version id.").
				wantHeader("x-amz-delete-marker", "", "x-amz-version-id", "")
		}
	}
	s.get("/dst/key").wantError(404, "NoSuchKey", "")
	s.put("/dst/key", "", "x-amz-copy-source", "/bkt/key?versionId="+v1).want(200).wantHeader("x-amz-copy-source-version-id", v1)
	// Onto a key that is deleted, a copy is like any write.
	s.put("/bkt/key", "", "x-amz-copy-source", "/dst/key").want(200)
	s.get("/bkt/key").want(200).wantBody("x")
}

// TestUndelete: a marker, or a version, that goes gives way to what came before.
//
// Covers: DeleteObject, GetObject, HeadObject, ListObjectsV2.
func TestUndelete(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	is := func(id, body string) {
		t.Helper()
		s.get("/bkt/key").want(200).wantBody(body).wantHeader("x-amz-version-id", id, "ETag", etagOf(body))
		s.head("/bkt/key").want(200).wantHeader("x-amz-version-id", id, "Content-Length", fmt.Sprint(len(body)))
		s.get("/bkt?list-type=2").want(200).wantXML("<KeyCount>1</KeyCount>", "<ETag>"+escape(etagOf(body))+"</ETag><ChecksumAlgorithm>", "<Size>"+fmt.Sprint(len(body))+"</Size>")
	}
	gone := func(marker string) {
		t.Helper()
		s.get("/bkt/key").wantError(404, "NoSuchKey", "").wantHeader("x-amz-version-id", marker)
		s.get("/bkt?list-type=2").want(200).wantXML("<KeyCount>0</KeyCount>")
	}
	v1, v2 := s.putVersion("/bkt/key", "one"), s.putVersion("/bkt/key", "two!")
	m1 := s.mark("/bkt/key")
	m2 := s.mark("/bkt/key")
	gone(m2)
	s.delete("/bkt/key?versionId="+m2).want(204).wantBody("").wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", m2)
	gone(m1)
	s.delete("/bkt/key?versionId="+m1).want(204).wantHeader("x-amz-delete-marker", "true", "x-amz-version-id", m1)
	is(v2, "two!")
	s.delete("/bkt/key?versionId="+v2).want(204).wantBody("").wantHeader("x-amz-delete-marker", "", "x-amz-version-id", v2)
	is(v1, "one")
	v3 := s.putVersion("/bkt/key", "three")
	s.delete("/bkt/key?versionId="+v1).want(204).wantHeader("x-amz-delete-marker", "", "x-amz-version-id", v1)
	is(v3, "three")
	s.delete("/bkt/key?versionId=" + v3).want(204)
	s.get("/bkt/key").wantError(404, "NoSuchKey", "").wantHeader("x-amz-delete-marker", "", "x-amz-version-id", "")
	s.delete("/bkt").want(204)
}

package s3api_test

import (
	"context"
	"testing"

	"tdkvs/master/meta"
)

const versioningMalformed = "The XML you provided was not well-formed or did not validate against our published schema."

// versioningDoc is a VersioningConfiguration of these inner elements.
func versioningDoc(inner string) string {
	return `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + inner + "</VersioningConfiguration>"
}

// setVersioning enables or suspends versioning.
func (s *server) setVersioning(bucket, status string) {
	s.t.Helper()
	s.put("/"+bucket+"?versioning", versioningDoc("<Status>"+status+"</Status>")).want(200)
}

// versioned makes a bucket with versioning enabled.
func (s *server) versioned(bucket string) {
	s.t.Helper()
	s.bucket(bucket)
	s.setVersioning(bucket, "Enabled")
}

// putVersion writes an object and returns the id of the new version.
func (s *server) putVersion(path, body string) string {
	s.t.Helper()
	id := s.put(path, body).want(200).header.Get("x-amz-version-id")
	if len(id) != 32 {
		s.t.Fatalf("version id %q", id)
	}
	return id
}

// mark deletes a key of a versioned bucket and returns the id of the delete
// marker.
func (s *server) mark(path string) string {
	s.t.Helper()
	r := s.delete(path).want(204).wantHeader("x-amz-delete-marker", "true")
	id := r.header.Get("x-amz-version-id")
	if id == "" {
		s.t.Fatal("the delete marker has no id")
	}
	return id
}

// Covers: GetBucketVersioning, PutBucketVersioning.
func TestBucketVersioning(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	get := func(inner string) {
		t.Helper()
		s.get("/bkt?versioning").want(200).wantHeader("Content-Type", "application/xml").
			wantBody(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + versioningDoc(inner))
	}
	get("")
	for _, status := range []string{"Suspended", "Enabled", "Enabled", "Suspended", "Suspended", "Enabled"} {
		s.put("/bkt?versioning", versioningDoc("<Status>"+status+"</Status>")).want(200).wantBody("").wantHeader("Content-Length", "0")
		get("<Status>" + status + "</Status>")
	}
	// Versioning is of one bucket, and goes with it.
	s.bucket("other")
	s.get("/other?versioning").want(200).wantBody(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + versioningDoc(""))
	s.delete("/bkt").want(204)
	s.bucket("bkt")
	get("")
}

// Covers: PutBucketVersioning.
func TestPutBucketVersioningDocuments(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	enabled := versioningDoc("<Status>Enabled</Status>")
	for _, good := range []string{
		enabled, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + enabled, "\n <!-- c --> " + enabled + "\n",
		"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
		versioningDoc("\n  <Status>Enabled</Status>\n"), versioningDoc("<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>"),
		versioningDoc("<MfaDelete>Disabled</MfaDelete><Status>Enabled</Status>"), versioningDoc("<Status>Enabled</Status><MfaDelete></MfaDelete>"),
		versioningDoc("<Status>Enabled</Status><MfaDelete/>"),
	} {
		s.setVersioning("bkt", "Suspended")
		s.put("/bkt?versioning", good).want(200)
		s.get("/bkt?versioning").want(200).wantXML("<Status>Enabled</Status></VersioningConfiguration>")
	}
	s.setVersioning("bkt", "Suspended")
	for _, tt := range []struct {
		doc           string
		status        int
		code, message string
	}{
		{versioningDoc(""), 400, "IllegalVersioningConfigurationException", "The Versioning element must be specified"},
		{"<VersioningConfiguration/>", 400, "IllegalVersioningConfigurationException", "The Versioning element must be specified"},
		{versioningDoc("<Status></Status>"), 400, "IllegalVersioningConfigurationException", "The Versioning element must be specified"},
		{versioningDoc("<MfaDelete>Disabled</MfaDelete>"), 400, "IllegalVersioningConfigurationException", "The Versioning element must be specified"},
		{versioningDoc("<Status>Disabled</Status>"), 400, "MalformedXML", versioningMalformed},
		{versioningDoc("<Status>enabled</Status>"), 400, "MalformedXML", versioningMalformed},
		{versioningDoc("<Status>ENABLED</Status>"), 400, "MalformedXML", versioningMalformed},
		{versioningDoc("<Status> Enabled </Status>"), 400, "MalformedXML", versioningMalformed},
		{versioningDoc("<Status>Enabled</Status><Status>Suspended</Status>"), 400, "MalformedXML", versioningMalformed},
		{versioningDoc("<Status>Enabled</Status><Foo>bar</Foo>"), 400, "MalformedXML", versioningMalformed},
		{versioningDoc("<Status><Enabled/></Status>"), 400, "MalformedXML", versioningMalformed},
		{versioningDoc("<Status>Enabled</Status><MfaDelete>disabled</MfaDelete>"), 400, "MalformedXML", versioningMalformed},
		{versioningDoc("<Status>Enabled</Status>text"), 400, "MalformedXML", versioningMalformed},
		{versioningDoc("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"), 403, "AccessDenied", "Mfa Authentication must be used for this request"},
		{enabled[:len(enabled)-3], 400, "MalformedXML", versioningMalformed},
		{enabled + enabled, 400, "MalformedXML", versioningMalformed},
		{"<Versioning><Status>Enabled</Status></Versioning>", 400, "MalformedXML", versioningMalformed},
		{`{"Status": "Enabled"}`, 400, "MalformedXML", versioningMalformed},
		{"", 400, "MissingRequestBodyError", "Request Body is empty"},
	} {
		s.put("/bkt?versioning", tt.doc).wantError(tt.status, tt.code, tt.message)
	}
	s.put("/bkt?versioning", versioningDoc("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"), "x-amz-mfa", "serial 123456").
		wantError(501, "NotImplemented", "MFA delete is not implemented.")
	s.put("/bkt?versioning", enabled, "Content-MD5", md5Of("other")).wantError(400, "BadDigest", "")
	s.put("/bkt?versioning", enabled, "Content-MD5", "short").wantError(400, "InvalidDigest", "")
	s.put("/bkt?versioning", enabled, "x-amz-checksum-crc32", "AAAAAA==").wantError(400, "BadDigest", "")
	s.get("/bkt?versioning").want(200).wantXML("<Status>Suspended</Status>")
	s.put("/bkt?versioning", enabled, "Content-MD5", md5Of(enabled)).want(200)
	s.get("/bkt?versioning").want(200).wantXML("<Status>Enabled</Status>")

	s.put("/none?versioning", enabled).wantError(404, "NoSuchBucket", "The specified bucket does not exist.", "BucketName", "none")
	s.get("/none?versioning").wantError(404, "NoSuchBucket", "The specified bucket does not exist.", "BucketName", "none")
	s.delete("/bkt?versioning").wantError(405, "MethodNotAllowed", "").wantHeader("Allow", "GET, PUT")
	s.get("/bkt/key?versioning").wantError(405, "MethodNotAllowed", "")
}

// TestVersioningUnderObjectLock: what would take the versions' protection away
// is refused.
//
// Covers: PutBucketVersioning.
func TestVersioningUnderObjectLock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.versioned("bkt")
	if err := s.hooks.SetBucketLock(context.Background(), "bkt", meta.BucketLock{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	s.put("/bkt?versioning", versioningDoc("<Status>Suspended</Status>")).wantError(409, "InvalidBucketState",
		"An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
	s.setVersioning("bkt", "Enabled")
	s.get("/bkt?versioning").want(200).wantXML("<Status>Enabled</Status>")
}

// Covers: GetBucketVersioning, PutBucketVersioning.
func TestVersioningPermissions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for _, rq := range []request{
		{method: "PUT", path: "/bkt?versioning", body: versioningDoc("<Status>Enabled</Status>")},
		{method: "GET", path: "/bkt?versioning"},
	} {
		rq.key = "-"
		s.do(rq).wantError(403, "AccessDenied", "Access Denied")
		rq.key, rq.secret = userKey, userSecret
		s.do(rq).wantError(403, "AccessDenied", "Access Denied")
	}
	s.get("/bkt?versioning").want(200).wantBody(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + versioningDoc(""))
}

// TestDeleteVersionedBucket: a bucket that looks empty may hold versions.
//
// Covers: DeleteBucket.
func TestDeleteVersionedBucket(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const all = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
	s.bucket("bkt")
	s.put("/bkt/key", "x").want(200)
	s.delete("/bkt").wantError(409, "BucketNotEmpty", "The bucket you tried to delete is not empty.", "BucketName", "bkt")
	s.delete("/bkt/key").want(204)
	s.setVersioning("bkt", "Enabled")
	v1 := s.putVersion("/bkt/key", "x")
	s.delete("/bkt").wantError(409, "BucketNotEmpty", all, "BucketName", "bkt")
	marker := s.mark("/bkt/key")
	s.get("/bkt?list-type=2").want(200).wantXML("<KeyCount>0</KeyCount>")
	s.delete("/bkt").wantError(409, "BucketNotEmpty", all)
	s.delete("/bkt/key?versionId=" + v1).want(204)
	s.setVersioning("bkt", "Suspended")
	s.delete("/bkt").wantError(409, "BucketNotEmpty", all)
	s.delete("/bkt/key?versionId=" + marker).want(204)
	s.delete("/bkt").want(204)
}

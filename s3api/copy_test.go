package s3api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api"
)

// Covers: CopyObject.
func TestCopyObject(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.bucket("dst")
	s.put("/bkt/a%20b", "body", "Content-Type", "text/plain", "Cache-Control", "no-cache", "x-amz-meta-a", "1", "x-amz-tagging", "t=1",
		"x-amz-storage-class", "GLACIER_IR", "x-amz-website-redirect-location", "/x", "x-amz-checksum-sha1", "AsSeWURkz7X2uQYEZ4WDRzq2R28=").wantError(400, "BadDigest", "")
	s.put("/bkt/a%20b", "body", "Content-Type", "text/plain", "Cache-Control", "no-cache", "x-amz-meta-a", "1", "x-amz-tagging", "t=1",
		"x-amz-storage-class", "GLACIER_IR", "x-amz-website-redirect-location", "/x", "x-amz-sdk-checksum-algorithm", "SHA1",
		"x-amz-checksum-sha1", "Agg/RXngimEkJcDBoX7ket14O5Q=").want(200)
	for _, source := range []string{"/bkt/a%20b", "bkt/a%20b", "bkt%2Fa%20b", "/bkt/a b", "/bkt/a+b", "/bkt/a%20b?versionId=null"} {
		r := s.put("/dst/copy", "", "x-amz-copy-source", source).want(200)
		r.wantXML(`<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LastModified>20`,
			"<ETag>"+strings.ReplaceAll(etagOf("body"), `"`, "&quot;")+"</ETag>",
			"<ChecksumSHA1>Agg/RXngimEkJcDBoX7ket14O5Q=</ChecksumSHA1><ChecksumType>FULL_OBJECT</ChecksumType>")
		s.get("/dst/copy").want(200).wantBody("body").wantHeader("Content-Type", "text/plain", "Cache-Control", "no-cache", "x-amz-meta-a", "1",
			"x-amz-tagging-count", "1", "x-amz-storage-class", "", "x-amz-website-redirect-location", "")
	}
	s.put("/dst/copy", "", "x-amz-copy-source", "/bkt/a%20b", "x-amz-metadata-directive", "REPLACE", "x-amz-tagging-directive", "REPLACE",
		"Content-Type", "text/html", "x-amz-meta-b", "2", "x-amz-storage-class", "ONEZONE_IA", "x-amz-checksum-algorithm", "CRC32").
		want(200).wantXML("<ChecksumCRC32>")
	s.get("/dst/copy").want(200).wantBody("body").wantHeader("Content-Type", "text/html", "Cache-Control", "", "x-amz-meta-a", "", "x-amz-meta-b", "2",
		"x-amz-tagging-count", "", "x-amz-storage-class", "ONEZONE_IA")
	s.put("/bkt/empty", "").want(200)
	s.put("/dst/empty", "", "x-amz-copy-source", "/bkt/empty").want(200)
	s.get("/dst/empty").want(200).wantBody("")
	if info := s.lastInfo(); info.Operation != "GetObject" {
		t.Errorf("info is %+v", info)
	}
}

// Covers: CopyObject, UploadPartCopy.
func TestCopyErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "body").want(200)
	tests := []struct {
		source        string
		headers       []string
		status        int
		code, message string
	}{
		{"bkt", nil, 400, "InvalidArgument", "Invalid copy source object key"},
		{"bkt/", nil, 400, "InvalidArgument", "Invalid copy source object key"},
		{"192.168.1.1/key", nil, 400, "InvalidArgument", "Invalid copy source bucket name"},
		{"/bkt/%zz", nil, 400, "InvalidArgument", "Invalid copy source encoding"},
		{"/b kt/x", nil, 400, "InvalidArgument", "Invalid copy source bucket name"},
		{"/bkt/key?versionId=x", nil, 400, "InvalidArgument", "Invalid version id specified"},
		{"/none/key", nil, 404, "NoSuchBucket", "The specified bucket does not exist."},
		{"/bkt/none", nil, 404, "NoSuchKey", "The specified key does not exist."},
		{"/bkt/key", []string{"x-amz-metadata-directive", "MOVE"}, 400, "InvalidArgument", "Unknown metadata directive."},
		{"/bkt/key", []string{"x-amz-tagging-directive", "MOVE"}, 400, "InvalidArgument", "Unknown tagging directive."},
		{"/bkt/key", []string{"x-amz-checksum-algorithm", "CRC5"}, 400, "InvalidRequest", ""},
		{"/bkt/key", []string{"x-amz-storage-class", "BOGUS"}, 400, "InvalidStorageClass", ""},
		{"/bkt/key", []string{"x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256"}, 400, "InvalidRequest", ""},
		{"/bkt/key", []string{"x-amz-server-side-encryption", "AES256"}, 501, "NotImplemented", ""},
		{"/bkt/key", []string{"x-amz-source-expected-bucket-owner", "999999999999"}, 403, "AccessDenied", ""},
		{"/bkt/key", []string{"If-None-Match", `"x"`}, 501, "NotImplemented", ""},
	}
	for _, tt := range tests {
		s.put("/bkt/dst", "", append(tt.headers, "x-amz-copy-source", tt.source)...).wantError(tt.status, tt.code, tt.message)
	}
	s.put("/bkt/dst", "", "x-amz-copy-source", "/none/key").wantError(404, "NoSuchBucket", "", "BucketName", "none")
	s.put("/bkt/dst", "", "x-amz-copy-source", "/bkt/none").wantError(404, "NoSuchKey", "", "Key", "none")
	s.put("/none/dst", "", "x-amz-copy-source", "/bkt/key").wantError(404, "NoSuchBucket", "", "BucketName", "none")
	s.get("/bkt/dst").want(404)
}

// Covers: CopyObject.
func TestCopyOntoItself(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "body", "x-amz-meta-a", "1").want(200)
	const illegal = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, " +
		"storage class, website redirect location or encryption attributes."
	copyTo := func(headers ...string) *result {
		t.Helper()
		return s.put("/bkt/key", "", append(headers, "x-amz-copy-source", "/bkt/key")...)
	}
	copyTo().wantError(400, "InvalidRequest", illegal)
	copyTo("x-amz-metadata-directive", "COPY").wantError(400, "InvalidRequest", illegal)
	copyTo("x-amz-tagging-directive", "REPLACE", "x-amz-tagging", "a=b").wantError(400, "InvalidRequest", illegal)
	copyTo("x-amz-checksum-algorithm", "CRC64NVME").wantError(400, "InvalidRequest", illegal)
	copyTo("x-amz-storage-class", "STANDARD").want(200)
	copyTo("x-amz-website-redirect-location", "/y").want(200)
	copyTo("x-amz-checksum-algorithm", "CRC32").want(200)
	s.head("/bkt/key", "x-amz-checksum-mode", "ENABLED").want(200).wantHeader("x-amz-meta-a", "1", "x-amz-checksum-crc32c", "")
	copyTo("x-amz-metadata-directive", "REPLACE", "x-amz-meta-b", "2").want(200)
	s.get("/bkt/key").want(200).wantBody("body").wantHeader("x-amz-meta-a", "", "x-amz-meta-b", "2")
}

// Covers: CopyObject.
func TestCopyConditions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "body").want(200)
	etag := etagOf("body")
	at, err := http.ParseTime(s.head("/bkt/key").header.Get("Last-Modified"))
	if err != nil {
		t.Fatal(err)
	}
	before, after := at.Add(-time.Minute).Format(http.TimeFormat), at.Add(time.Minute).Format(http.TimeFormat)
	const p = "x-amz-copy-source-"
	tests := []struct {
		headers []string
		status  int
	}{
		{[]string{p + "if-match", etag}, 200},
		{[]string{p + "if-match", `"x"`}, 412},
		{[]string{p + "if-none-match", etag}, 412},
		{[]string{p + "if-none-match", `"x"`}, 200},
		{[]string{p + "if-modified-since", before}, 200},
		{[]string{p + "if-modified-since", after}, 412},
		{[]string{p + "if-unmodified-since", before}, 412},
		{[]string{p + "if-unmodified-since", after}, 200},
		// AWS CopyObject: these two pairs, by name.
		{[]string{p + "if-match", etag, p + "if-unmodified-since", before}, 200},
		{[]string{p + "if-none-match", etag, p + "if-modified-since", before}, 412},
	}
	up := s.post("/bkt/mpu?uploads", "").want(200).text("UploadId")
	for _, tt := range tests {
		h := append(tt.headers, "x-amz-copy-source", "/bkt/key")
		s.put("/bkt/dst", "", h...).want(tt.status)
		s.put("/bkt/mpu?partNumber=1&uploadId="+up, "", h...).want(tt.status)
	}
	s.put("/bkt/dst", "", p+"if-match", `"x"`, "x-amz-copy-source", "/bkt/key").wantError(412, "PreconditionFailed", "", "Condition", "x-amz-copy-source-if-match")
	// Conditions on the destination.
	s.put("/bkt/dst", "", "x-amz-copy-source", "/bkt/key", "If-None-Match", "*").wantError(412, "PreconditionFailed", "", "Condition", "If-None-Match")
	s.put("/bkt/new", "", "x-amz-copy-source", "/bkt/key", "If-None-Match", "*").want(200)
	s.put("/bkt/dst", "", "x-amz-copy-source", "/bkt/key", "If-Match", `"x"`).wantError(412, "PreconditionFailed", "", "Condition", "If-Match")
	s.put("/bkt/dst", "", "x-amz-copy-source", "/bkt/key", "If-Match", etag).want(200)
}

func TestCopySourceTooLarge(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	shut := new(atomic.Bool)
	s.hooks.openObject = func(context.Context, string, string, string) (s3api.ObjectReader, error) {
		return brokenReader{obj: meta.Object{Size: 5<<30 + 1, Digests: meta.Digests{ETag: "e"}}, shut: shut}, nil
	}
	s.put("/bkt/dst", "", "x-amz-copy-source", "/bkt/key").wantError(400, "InvalidRequest",
		"The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	if !shut.Load() {
		t.Error("the source stays open")
	}
}

// slowPayload delays a write until it is released.
func slow(s *server, release <-chan struct{}, fail error) {
	s.hooks.putObject = func(ctx context.Context, req meta.PutRequest, p meta.Payload) (meta.Object, error) {
		if _, err := io.Copy(io.Discard, p); err != nil {
			return meta.Object{}, err
		}
		<-release
		return meta.Object{Key: req.Key, Size: req.Size, Modified: time.Now(), Digests: p.Digests()}, fail
	}
}

// TestLateAnswers: a copy that takes long keeps its client awake, and says how it
// ended within the 200.
//
// Covers: CopyObject, CompleteMultipartUpload.
func TestLateAnswers(t *testing.T) {
	t.Parallel()
	for _, fail := range []error{nil, &meta.Error{Kind: meta.KindNoSpace}} {
		t.Run(fmt.Sprint(fail), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(c *s3api.Config) { c.KeepAlive = time.Millisecond })
			s.bucket("bkt")
			s.put("/bkt/key", "body").want(200)
			release := make(chan struct{})
			slow(s, release, fail)
			resp, err := s.client.Do(s.new(request{method: "PUT", path: "/bkt/dst", header: map[string]string{"x-amz-copy-source": "/bkt/key"}}))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			head := make([]byte, len(`<?xml version="1.0" encoding="UTF-8"?>`)+1+3)
			if _, err := io.ReadFull(resp.Body, head); err != nil { // the declaration and three spaces
				t.Fatal(err)
			}
			close(release)
			rest, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			r := &result{t: t, status: resp.StatusCode, header: resp.Header, body: string(head) + string(rest)}
			r.want(200).wellFormed()
			if !strings.HasPrefix(r.body, `<?xml version="1.0" encoding="UTF-8"?>`+"\n   ") {
				t.Errorf("got %.80q", r.body)
			}
			doc := strings.TrimLeft(strings.SplitN(r.body, "\n", 2)[1], " ")
			if fail == nil && !strings.HasPrefix(doc, "<CopyObjectResult xmlns") || fail != nil && !strings.HasPrefix(doc, "<Error><Code>InsufficientStorage</Code>") {
				t.Errorf("got %s", doc)
			}
			if info := s.lastInfo(); info.Status != 200 || (info.ErrorCode == "InsufficientStorage") != (fail != nil) {
				t.Errorf("info is %+v", info)
			}
		})
	}
}

func TestPanicInLateWork(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "body").want(200)
	s.hooks.putObject = func(context.Context, meta.PutRequest, meta.Payload) (meta.Object, error) { panic("swordfish") }
	s.put("/bkt/dst", "", "x-amz-copy-source", "/bkt/key").wantError(500, "InternalError", "")
}

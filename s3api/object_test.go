package s3api_test

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api"
	"tdkvs/s3api/sigv4"
)

func etagOf(s string) string {
	sum := md5.Sum([]byte(s))
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Covers: PutObject, GetObject, HeadObject, DeleteObject, GetObjectAcl.
func TestPutGetHeadDelete(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	const body = "hello, world"
	s.put("/bkt/key", body).want(200).wantBody("").wantHeader("ETag", etagOf(body), "Content-Length", "0",
		"x-amz-checksum-type", "FULL_OBJECT", "x-amz-version-id", "", "Content-Type", "")
	for _, r := range []*result{s.get("/bkt/key").want(200).wantBody(body), s.head("/bkt/key").want(200).wantBody("")} {
		r.wantHeader("ETag", etagOf(body), "Content-Length", "12", "Content-Type", "binary/octet-stream", "Accept-Ranges", "bytes",
			"x-amz-storage-class", "", "x-amz-checksum-crc64nvme", "", "x-amz-version-id", "", "x-amz-tagging-count", "")
		if at, err := http.ParseTime(r.header.Get("Last-Modified")); err != nil || time.Since(at) > time.Minute {
			t.Errorf("Last-Modified: %v %v", at, err)
		}
		if r.header.Get("x-amz-request-id") == "" || r.header.Get("x-amz-id-2") != hostID {
			t.Errorf("ids: %v", r.header)
		}
	}
	s.get("/bkt/none").wantError(404, "NoSuchKey", "The specified key does not exist.", "Key", "none", "Resource", "/bkt/none")
	s.head("/bkt/none").want(404).wantBody("").wantHeader("Content-Type", "application/xml")
	s.get("/none/key").wantError(404, "NoSuchBucket", "The specified bucket does not exist.", "BucketName", "none")
	s.put("/none/key", "x").wantError(404, "NoSuchBucket", "", "BucketName", "none")
	s.delete("/none/key").wantError(404, "NoSuchBucket", "")
	s.delete("/bkt/key").want(204).wantBody("")
	s.delete("/bkt/key").want(204)
	s.get("/bkt/key").wantError(404, "NoSuchKey", "")
	s.put("/bkt/empty", "").want(200).wantHeader("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
	s.get("/bkt/empty").want(200).wantBody("").wantHeader("Content-Length", "0")
}

func TestAwkwardKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	keys := []string{"a", "a/", "a//b", "//", "/", "../x", ".", "..", "a b", "a+b", "a%2Fb", "a%b", "ä€😀", "\x01\x1f\x7f\n\r\t",
		"<&>\"'", "?acl", "#x", "a;b=c&d", "\\", "*~", strings.Repeat("k", 1024), "%", "a\x00b"}
	for _, k := range keys {
		s.put(keyPath("bkt", k), "body of "+k).want(200)
		if info := s.lastInfo(); info.Key != k || info.Bucket != "bkt" || info.Operation != "PutObject" || info.AccessKey != rootKey || info.Status != 200 {
			t.Errorf("%q: info is %+v", k, info)
		}
	}
	for _, k := range keys {
		s.get(keyPath("bkt", k)).want(200).wantBody("body of " + k)
	}
	listed := s.get("/bkt?encoding-type=url").want(200).texts("Key")
	if len(listed) != len(keys) {
		t.Errorf("%d keys are listed, of %d", len(listed), len(keys))
	}
	for _, k := range keys {
		s.delete(keyPath("bkt", k)).want(204)
	}
	s.delete("/bkt").want(204)
	s.put("/bkt/"+strings.Repeat("k", 1025), "x").wantError(400, "KeyTooLongError", "Your key is too long", "Size", "1025", "MaxSizeAllowed", "1024")
	s.get("/bkt/%ff").wantError(400, "InvalidURI", "Couldn't parse the specified URI.")
}

func TestVirtualHost(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) { c.Domains = []string{"S3.example.com"} })
	const host = "bkt.s3.example.com:8080"
	s.do(request{method: "PUT", path: "/", host: host}).want(200)
	s.do(request{method: "PUT", path: "/a//b", host: host, body: "x"}).want(200)
	s.do(request{method: "GET", path: "/a//b", host: host}).want(200).wantBody("x")
	s.do(request{method: "GET", path: "/bkt/a//b", host: "s3.example.com"}).want(200).wantBody("x")
	s.do(request{method: "GET", path: "/", host: host}).want(200).wantXML("<ListBucketResult", "<Key>a//b</Key>")
	s.do(request{method: "GET", path: "/", host: "s3.example.com"}).want(200).wantXML("<ListAllMyBucketsResult")
}

// Covers: PutObject, GetObject, HeadObject, GetObjectTagging.
func TestObjectHeaders(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "x",
		"Content-Type", "text/plain; charset=utf-8", "Cache-Control", "no-cache", "Content-Disposition", `attachment; filename="a"`,
		"Content-Encoding", "aws-chunked,gzip", "Content-Language", "de", "Expires", "not a date",
		"x-amz-website-redirect-location", "/other", "x-amz-storage-class", "STANDARD_IA", "x-amz-tagging", "a=1&b=2",
		"x-amz-meta-Plain", "value", "x-amz-meta-utf", "Grüße €", "x-amz-meta-coded", "=?UTF-8?B?w6Q=?=", "x-amz-meta-empty", "",
		"x-amz-acl", "public-read").want(200)
	for _, r := range []*result{s.get("/bkt/key").want(200), s.head("/bkt/key").want(200)} {
		r.wantHeader("Content-Type", "text/plain; charset=utf-8", "Cache-Control", "no-cache", "Content-Disposition", `attachment; filename="a"`,
			"Content-Encoding", "gzip", "Content-Language", "de", "Expires", "not a date", "x-amz-website-redirect-location", "/other",
			"x-amz-storage-class", "STANDARD_IA", "x-amz-tagging-count", "2", "x-amz-meta-plain", "value",
			"x-amz-meta-utf", "=?UTF-8?B?R3LDvMOfZSDigqw=?=", "x-amz-meta-coded", "=?UTF-8?B?w6Q=?=")
		if _, ok := r.header["X-Amz-Meta-Empty"]; !ok {
			t.Error("empty metadata is lost")
		}
	}
}

// TestUserMetadata: names are in lower case, values of a name that is sent twice
// are joined, and names and values count together.
//
// Covers: PutObject, HeadObject.
func TestUserMetadata(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	r := s.new(request{method: "PUT", path: "/bkt/key", key: "-", body: "x"})
	r.Header["X-Amz-Meta-Twice"] = []string{"a", "b"}
	r.Header.Set("x-amz-meta-latin", "caf\xe9")
	r.Header.Set("x-amz-meta-inner", "a  b")
	signer := sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: rootKey, SecretKey: rootSecret}, Region: region}
	if err := signer.Sign(r, "UNSIGNED-PAYLOAD", time.Now()); err != nil {
		t.Fatal(err)
	}
	s.send(r).want(200)
	s.head("/bkt/key").want(200).wantHeader("x-amz-meta-twice", "a,b", "x-amz-meta-latin", "=?UTF-8?B?Y2Fmw6k=?=", "x-amz-meta-inner", "a  b")
	limit := []string{"x-amz-meta-ab", strings.Repeat("v", 1000), "x-amz-meta-c", strings.Repeat("v", 1045)}
	s.put("/bkt/key", "x", limit...).want(200)
	s.put("/bkt/key", "x", append(limit, "x-amz-meta-d", "")...).wantError(400, "MetadataTooLarge", "", "Size", "2049", "MaxSizeAllowed", "2048")
	s.post("/bkt/key?uploads", "", append(limit, "x-amz-meta-d", "")...).wantError(400, "MetadataTooLarge", "")
	s.put("/bkt/key", "x", "x-amz-meta-a", strings.Repeat("é", 1024)).wantError(400, "MetadataTooLarge", "", "Size", "2049")
}

// TestStoredContentEncoding: aws-chunked describes the request, not the object.
//
// Covers: PutObject, HeadObject.
func TestStoredContentEncoding(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for sent, want := range map[string]string{
		"aws-chunked": "", "gzip": "gzip", "gzip, aws-chunked": "gzip", "gzip,AWS-Chunked,br": "gzip,br", "aws-chunked, gzip": "gzip", "identity": "identity",
	} {
		s.put("/bkt/key", "x", "Content-Encoding", sent).want(200)
		s.head("/bkt/key").want(200).wantHeader("Content-Encoding", want)
	}
}

func TestObjectHeaderErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	tests := []struct {
		header, value string
		status        int
		code, message string
	}{
		{"x-amz-storage-class", "BOGUS", 400, "InvalidStorageClass", "The storage class you specified is not valid"},
		{"x-amz-acl", "bogus", 400, "InvalidArgument", ""},
		{"x-amz-acl", "log-delivery-write", 400, "InvalidArgument", ""},
		{"x-amz-website-redirect-location", "ftp://x", 400, "InvalidRedirectLocation", "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."},
		{"x-amz-server-side-encryption", "AES256", 501, "NotImplemented", "A header you provided implies functionality that is not implemented."},
		{"x-amz-server-side-encryption", "aws:kms", 501, "NotImplemented", ""},
		{"x-amz-server-side-encryption", "ROT13", 400, "InvalidArgument", "The encryption method specified is not supported"},
		{"x-amz-server-side-encryption-customer-algorithm", "AES256", 501, "NotImplemented", ""},
		{"x-amz-write-offset-bytes", "5", 501, "NotImplemented", ""},
		{"x-amz-tagging", "a=1&a=2", 400, "InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."},
		{"x-amz-tagging", "%zz=1", 400, "InvalidArgument", ""},
		{"x-amz-tagging", "a=%zz", 400, "InvalidArgument", ""},
		{"x-amz-tagging", "=1", 400, "InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."},
		{"x-amz-tagging", "a%7C=1", 400, "InvalidTag", "The TagKey you have provided is invalid"},
		{"x-amz-tagging", "a=%7C", 400, "InvalidTag", "The TagValue you have provided is invalid"},
		{"x-amz-tagging", "aws:x=1", 400, "InvalidTag", "Your TagKey cannot be prefixed with aws:"},
		{"x-amz-tagging", strings.Repeat("k", 129) + "=1", 400, "InvalidTag", ""},
		{"x-amz-tagging", "k=" + strings.Repeat("v", 257), 400, "InvalidTag", ""},
		{"x-amz-tagging", "1=&2=&3=&4=&5=&6=&7=&8=&9=&10=&11=", 400, "BadRequest", "Object tags cannot be greater than 10"},
		{"x-amz-meta-a", strings.Repeat("v", 2048), 400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"},
		{"Content-MD5", "bogus", 400, "InvalidDigest", "The Content-MD5 you specified was invalid."},
		{"Content-MD5", md5Of("other"), 400, "BadDigest", ""},
		{"x-amz-checksum-crc32", "AAAAAA==", 400, "BadDigest", ""},
		{"x-amz-checksum-crc32", "x", 400, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid."},
		{"If-None-Match", `"etag"`, 501, "NotImplemented", ""},
		{"If-Match", "*", 501, "NotImplemented", ""},
		{"If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT", 501, "NotImplemented", ""},
	}
	for _, tt := range tests {
		s.put("/bkt/key", "body", tt.header, tt.value).wantError(tt.status, tt.code, tt.message)
	}
	s.put("/bkt/key", "x", "x-amz-meta-a", strings.Repeat("v", 2048)).wantError(400, "MetadataTooLarge", "", "Size", "2049", "MaxSizeAllowed", "2048")
	s.put("/bkt/key", "x", "If-Match", `"a"`, "If-None-Match", "*").wantError(501, "NotImplemented", "",
		"additionalMessage", "Multiple conditional request headers present in the request")
	s.put("/bkt/key", "x", "If-None-Match", `"a"`).wantError(501, "NotImplemented", "", "Header", "If-None-Match",
		"additionalMessage", "We don't accept the provided value of If-None-Match header for this API")
	s.get("/bkt/key").wantError(404, "NoSuchKey", "") // nothing was stored by any of them
	s.put("/bkt/key", "x", "x-amz-meta-a", strings.Repeat("v", 2047)).want(200)
}

// Covers: PutObject.
func TestPutChecksums(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	const body = "hello, world"
	for name, value := range map[string]string{
		"x-amz-checksum-crc32": "/6tyOg==", "x-amz-checksum-sha256": "Ccp+Tq1uihnTEFKcf0Kc2g1H0bQU8hwzZVHAAAAAAAA=",
	} {
		r := s.put("/bkt/key", body, name, value)
		if name == "x-amz-checksum-sha256" {
			r.wantError(400, "BadDigest", "The SHA256 you specified did not match the calculated checksum.")
			continue
		}
		r.want(200).wantHeader(name, value, "x-amz-checksum-type", "FULL_OBJECT")
		s.get("/bkt/key").want(200).wantHeader(name, "")
		s.get("/bkt/key", "x-amz-checksum-mode", "ENABLED").want(200).wantHeader(name, value, "x-amz-checksum-type", "FULL_OBJECT")
		s.head("/bkt/key", "x-amz-checksum-mode", "ENABLED").want(200).wantHeader(name, value)
		s.get("/bkt/key", "x-amz-checksum-mode", "ENABLED", "Range", "bytes=0-1").want(206).wantHeader(name, "")
		s.get("/bkt?list-type=2").want(200).wantXML("<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>")
	}
	s.put("/bkt/key", body, "Content-MD5", md5Of(body)).want(200)
}

// Covers: PutObject.
func TestConditionalPut(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "1", "If-Match", etagOf("0")).wantError(404, "NoSuchKey", "")
	s.put("/bkt/key", "1", "If-None-Match", "*").want(200)
	s.put("/bkt/key", "2", "If-None-Match", "*").wantError(412, "PreconditionFailed",
		"At least one of the pre-conditions you specified did not hold.", "Condition", "If-None-Match")
	s.put("/bkt/key", "2", "If-Match", etagOf("0")).wantError(412, "PreconditionFailed", "", "Condition", "If-Match")
	s.put("/bkt/key", "2", "If-Match", etagOf("1")).want(200)
	s.put("/bkt/key", "3", "If-Match", strings.Trim(etagOf("2"), `"`)).want(200)
	s.get("/bkt/key").want(200).wantBody("3")
	s.hooks.putObject = func(context.Context, meta.PutRequest, meta.Payload) (meta.Object, error) {
		return meta.Object{}, &meta.Error{Kind: meta.KindConflict}
	}
	s.put("/bkt/key", "4", "If-None-Match", "*").wantError(409, "ConditionalRequestConflict",
		"The conditional request cannot succeed due to a conflicting operation against this resource.")
	s.put("/bkt/key", "4").wantError(409, "OperationAborted", "")
}

func TestLengths(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	// A PUT without a length.
	r := s.new(request{method: "PUT", path: "/bkt/key"})
	raw := s.raw("PUT /bkt/key HTTP/1.1\r\n" + headerLines(r) + "\r\n")
	if !strings.HasPrefix(raw, "HTTP/1.1 411 ") || !strings.Contains(raw, "<Code>MissingContentLength</Code>") {
		t.Errorf("got %s", raw)
	}
	// HTTP chunks have an unknown length, which is fine.
	s.do(request{method: "PUT", path: "/bkt/key", reader: io.MultiReader(strings.NewReader("chunked "), strings.NewReader("body"))}).want(200)
	s.get("/bkt/key").want(200).wantBody("chunked body")
	// A body that is too large is refused before it is sent.
	r = s.new(request{method: "PUT", path: "/bkt/huge"})
	raw = s.raw("PUT /bkt/huge HTTP/1.1\r\n" + headerLines(r) + "Content-Length: 5368709121\r\nExpect: 100-continue\r\n\r\n")
	if !strings.HasPrefix(raw, "HTTP/1.1 400 ") || !strings.Contains(raw, "<ProposedSize>5368709121</ProposedSize><MaxSizeAllowed>5368709120</MaxSizeAllowed>") {
		t.Errorf("got %s", raw)
	}
	// A body that ends early stores nothing.
	r = s.new(request{method: "PUT", path: "/bkt/short"})
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	raw = s.raw("PUT /bkt/short HTTP/1.1\r\n" + headerLines(s.unsigned("PUT", "/bkt/short")) + "Content-Length: 100\r\n\r\nshort")
	if !strings.HasPrefix(raw, "HTTP/1.1 400 ") || !strings.Contains(raw, "<Code>IncompleteBody</Code>") {
		t.Errorf("got %s", raw)
	}
	s.get("/bkt/short").want(404)
}

// unsigned is a request whose body is not covered by its signature.
func (s *server) unsigned(method, path string) *http.Request {
	return s.new(request{method: method, path: path, reader: strings.NewReader("")})
}

// headerLines writes the headers of a request for the wire.
func headerLines(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Host: %s\r\nConnection: close\r\n", r.URL.Host)
	for k, v := range r.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", k, v[0])
	}
	return b.String()
}

// raw sends bytes, half-closes and returns the answer.
func (s *server) raw(text string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		s.t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(answer)
}

// TestExpectContinue: whoever is refused is told so before the body is sent.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for _, tt := range []struct {
		key, secret, path string
		status            int
	}{{rootKey, "wrong", "/bkt/key", 403}, {"-", "", "/bkt/key", 403}, {rootKey, rootSecret, "/bkt/key?encryption", 501}} {
		body := &watched{Reader: strings.NewReader(strings.Repeat("x", 1<<20))}
		r := s.new(request{method: "PUT", path: tt.path, key: tt.key, secret: tt.secret, reader: body})
		r.ContentLength = 1 << 20
		r.Header.Set("Expect", "100-continue")
		s.send(r).want(tt.status)
		if body.read {
			t.Errorf("%s: the body was asked for", tt.path)
		}
	}
	body := &watched{Reader: strings.NewReader("body")}
	r := s.new(request{method: "PUT", path: "/bkt/key", reader: body})
	r.ContentLength = 4
	r.Header.Set("Expect", "100-continue")
	s.send(r).want(200)
	s.get("/bkt/key").want(200).wantBody("body")
}

type watched struct {
	io.Reader
	read bool
}

func (w *watched) Read(b []byte) (int, error) { w.read = true; return w.Reader.Read(b) }

// TestKeepAliveAfterErrors: an error does not cost the connection where the body
// is short.
func TestKeepAliveAfterErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	conn, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	for range 3 {
		r := s.new(request{method: "PUT", path: "/none/key", body: "body"})
		if err := r.Write(conn); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(br, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 404 || resp.Close {
			t.Fatalf("status %d, close %v", resp.StatusCode, resp.Close)
		}
	}
}

// Covers: DeleteObject.
func TestDeleteConditions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "x").want(200)
	s.delete("/bkt/key", "If-Match", `"a"`).wantError(412, "PreconditionFailed", "", "Condition", "If-Match")
	s.delete("/bkt/key", "x-amz-if-match-size", "5").wantError(412, "PreconditionFailed", "", "Condition", "x-amz-if-match-size")
	s.delete("/bkt/key", "x-amz-if-match-size", "x").wantError(400, "InvalidArgument", "")
	s.delete("/bkt/key", "x-amz-if-match-last-modified-time", "x").wantError(400, "InvalidArgument", "")
	s.delete("/bkt/key", "x-amz-if-match-last-modified-time", "Wed, 21 Oct 2015 07:28:00 GMT").wantError(412, "PreconditionFailed", "")
	modified := s.head("/bkt/key").header.Get("Last-Modified")
	s.delete("/bkt/key", "If-Match", etagOf("x"), "x-amz-if-match-size", "1", "x-amz-if-match-last-modified-time", modified).want(204)
	s.delete("/bkt/key", "If-Match", etagOf("x")).wantError(404, "NoSuchKey", "The specified key does not exist.", "Key", "key")
	s.delete("/bkt/key", "If-Match", "*").wantError(404, "NoSuchKey", "")
	s.delete("/bkt/key", "x-amz-if-match-size", "1").want(204) // nothing left to delete
	s.delete("/bkt/key", "x-amz-if-match-last-modified-time", modified).want(204)
	s.put("/bkt/key", "x").want(200)
	s.delete("/bkt/key", "If-Match", "*").want(204)
	s.get("/bkt/key").want(404)
}

// TestStorageClassNames: those of AWS and those that are configured.
func TestStorageClassNames(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) { c.StorageClasses = []string{"STANDARD", "COLD_1"} })
	s.put("/bkt", "").want(200)
	for class, recorded := range map[string]string{"": "", "STANDARD": "", "STANDARD_IA": "STANDARD_IA", "COLD_1": "COLD_1"} {
		s.put("/bkt/key", "x", "x-amz-storage-class", class).want(200)
		s.head("/bkt/key").want(200).wantHeader("x-amz-storage-class", recorded)
	}
	s.put("/bkt/key", "x", "x-amz-storage-class", "COLD_2").wantError(400, "InvalidStorageClass", "", "StorageClassRequested", "COLD_2")
	s.post("/bkt/parts?uploads", "", "x-amz-storage-class", "COLD_1").want(200)
	s.post("/bkt/parts?uploads", "", "x-amz-storage-class", "cold_1").wantError(400, "InvalidStorageClass", "")
}

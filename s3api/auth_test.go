package s3api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tdkvs/s3api"
	"tdkvs/s3api/sigv4"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "x").want(200)
	s.do(request{method: "GET", path: "/bkt/key", key: rootKey, secret: "wrong"}).wantError(403, "SignatureDoesNotMatch",
		"The request signature we calculated does not match the signature you provided. Check your key and signing method.")
	s.do(request{method: "GET", path: "/bkt/key", key: "AKIDNONE", secret: "x"}).wantError(403, "InvalidAccessKeyId",
		"The AWS Access Key Id you provided does not exist in our records.")
	s.do(request{method: "GET", path: "/bkt/key", key: "-"}).wantError(403, "AccessDenied", "Access Denied")
	s.do(request{method: "HEAD", path: "/bkt/key", key: "-"}).want(403).wantBody("")
	s.do(request{method: "GET", path: "/bkt/key", key: userKey, secret: userSecret}).wantError(403, "AccessDenied", "Access Denied")
	// Who may do nothing does not learn which keys there are; buckets are no secret.
	s.do(request{method: "GET", path: "/bkt/none", key: userKey, secret: userSecret}).wantError(403, "AccessDenied", "")
	s.do(request{method: "GET", path: "/none/key", key: userKey, secret: userSecret}).wantError(404, "NoSuchBucket", "")
	if info := s.lastInfo(); info.AccessKey != userKey || info.Operation != "GetObject" || info.Bucket != "none" {
		t.Errorf("info is %+v", info)
	}
	// A body that is not the one that was signed.
	r := s.new(request{method: "PUT", path: "/bkt/key", body: "signed"})
	r.Body, r.GetBody = io.NopCloser(strings.NewReader("forged")), nil
	s.send(r).wantError(400, "XAmzContentSHA256Mismatch", "")
	s.get("/bkt/key").want(200).wantBody("x")
}

// TestRegionOfRefusals: clients find the region of a bucket in the header of a
// refusal, above all where there is no document.
func TestRegionOfRefusals(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "x").want(200)
	other := sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: rootKey, SecretKey: rootSecret}, Region: "us-west-2"}
	for _, method := range []string{"HEAD", "GET"} {
		for _, path := range []string{"/bkt", "/bkt/key"} {
			r := s.new(request{method: method, path: path, key: "-"})
			if err := other.Sign(r, "UNSIGNED-PAYLOAD", time.Now()); err != nil {
				t.Fatal(err)
			}
			got := s.send(r).want(400).wantHeader("x-amz-bucket-region", region)
			if method == "GET" {
				got.wantError(400, "AuthorizationHeaderMalformed", "", "Region", region)
			}
		}
	}
	s.do(request{method: "HEAD", path: "/bkt", key: "-"}).want(403).wantHeader("x-amz-bucket-region", region)
	s.do(request{method: "HEAD", path: "/bkt/key", key: "-"}).want(403).wantHeader("x-amz-bucket-region", "")
	s.head("/none").want(404).wantHeader("x-amz-bucket-region", "")
}

func TestCredentialsFail(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) {
		c.Credentials = func(context.Context, string) (s3api.Credential, error) {
			return s3api.Credential{}, errors.New("the disk is on fire")
		}
	})
	if r := s.get("/").wantError(500, "InternalError", ""); strings.Contains(r.body, "fire") {
		t.Errorf("the cause is shown: %s", r.body)
	}
}

func TestAuthorizer(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) {
		c.Authorizer = authorizerFunc(func(_ context.Context, a s3api.Access) error {
			if a.Permission == "s3:GetObject" && a.Key == "public" || a.Permission == "s3:PutObject" {
				return nil
			}
			return s3api.ErrDenied
		})
	})
	s.bucket("bkt")
	s.put("/bkt/public", "x").want(200)
	s.put("/bkt/secret", "y").want(200)
	user := func(method, path string, headers ...string) *result {
		t.Helper()
		return s.do(request{method: method, path: path, key: userKey, secret: userSecret, header: pairs(headers)})
	}
	user("GET", "/bkt/public").want(200).wantBody("x")
	user("GET", "/bkt/secret").wantError(403, "AccessDenied", "")
	user("GET", "/bkt").wantError(403, "AccessDenied", "")
	// The source of a copy is read with the permissions of whoever copies.
	user("PUT", "/bkt/copy", "x-amz-copy-source", "/bkt/public").want(200)
	user("PUT", "/bkt/copy", "x-amz-copy-source", "/bkt/secret").wantError(403, "AccessDenied", "")
	user("PUT", "/bkt/copy", "x-amz-copy-source", "/bkt/none").wantError(403, "AccessDenied", "")
	up := s.upload("/bkt/mpu")
	user("PUT", "/bkt/mpu?partNumber=1&uploadId="+up.id, "x-amz-copy-source", "/bkt/secret").wantError(403, "AccessDenied", "")
	s.get("/bkt/copy").want(200).wantBody("x")
}

func TestExpectedBucketOwner(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "x").want(200)
	const h = "x-amz-expected-bucket-owner"
	s.get("/bkt/key", h, account).want(200)
	s.get("/bkt/key", h, "999999999999").wantError(403, "AccessDenied", "Access Denied")
	s.put("/bkt/key", "y", h, "999999999999").wantError(403, "AccessDenied", "")
	for _, bad := range []string{"abc", "12345678901", "1234567890123"} {
		s.get("/bkt/key", h, bad).wantError(400, "InvalidBucketOwnerAWSAccountID",
			"The value of the expected bucket owner parameter must be an AWS Account ID... ["+bad+"]")
	}
	s.put("/bkt/copy", "", "x-amz-copy-source", "/bkt/key", "x-amz-source-expected-bucket-owner", account).want(200)
	s.get("/bkt/key").want(200).wantBody("x")
}

// presign returns a URL that is good for a minute.
func (s *server) presign(method, path string, header http.Header) *url.URL {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.http.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = header
	signer := sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: rootKey, SecretKey: rootSecret}, Region: region}
	text, err := signer.Presign(r, time.Minute, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	u, err := url.Parse(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

func TestPresigned(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	anonymous := func(method string, u *url.URL, body string) *result {
		t.Helper()
		return s.do(request{method: method, path: u.RequestURI(), body: body, key: "-"})
	}
	u := s.presign("PUT", "/bkt/a%20b?x-amz-meta-a=1&X-Amz-Storage-Class=STANDARD_IA", http.Header{})
	anonymous("PUT", u, "body").want(200)
	u = s.presign("GET", "/bkt/a%20b?response-content-type=text%2Fcsv", http.Header{})
	anonymous("GET", u, "").want(200).wantBody("body").wantHeader("Content-Type", "text/csv", "x-amz-meta-a", "1", "x-amz-storage-class", "STANDARD_IA")
	u.RawQuery = strings.Replace(u.RawQuery, "csv", "html", 1)
	anonymous("GET", u, "").wantError(403, "SignatureDoesNotMatch", "")
	// A header that is moved to the query still selects its operation.
	u = s.presign("PUT", "/bkt/copy?X-Amz-Copy-Source=%2Fbkt%2Fa%2520b", http.Header{})
	anonymous("PUT", u, "").want(200).wantXML("<CopyObjectResult")
	if info := s.lastInfo(); info.Operation != "CopyObject" || info.AccessKey != rootKey {
		t.Errorf("info is %+v", info)
	}
	s.get("/bkt/copy").want(200).wantBody("body")
}

func TestOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) { c.Open, c.Credentials = true, nil })
	for _, key := range []string{"-", rootKey, "AKIDANY"} {
		name := "/bkt" + strings.ToLower(strings.Trim(key, "-"))
		s.do(request{method: "PUT", path: name, key: key, secret: "x"}).want(200)
		s.do(request{method: "PUT", path: name + "/key", body: "x", key: key, secret: "x"}).want(200)
		s.do(request{method: "GET", path: name + "/key?response-content-type=text/csv", key: key, secret: "x"}).want(200).wantHeader("Content-Type", "text/csv")
		s.do(request{method: "GET", path: name, key: key, secret: "x"}).want(200).wantXML("<Owner><ID>" + owner + "</ID>")
	}
	u := s.presign("GET", "/bkt/key?x-amz-checksum-mode=ENABLED", http.Header{})
	if r := s.do(request{method: "GET", path: u.RequestURI(), key: "-"}).want(200); r.header.Get("x-amz-checksum-crc64nvme") == "" {
		t.Errorf("the query's headers are lost: %v", r.header)
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	seen := map[string]bool{}
	for range 5 {
		id := s.get("/").want(200).header.Get("x-amz-request-id")
		if len(id) != 16 || seen[id] || strings.ToUpper(id) != id {
			t.Errorf("request id %q", id)
		}
		seen[id] = true
	}
	given := newServer(t)
	inner := given.http.Config.Handler
	given.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Request-Id", "GIVEN")
		inner.ServeHTTP(w, r)
	})
	given.get("/none/key").wantError(404, "NoSuchBucket", "", "RequestId", "GIVEN")
}

// TestOpenIgnoresSignatures: chunks that somebody signed with a key of their own
// are taken apart all the same.
func TestOpenIgnoresSignatures(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) { c.Open, c.Credentials = true, nil })
	s.do(request{method: "PUT", path: "/bkt", key: "-"}).want(200)
	zero := strings.Repeat("0", 64)
	for _, tt := range []struct{ mode, trailer, body string }{
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "", "5;chunk-signature=" + zero + "\r\nhello\r\n0;chunk-signature=" + zero + "\r\n\r\n"},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "x-amz-checksum-crc32", "5;chunk-signature=" + zero + "\r\nhello\r\n0;chunk-signature=" + zero +
			"\r\nx-amz-checksum-crc32:NhCmhg==\r\nx-amz-trailer-signature:" + zero + "\r\n\r\n"},
		{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-checksum-crc32", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"},
		{"UNSIGNED-PAYLOAD", "", "hello"},
	} {
		header := map[string]string{"Authorization": "AWS4-HMAC-SHA256 nonsense", "x-amz-content-sha256": tt.mode}
		if tt.mode != "UNSIGNED-PAYLOAD" {
			header["Content-Encoding"] = "aws-chunked"
			header["x-amz-decoded-content-length"] = "5"
		}
		if tt.trailer != "" {
			header["x-amz-trailer"] = tt.trailer
		}
		s.do(request{method: "PUT", path: "/bkt/key", key: "-", body: tt.body, header: header}).want(200)
		r := s.do(request{method: "GET", path: "/bkt/key", key: "-", header: map[string]string{"x-amz-checksum-mode": "ENABLED"}}).want(200).wantBody("hello")
		if tt.trailer != "" {
			r.wantHeader(tt.trailer, "NhCmhg==", "Content-Encoding", "")
			s.do(request{method: "PUT", path: "/bkt/bad", key: "-", body: strings.Replace(tt.body, "NhCmhg", "AAAAAA", 1), header: header}).
				wantError(400, "BadDigest", "")
		}
	}
	s.do(request{method: "GET", path: "/bkt/bad", key: "-"}).want(404)
}

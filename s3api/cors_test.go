package s3api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api"
)

const (
	corsVary      = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
	corsForbidden = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)

// corsXML is a configuration document of the rules given.
func corsXML(rules ...string) string {
	return `<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule>` +
		strings.Join(rules, "</CORSRule><CORSRule>") + "</CORSRule></CORSConfiguration>"
}

// setCORS sets the configuration of a bucket.
func (s *server) setCORS(bucket, doc string) *result {
	s.t.Helper()
	return s.putDoc("/"+bucket+"?cors", doc)
}

// preflight asks as a browser does, unsigned; "" leaves a header out.
func (s *server) preflight(path, host, origin, method, headers string) *result {
	s.t.Helper()
	h := map[string]string{}
	for name, v := range map[string]string{"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers} {
		if v != "" {
			h[name] = v
		}
	}
	return s.do(request{method: "OPTIONS", path: path, host: host, key: "-", header: h})
}

// wantNoGrant fails when an answer grants anything across origins.
func (r *result) wantNoGrant() *result {
	r.t.Helper()
	for name := range r.header {
		if strings.HasPrefix(name, "Access-Control-") || name == "Vary" {
			r.t.Errorf("header %s: %s", name, r.header.Get(name))
		}
	}
	return r
}

// Covers: PutBucketCors, GetBucketCors, DeleteBucketCors.
func TestCORSConfiguration(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.get("/bkt?cors").wantError(404, "NoSuchCORSConfiguration", "The CORS configuration does not exist", "BucketName", "bkt")
	s.delete("/bkt?cors").want(204).wantBody("")

	rules := []string{
		"<ID>first &amp; &lt;best&gt;</ID><AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod>" +
			"<AllowedOrigin>http://test.com:80</AllowedOrigin><AllowedOrigin>http://*.example.com</AllowedOrigin>" +
			"<AllowedHeader>x-AMZ-*</AllowedHeader><AllowedHeader>*</AllowedHeader><MaxAgeSeconds>0</MaxAgeSeconds>" +
			"<ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-request-id</ExposeHeader>",
		"<AllowedMethod>DELETE</AllowedMethod><AllowedMethod>HEAD</AllowedMethod><AllowedMethod>POST</AllowedMethod><AllowedOrigin></AllowedOrigin>",
		"<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin><MaxAgeSeconds>-100</MaxAgeSeconds>",
	}
	s.setCORS("bkt", corsXML(rules...)).want(200).wantBody("")
	stored := s.get("/bkt?cors").want(200).wantXML(corsXML(rules...))
	if stored.header.Get("Content-Length") == "" {
		t.Error("no Content-Length")
	}
	// The elements of a rule may come in any order, spaced and without namespace.
	loose := "<?xml version=\"1.0\"?>\n<CORSConfiguration>\n <CORSRule>\n  <MaxAgeSeconds> 5 </MaxAgeSeconds><AllowedOrigin>a</AllowedOrigin>" +
		"<ExposeHeader>E</ExposeHeader><AllowedMethod>GET</AllowedMethod><ID>i</ID>\n </CORSRule>\n</CORSConfiguration>\n"
	s.setCORS("bkt", loose).want(200)
	s.get("/bkt?cors").want(200).wantXML(corsXML("<ID>i</ID><AllowedMethod>GET</AllowedMethod><AllowedOrigin>a</AllowedOrigin>" +
		"<MaxAgeSeconds>5</MaxAgeSeconds><ExposeHeader>E</ExposeHeader>"))
	s.put("/bkt?cors", loose, "x-amz-checksum-crc32", "AAAAAA==").wantError(400, "BadDigest", "")

	for range 2 {
		s.delete("/bkt?cors").want(204)
		s.get("/bkt?cors").wantError(404, "NoSuchCORSConfiguration", "")
	}
	s.setCORS("none", loose).wantError(404, "NoSuchBucket", "", "BucketName", "none")
	s.get("/none?cors").wantError(404, "NoSuchBucket", "")
	s.delete("/none?cors").wantError(404, "NoSuchBucket", "")
}

// Covers: PutBucketCors.
func TestCORSConfigurationErrors(t *testing.T) {
	t.Parallel()
	const (
		method    = "<AllowedMethod>GET</AllowedMethod>"
		origin    = "<AllowedOrigin>*</AllowedOrigin>"
		both      = method + origin
		malformed = malformedXML
	)
	s := newServer(t)
	s.bucket("bkt")
	s.setCORS("bkt", corsXML(both)).want(200)
	for _, tt := range []struct{ doc, code, message string }{
		{"<CORSConfiguration></CORSConfiguration>", "MalformedXML", malformed},
		{"<CORSConfiguration><CORSRule/></CORSConfiguration>", "MalformedXML", malformed},
		{corsXML(method), "MalformedXML", malformed},
		{corsXML(origin), "MalformedXML", malformed},
		{corsXML(both + "<Colour>red</Colour>"), "MalformedXML", malformed},
		{corsXML(both + "<MaxAgeSeconds>soon</MaxAgeSeconds>"), "MalformedXML", malformed},
		{corsXML(both + "<MaxAgeSeconds>2147483648</MaxAgeSeconds>"), "MalformedXML", malformed},
		{corsXML(both + "<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>2</MaxAgeSeconds>"), "MalformedXML", malformed},
		{corsXML(both + "<ID>a</ID><ID>b</ID>"), "MalformedXML", malformed},
		{corsXML(both + "text"), "MalformedXML", malformed},
		{"<CORSConfiguration><Rule>" + both + "</Rule></CORSConfiguration>", "MalformedXML", malformed},
		{"<CORS><CORSRule>" + both + "</CORSRule></CORS>", "MalformedXML", malformed},
		{"<CORSConfiguration>", "MalformedXML", malformed},
		{"", "MissingRequestBodyError", "Request Body is empty"},
		{corsXML("<AllowedMethod>PATCH</AllowedMethod>" + origin), "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is PATCH"},
		{corsXML(both + "<AllowedMethod>OPTIONS</AllowedMethod>"), "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is OPTIONS"},
		{corsXML("<AllowedMethod>get</AllowedMethod>" + origin), "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is get"},
		{corsXML("<AllowedMethod/>" + origin), "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is "},
		{corsXML(both, both+"<AllowedOrigin>http://*.a.*</AllowedOrigin>"), "InvalidRequest", `AllowedOrigin "http://*.a.*" can not have more than one wildcard.`},
		{corsXML(both + "<AllowedHeader>x-*-*</AllowedHeader>"), "InvalidRequest", `AllowedHeader "x-*-*" can not have more than one wildcard.`},
		{corsXML(both + "<AllowedHeader>two words</AllowedHeader>"), "InvalidRequest", `AllowedHeader "two words" contains invalid character.`},
		{corsXML(both + "<ExposeHeader>x-amz-*</ExposeHeader>"), "InvalidRequest", `ExposeHeader "x-amz-*" contains wildcard. We currently do not support wildcard for ExposeHeader.`},
		{corsXML(both + "<ExposeHeader>a:b</ExposeHeader>"), "InvalidRequest", `AllowedHeader "a:b" contains invalid character.`},
		{corsXML(both + "<ID>" + strings.Repeat("ü", 256) + "</ID>"), "InvalidArgument", "ID length should not exceed allowed limit of 255"},
		{corsXML(strings.Split(strings.Repeat(both+"|", 100)+both, "|")...), "InvalidRequest", "The number of CORS rules should not exceed allowed limit of 100 rules."},
		{corsXML(strings.Split(strings.Repeat(both+"|", 300)+both, "|")...), "InvalidRequest", "The number of CORS rules should not exceed allowed limit of 100 rules."},
		{corsXML(both + strings.Repeat(" ", 64<<10)), "MaxMessageLengthExceeded", "Your request was too big."},
	} {
		s.setCORS("bkt", tt.doc).wantError(400, tt.code, tt.message)
	}
	s.put("/bkt?cors", corsXML(both)).wantError(400, "InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	s.put("/bkt?cors", corsXML(both), "Content-MD5", md5Of("else")).wantError(400, "BadDigest", "")
	s.put("/bkt?cors", corsXML(both), "Content-MD5", "x").wantError(400, "InvalidDigest", "")
	s.do(request{method: "PUT", path: "/bkt?cors", body: corsXML(both), key: "-"}).wantError(403, "AccessDenied", "")
	s.do(request{method: "GET", path: "/bkt?cors", key: userKey, secret: userSecret}).wantError(403, "AccessDenied", "")
	s.get("/bkt?cors").want(200).wantXML(corsXML(both)) // untouched

	s.setCORS("bkt", corsXML(strings.Split(strings.Repeat(both+"|", 99)+both+"<ID>"+strings.Repeat("ü", 255)+"</ID>", "|")...)).want(200)
	if n := len(s.get("/bkt?cors").want(200).texts("AllowedOrigin")); n != 100 {
		t.Errorf("%d rules came back", n)
	}
}

// Covers: PreflightBucket, PreflightObject.
func TestPreflightErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) { c.Domains = []string{"s3.test"} })
	s.bucket("bkt")
	s.bucket("bare")
	s.setCORS("bkt", corsXML("<AllowedMethod>GET</AllowedMethod><AllowedOrigin>http://a</AllowedOrigin>")).want(200)
	const noOrigin = "Insufficient information. Origin request header needed."
	for _, tt := range []struct {
		path, host, origin, method, headers string
		status                              int
		code, message, told, resource       string
	}{
		{path: "/bkt", status: 400, code: "BadRequest", message: noOrigin},
		{path: "/bkt/key", method: "GET", status: 400, code: "BadRequest", message: noOrigin},
		{path: "/none", method: "GET", status: 400, code: "BadRequest", message: noOrigin},
		{path: "/bkt", origin: "http://a", status: 400, code: "BadRequest", message: "Invalid Access-Control-Request-Method: null"},
		{path: "/bkt/k", origin: "http://a", method: "get", status: 400, code: "BadRequest", message: "Invalid Access-Control-Request-Method: get"},
		{path: "/bkt", origin: "http://a", method: "PATCH", status: 400, code: "BadRequest", message: "Invalid Access-Control-Request-Method: PATCH"},
		{path: "/bare", origin: "http://a", method: "OPTIONS", status: 400, code: "BadRequest", message: "Invalid Access-Control-Request-Method: OPTIONS"},
		{path: "/bkt", origin: "http://a", method: "GET", headers: "x-amz-date, two words", status: 400, code: "BadRequest",
			message: `Access-Control-Request-Headers " two words" contains invalid character.`},
		{path: "/none", origin: "http://a", method: "GET", status: 403, code: "AccessForbidden", message: "CORSResponse: Bucket not found", told: "GET", resource: "BUCKET"},
		{path: "/none/k", origin: "http://a", status: 403, code: "AccessForbidden", message: "CORSResponse: Bucket not found", told: "OPTIONS", resource: "BUCKET"},
		{path: "/UPPER/k", origin: "http://a", status: 403, code: "AccessForbidden", message: "CORSResponse: Bucket not found", told: "OPTIONS", resource: "BUCKET"},
		{path: "/bare/k", origin: "http://a", method: "PUT", status: 403, code: "AccessForbidden", message: "CORSResponse: CORS is not enabled for this bucket.", told: "PUT", resource: "BUCKET"},
		{path: "/bare", origin: "http://a", status: 403, code: "AccessForbidden", message: "CORSResponse: CORS is not enabled for this bucket.", told: "OPTIONS", resource: "BUCKET"},
		{path: "/bkt/k", origin: "http://b", method: "GET", status: 403, code: "AccessForbidden", message: corsForbidden, told: "GET", resource: "OBJECT"},
		{path: "/bkt", origin: "http://a", method: "PUT", status: 403, code: "AccessForbidden", message: corsForbidden, told: "PUT", resource: "BUCKET"},
		{path: "/bkt", origin: "http://a", method: "GET", headers: "x-amz-date", status: 403, code: "AccessForbidden", message: corsForbidden, told: "GET", resource: "BUCKET"},
		{path: "/bkt", origin: "http://a/", method: "GET", status: 403, code: "AccessForbidden", message: corsForbidden, told: "GET", resource: "BUCKET"},
		{path: "/k", host: "bkt.s3.test", origin: "null", method: "GET", status: 403, code: "AccessForbidden", message: corsForbidden, told: "GET", resource: "OBJECT"},
		{path: "/", host: "bkt.s3.test", status: 400, code: "BadRequest", message: noOrigin},
	} {
		r := s.preflight(tt.path, tt.host, tt.origin, tt.method, tt.headers).wantError(tt.status, tt.code, tt.message).wantNoGrant()
		if tt.told != "" {
			r.wantXML("<Method>" + tt.told + "</Method><ResourceType>" + tt.resource + "</ResourceType>")
		}
	}
	s.preflight("/", "", "http://a", "GET", "").wantError(405, "MethodNotAllowed", "").wantNoGrant()
	s.setCORS("bare", corsXML("<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>")).want(200)
	s.preflight("/bare", "", "http://a", "GET", "").want(200)
	s.delete("/bare?cors").want(204)
	s.preflight("/bare", "", "http://a", "GET", "").wantError(403, "AccessForbidden", "")
}

// Covers: PreflightBucket, PreflightObject.
func TestPreflight(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) { c.Domains = []string{"s3.test"} })
	s.bucket("bkt")
	s.setCORS("bkt", corsXML(
		"<AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedOrigin>http://a</AllowedOrigin><AllowedOrigin>https://*.a</AllowedOrigin>"+
			"<AllowedHeader>X-Amz-*</AllowedHeader><AllowedHeader>Authorization</AllowedHeader><MaxAgeSeconds>3000</MaxAgeSeconds>"+
			"<ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-version-id</ExposeHeader>",
		"<AllowedMethod>GET</AllowedMethod><AllowedOrigin>http://a</AllowedOrigin><AllowedHeader>*</AllowedHeader>",
		"<AllowedMethod>HEAD</AllowedMethod><AllowedOrigin>*</AllowedOrigin><MaxAgeSeconds>0</MaxAgeSeconds>",
	)).want(200)
	for _, tt := range []struct {
		path, host, origin, method, headers   string
		allowed, methods, names, expose, aged string
	}{
		{"/bkt", "", "http://a", "GET", "", "http://a", "GET, PUT", "", "ETag, x-amz-version-id", "3000"},
		{"/bkt/no/such/key", "", "http://a", "PUT", "", "http://a", "GET, PUT", "", "ETag, x-amz-version-id", "3000"},
		{"/bkt?uploads", "", "https://x.y.a", "PUT", "x-AMZ-Date,authorization", "https://x.y.a", "GET, PUT", "x-amz-date, authorization", "ETag, x-amz-version-id", "3000"},
		{"/bkt/k?uploadId=1&partNumber=2", "", "http://a", "PUT", "", "http://a", "GET, PUT", "", "ETag, x-amz-version-id", "3000"},
		{"/bkt/k?X-Amz-Signature=bad&X-Amz-Algorithm=none", "", "http://a", "GET", "", "http://a", "GET, PUT", "", "ETag, x-amz-version-id", "3000"},
		{"/k", "bkt.s3.test:80", "http://a", "GET", "", "http://a", "GET, PUT", "", "ETag, x-amz-version-id", "3000"},
		{"/", "bkt.s3.test", "http://a", "GET", "", "http://a", "GET, PUT", "", "ETag, x-amz-version-id", "3000"},
		{"/bkt", "", "http://a", "GET", " content-type ,, X-Custom\t", "http://a", "GET", "content-type, x-custom", "", ""}, // the second rule
		{"/bkt", "", "null", "HEAD", "", "*", "HEAD", "", "", "0"},
		{"/bkt", "", "not an origin", "HEAD", "", "*", "HEAD", "", "", "0"},
	} {
		credentials := "true"
		if tt.allowed == "*" {
			credentials = ""
		}
		s.preflight(tt.path, tt.host, tt.origin, tt.method, tt.headers).want(200).wantBody("").wantHeader(
			"Access-Control-Allow-Origin", tt.allowed, "Access-Control-Allow-Methods", tt.methods, "Access-Control-Allow-Headers", tt.names,
			"Access-Control-Expose-Headers", tt.expose, "Access-Control-Max-Age", tt.aged, "Access-Control-Allow-Credentials", credentials,
			"Vary", corsVary, "Content-Length", "0", "Content-Type", "")
	}
	if info := s.lastInfo(); info.Operation != "PreflightBucket" || info.AccessKey != "" || info.Bucket != "bkt" {
		t.Errorf("info is %+v", info)
	}
}

// TestCrossOriginRequests: every answer to a page whose origin a rule allows says
// so, whatever the answer is; to others none does, and the request is served all
// the same.
func TestCrossOriginRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) { c.KeepAlive = time.Millisecond })
	s.bucket("bkt")
	s.put("/bkt/key", "body").want(200)
	s.setCORS("bkt", corsXML(
		"<AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedMethod>HEAD</AllowedMethod><AllowedOrigin>http://a</AllowedOrigin>"+
			"<MaxAgeSeconds>7</MaxAgeSeconds><ExposeHeader>ETag</ExposeHeader>",
		"<AllowedMethod>DELETE</AllowedMethod><AllowedMethod>POST</AllowedMethod><AllowedOrigin>*</AllowedOrigin>",
	)).want(200)
	granted := func(r *result, status int, origin, methods string) {
		t.Helper()
		r.want(status).wantHeader("Access-Control-Allow-Origin", origin, "Access-Control-Allow-Methods", methods, "Access-Control-Allow-Headers", "", "Vary", corsVary)
		if origin == "*" {
			r.wantHeader("Access-Control-Allow-Credentials", "", "Access-Control-Max-Age", "", "Access-Control-Expose-Headers", "")
		} else {
			r.wantHeader("Access-Control-Allow-Credentials", "true", "Access-Control-Max-Age", "7", "Access-Control-Expose-Headers", "ETag")
		}
	}
	const first = "GET, PUT, HEAD"
	anonymous := func(method, path string) request {
		return request{method: method, path: path, key: "-", header: map[string]string{"Origin": "http://a"}}
	}
	etag := s.head("/bkt/key").want(200).header.Get("ETag")
	granted(s.get("/bkt/key", "Origin", "http://a").wantBody("body"), 200, "http://a", first)
	granted(s.get("/bkt/key", "Origin", "http://a", "Range", "bytes=1-2").wantBody("od"), 206, "http://a", first)
	granted(s.get("/bkt/key", "Origin", "http://a", "Range", "bytes=9-"), 416, "http://a", first)
	granted(s.get("/bkt/key", "Origin", "http://a", "If-Match", "x"), 412, "http://a", first)
	granted(s.get("/bkt/key", "Origin", "http://a", "If-None-Match", etag), 304, "http://a", first)
	granted(s.head("/bkt/key", "Origin", "http://a"), 200, "http://a", first)
	granted(s.head("/bkt/none", "Origin", "http://a"), 404, "http://a", first)
	granted(s.get("/bkt/none", "Origin", "http://a"), 404, "http://a", first)
	granted(s.get("/bkt?policy", "Origin", "http://a"), 404, "http://a", first)
	granted(s.get("/bkt?location", "Origin", "http://a"), 200, "http://a", first)
	granted(s.get("/bkt?metrics&id=1", "Origin", "http://a"), 501, "http://a", first)
	granted(s.get("/bkt?acl&policy", "Origin", "http://a"), 400, "http://a", first)
	granted(s.put("/bkt/new", "x", "Origin", "http://a"), 200, "http://a", first)
	granted(s.put("/bkt/new", "x", "Origin", "http://a", "x-amz-copy-source", "/bkt/key"), 200, "http://a", first) // a late answer
	granted(s.put("/bkt/new", "x", "Origin", "http://a", "Content-MD5", md5Of("y")), 400, "http://a", first)
	granted(s.do(anonymous("GET", "/bkt/key")), 403, "http://a", first)
	granted(s.do(anonymous("GET", "/bkt/key?X-Amz-Signature=1")), 400, "http://a", first)
	bad := request{method: "GET", path: "/bkt/key", key: rootKey, secret: "wrong", header: map[string]string{"Origin": "http://a"}}
	granted(s.do(bad), 403, "http://a", first)
	granted(s.delete("/bkt/new", "Origin", "http://b"), 204, "*", "DELETE, POST")

	// The headers of a preflight decide, where there are some.
	granted(s.get("/bkt/key", "Origin", "http://a", "Access-Control-Request-Method", "DELETE"), 200, "*", "DELETE, POST")
	s.put("/bkt/key", "body", "Origin", "http://b", "Access-Control-Request-Method", "PUT").want(200).wantNoGrant()
	s.get("/bkt/key", "Origin", "http://a", "Access-Control-Request-Headers", "x-amz-date").want(200).wantNoGrant()
	s.get("/bkt/key", "Origin", "http://a", "Access-Control-Request-Method", "PATCH").
		wantError(400, "BadRequest", "Invalid Access-Control-Request-Method: PATCH").wantNoGrant()
	s.get("/bkt/key", "Origin", "http://a", "Access-Control-Request-Headers", "a b").
		wantError(400, "BadRequest", `Access-Control-Request-Headers "a b" contains invalid character.`).wantNoGrant()

	s.get("/bkt/key", "Origin", "http://b").want(200).wantBody("body").wantNoGrant()
	s.get("/bkt/key").want(200).wantNoGrant()
	s.get("/bkt/key", "Referer", "http://a/").want(200).wantNoGrant()
	s.get("/none/key", "Origin", "http://a").wantError(404, "NoSuchBucket", "").wantNoGrant()
	s.get("/", "Origin", "http://a").want(200).wantNoGrant()
	s.put("/fresh", "", "Origin", "http://a").want(200).wantNoGrant()
	s.get("/fresh", "Origin", "http://a").want(200).wantNoGrant()
}

// TestNoOriginCostsNothing: the rules are read for requests of web pages only.
func TestNoOriginCostsNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	reads := 0
	s.hooks.bucketConfig = func(ctx context.Context, bucket, kind string) ([]byte, error) {
		reads++
		return s.hooks.Backend.BucketConfig(ctx, bucket, kind)
	}
	s.put("/bkt/key", "body").want(200)
	s.get("/bkt/key").want(200)
	s.get("/bkt").want(200)
	if reads != 0 {
		t.Errorf("%d reads of the configuration without an Origin", reads)
	}
	s.get("/bkt/key", "Origin", "x").want(200)
	s.preflight("/bkt/key", "", "x", "GET", "").want(403)
	if reads != 2 {
		t.Errorf("%d reads of the configuration for two requests with an Origin", reads)
	}
}

// TestCrossOriginFailure: rules that can not be read are no grant, and a store
// that can not read them says so.
func TestCrossOriginFailure(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.hooks.bucketConfig = func(context.Context, string, string) ([]byte, error) {
		return nil, &meta.Error{Kind: meta.KindUnavailable, Op: "get bucket cors"}
	}
	s.get("/bkt", "Origin", "http://a").wantError(503, "ServiceUnavailable", "").wantNoGrant()
	s.preflight("/bkt", "", "http://a", "GET", "").wantError(503, "ServiceUnavailable", "").wantNoGrant()
	s.hooks.bucketConfig = func(context.Context, string, string) ([]byte, error) { return []byte("<damaged"), nil }
	s.preflight("/bkt", "", "http://a", "GET", "").want(http.StatusInternalServerError).wantNoGrant()
	s.get("/bkt").want(200)
}

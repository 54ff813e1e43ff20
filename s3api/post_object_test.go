package s3api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api"
)

// Covers: PostObject.
func TestPostObject(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for _, v2 := range []bool{false, true} {
		u := s.form("bkt", "key", "dir/a b+ü.txt", "acl", "private", "Content-Type", "text/csv", "cache-control", "no-store", "Content-Disposition", `attachment; filename="x"`,
			"Content-Encoding", "gzip", "Content-Language", "de", "Expires", "Fri, 21 Mar 2036 00:00:00 GMT", "x-amz-meta-One", "1", "X-Amz-Meta-Two", "zwei €",
			"x-amz-storage-class", "STANDARD_IA", "x-amz-website-redirect-location", "/else", "tagging", tagging("k", "v + w", "l", ""), "x-amz-meta-twice", "a", "x-amz-meta-twice", "b")
		u.v2 = v2
		location := s.http.URL + "/bkt/dir%2Fa%20b+%C3%BC.txt"
		u.send().want(204).wantBody("").wantHeader("ETag", etagOf("content"), "Location", location, "Content-Type", "", "Content-Length", "",
			"x-amz-checksum-crc64nvme", "lhVdXyVQTGE=", "x-amz-checksum-type", "FULL_OBJECT", "x-amz-version-id", "")
		info := s.lastInfo()
		if info.Operation != "PostObject" || info.Key != "dir/a b+ü.txt" || info.AccessKey != rootKey || info.Status != 204 || info.BytesIn == 0 {
			t.Errorf("info is %+v", info)
		}
		s.get("/bkt/dir/a%20b+%C3%BC.txt").want(200).wantBody("content").wantHeader("Content-Type", "text/csv", "Cache-Control", "no-store",
			"Content-Disposition", `attachment; filename="x"`, "Content-Encoding", "gzip", "Content-Language", "de", "Expires", "Fri, 21 Mar 2036 00:00:00 GMT",
			"x-amz-meta-one", "1", "x-amz-meta-two", "=?UTF-8?B?endlaSDigqw=?=", "x-amz-meta-twice", "a,b", "x-amz-storage-class", "STANDARD_IA",
			"x-amz-website-redirect-location", "/else", "x-amz-tagging-count", "2")
		s.get("/bkt/dir/a%20b+%C3%BC.txt?tagging").want(200).wantXML("<Key>k</Key><Value>v + w</Value>", "<Key>l</Key><Value></Value>")
		s.delete("/bkt/dir/a%20b+%C3%BC.txt").want(204)
	}
	// Nothing but a key and the file: defaults, and the type of the file's part does not count.
	s.form("bkt", "key", "plain").send().want(204)
	s.head("/bkt/plain").want(200).wantHeader("Content-Type", "binary/octet-stream", "Content-Length", "7", "x-amz-storage-class", "")
	s.form("bkt", "key", "plain", "Content-Type", "").send().want(204)
	s.head("/bkt/plain").want(200).wantHeader("Content-Type", "binary/octet-stream")
	empty := s.form("bkt", "key", "empty")
	empty.file = ""
	empty.send().want(204).wantHeader("ETag", etagOf(""))
	s.get("/bkt/empty").want(200).wantBody("")
}

func TestPostObjectCompletion(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) { c.Domains = []string{"s3.test"} })
	s.bucket("bkt")
	etag := url.QueryEscape(etagOf("content"))
	where := s.http.URL + "/bkt/a%2Fb%20&%3C"
	for _, tt := range []struct {
		fields   []string
		status   int
		location string
	}{
		{nil, 204, where},
		{[]string{"success_action_status", "204"}, 204, where},
		{[]string{"success_action_status", "200"}, 200, where},
		{[]string{"success_action_status", "201"}, 201, where},
		{[]string{"SUCCESS_action_status", "201"}, 201, where},
		{[]string{"success_action_status", "404"}, 204, where},
		{[]string{"success_action_status", ""}, 204, where},
		{[]string{"success_action_redirect", "http://a.test/done"}, 303, "http://a.test/done?bucket=bkt&key=a%2Fb+%26%3C&etag=" + etag},
		{[]string{"success_action_redirect", "https://a.test/done?x=y z#top", "success_action_status", "201"}, 303, "https://a.test/done?x=y z&bucket=bkt&key=a%2Fb+%26%3C&etag=" + etag + "#top"},
		{[]string{"redirect", "http://a.test"}, 303, "http://a.test?bucket=bkt&key=a%2Fb+%26%3C&etag=" + etag},
		{[]string{"redirect", "http://old.test", "success_action_redirect", "http://a.test/"}, 303, "http://a.test/?bucket=bkt&key=a%2Fb+%26%3C&etag=" + etag},
		{[]string{"success_action_redirect", "/relative", "success_action_status", "200"}, 200, where},
		{[]string{"success_action_redirect", "javascript:alert(1)"}, 204, where},
		{[]string{"success_action_redirect", "ftp://a.test/"}, 204, where},
		{[]string{"success_action_redirect", "http://"}, 204, where},
		{[]string{"success_action_redirect", "http://a.test/\r\nSet-Cookie: x=y"}, 204, where},
		{[]string{"success_action_redirect", "http://[::1"}, 204, where},
	} {
		s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		r := s.form("bkt", append([]string{"key", "a/b &<"}, tt.fields...)...).send().want(tt.status).wantHeader("Location", tt.location, "ETag", etagOf("content"), "Set-Cookie", "")
		switch tt.status {
		case 201:
			want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n<PostResponse><Location>" + escape(where) + "</Location><Bucket>bkt</Bucket><Key>a/b &amp;&lt;</Key><ETag>" + escape(etagOf("content")) + "</ETag></PostResponse>"
			r.wantHeader("Content-Type", "application/xml").wantBody(want)
		case 204:
			r.wantBody("").wantHeader("Content-Length", "")
		default:
			r.wantBody("").wantHeader("Content-Length", "0", "Content-Type", "")
		}
	}
	u := s.form("bkt", "key", "v/h")
	u.host = "bkt.s3.test:99"
	u.send().want(204).wantHeader("Location", "http://bkt.s3.test:99/v%2Fh")
	s.get("/bkt/v/h").want(200).wantBody("content")
}

func TestPostObjectFileName(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for _, tt := range []struct{ fileName, key, want string }{
		{`"foo.txt"`, "${filename}", "foo.txt"},
		{`foo.txt`, "a/${filename}/${filename}", "a/foo.txt/foo.txt"},
		{`"C:\Program Files\dir\foo bar.txt"`, "${filename}", "foo bar.txt"},
		{`"/usr/share/foo.txt"`, "x-${filename}", "x-foo.txt"},
		{`"../../etc/passwd"`, "${filename}", "passwd"},
		{`"dir/"`, "k${filename}", "k"},
		{`""`, "k${filename}", "k"},
		{``, "k${filename}", "k${filename}"}, // as on AWS
		{`"süß €.txt"`, "${filename}", "süß €.txt"},
		{`"plain.txt"; filename*=UTF-8''s%C3%BC%C3%9F.txt`, "${filename}", "süß.txt"},
		{`"a\"b.txt"`, "${filename}", `a"b.txt`},
		{`"a%22b.txt"`, "${filename}", "a%22b.txt"},
		{`"foo.txt"`, "${FILENAME}$filename", "${FILENAME}$filename"},
		{`"${filename}"`, "${filename}", "${filename}"},
	} {
		u := s.form("bkt", "key", tt.key, "x-amz-meta-name", "is ${filename}", "success_action_status", "201")
		u.fileName = tt.fileName
		r := u.send().want(201).wantXML("<Key>" + escape(tt.want) + "</Key>")
		path, err := url.Parse(r.header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		s.get(path.EscapedPath()).want(200).wantBody("content")
		name := strings.TrimPrefix(strings.ReplaceAll(tt.want, "a/foo.txt/foo.txt", "foo.txt"), "x-")
		if strings.HasPrefix(tt.want, name) && !strings.Contains(tt.key, "FILENAME") && !strings.HasPrefix(tt.key, "k") && strings.IndexFunc(name, func(c rune) bool { return c > '~' }) < 0 {
			s.head(path.EscapedPath()).want(200).wantHeader("x-amz-meta-name", "is "+name)
		}
	}
	// Conditions are about what the variables became.
	u := s.form("bkt")
	u.fields = [][2]string{{"key", "user/${filename}"}}
	u.cover(`["starts-with", "$key", "user/f.t"]`).send().want(204)
	u.conditions = `{"key": "user/${filename}"}`
	u.send().wantError(403, "AccessDenied", `Invalid according to Policy: Policy Condition failed: ["eq", "$key", "user/${filename}"]`)
}

func TestPostObjectFormErrors(t *testing.T) {
	t.Parallel()
	const malformed = "The body of your POST request is not well-formed multipart/form-data."
	s := newServer(t)
	s.bucket("bkt")
	valid := s.form("bkt", "key", "k")
	body := valid.body()
	for name, tt := range map[string]struct {
		contentType, body string
		status            int
		code, message     string
		fields            []string
	}{
		"another type":   {"text/html", body, 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.", []string{"Condition", "Bucket POST must be of the enclosure-type multipart/form-data"}},
		"urlencoded":     {"application/x-www-form-urlencoded", "key=k", 412, "PreconditionFailed", "", nil},
		"no type":        {"", "x", 412, "PreconditionFailed", "", nil},
		"mixed":          {"multipart/mixed; boundary=x", body, 412, "PreconditionFailed", "", nil},
		"no boundary":    {"multipart/form-data", body, 400, "MalformedPOSTRequest", malformed, nil},
		"empty boundary": {"multipart/form-data; boundary=", body, 400, "MalformedPOSTRequest", malformed, nil},
		"no form":        {"", "", 412, "PreconditionFailed", "", nil},
		"empty body":     {"form", "", 400, "MalformedPOSTRequest", malformed, nil},
		"other boundary": {"multipart/form-data; boundary=else", body, 400, "MalformedPOSTRequest", malformed, nil},
		"cut in field":   {"form", body[:len("--"+formBoundary)+60], 400, "MalformedPOSTRequest", malformed, nil},
		"cut in file":    {"form", strings.TrimSuffix(body, "tent\r\n--"+formBoundary+"--\r\n"), 400, "MalformedPOSTRequest", malformed, nil},
		"no end":         {"form", strings.TrimSuffix(body, "\r\n--"+formBoundary+"--\r\n"), 400, "MalformedPOSTRequest", malformed, nil},
		"bad header":     {"form", "--" + formBoundary + "\r\nContent Disposition\r\n\r\nx\r\n" + body, 400, "MalformedPOSTRequest", malformed, nil},
	} {
		u := *valid
		u.header = map[string]string{"Content-Type": tt.contentType}
		if tt.contentType == "form" {
			u.header = nil
		}
		r := u.post(tt.body)
		if r.status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", name, r.status, tt.status, r.body)
			continue
		}
		r.wantError(tt.status, tt.code, tt.message, tt.fields...)
	}
	const order = "  If it is specified, please check the order of the fields."
	s.form("bkt").send().wantError(400, "InvalidArgument", "Bucket POST must contain a field named 'key'."+order, "ArgumentName", "key", "ArgumentValue", "")
	s.form("bkt", "key", "").send().wantError(400, "InvalidArgument", "User key must have a length greater than 0.", "ArgumentName", "key")
	s.form("bkt", "key", strings.Repeat("k", 1025)).send().wantError(400, "KeyTooLongError", "", "Size", "1025", "MaxSizeAllowed", "1024")
	s.form("bkt", "key", "\xff").send().wantError(400, "InvalidURI", "")
	u := s.form("bkt", "key", "k")
	u.noFile = true
	u.send().wantError(400, "InvalidArgument", "POST requires exactly one file upload per request.", "ArgumentName", "file", "ArgumentValue", "0")
	// Fields behind the file do not count: without its key the form has none.
	u = s.form("bkt")
	u.tail = "--" + formBoundary + "\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--" + formBoundary + "--\r\n"
	u.send().wantError(400, "InvalidArgument", "Bucket POST must contain a field named 'key'."+order)
	// A second file would be lost.
	u = s.form("bkt", "key", "k")
	u.tail = "--" + formBoundary + "\r\nContent-Disposition: form-data; name=\"File\"; filename=\"g\"\r\n\r\nother\r\n--" + formBoundary + "--\r\n"
	u.send().wantError(400, "InvalidArgument", "POST requires exactly one file upload per request.", "ArgumentName", "file", "ArgumentValue", "2")
	s.do(request{method: "POST", path: "/bkt/k", body: body, key: "-", header: map[string]string{"Content-Type": "multipart/form-data; boundary=" + formBoundary}}).
		wantError(405, "MethodNotAllowed", "") // there is no form for a key
	s.head("/bkt/k").want(404)
}

func TestPostObjectIntegrity(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	const sha256 = "7XACtDnprIRfIjV9giusFERzD722AW0+yUMil7nsn3M=" // of "content"
	s.form("bkt", "key", "sum", "x-amz-checksum-sha256", sha256, "x-amz-checksum-algorithm", "SHA256").send().want(204).wantHeader("x-amz-checksum-sha256", sha256)
	s.head("/bkt/sum", "x-amz-checksum-mode", "ENABLED").want(200).wantHeader("x-amz-checksum-sha256", sha256, "x-amz-checksum-type", "FULL_OBJECT")
	s.form("bkt", "key", "sum", "Content-MD5", md5Of("content")).send().want(204)
	// A checksum needs no condition: it only makes the store look closer.
	uncovered := s.form("bkt", "key", "sum")
	uncovered.fields = append(uncovered.fields, [2]string{"x-amz-checksum-sha256", sha256})
	uncovered.send().want(204)
	for _, tt := range []struct {
		fields        []string
		code, message string
	}{
		{[]string{"Content-MD5", md5Of("else")}, "BadDigest", "The Content-MD5 you specified did not match what we received."},
		{[]string{"Content-MD5", "sailorjerry"}, "InvalidDigest", ""},
		{[]string{"x-amz-checksum-sha256", "sailorjerry"}, "InvalidRequest", "Value for x-amz-checksum-sha256 header is invalid."},
		{[]string{"x-amz-checksum-crc32", "AAAAAA=="}, "BadDigest", "The CRC32 you specified did not match the calculated checksum."},
		{[]string{"x-amz-checksum-crc32", "AAAAAA==", "x-amz-checksum-sha256", sha256}, "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."},
		{[]string{"x-amz-checksum-invalid", "x"}, "InvalidRequest", "The algorithm type you specified in x-amz-checksum- header is invalid."},
		{[]string{"x-amz-checksum-algorithm", "SHA256"}, "InvalidRequest", ""},
		{[]string{"tagging", "not-xml"}, "MalformedXML", malformedXML},
		{[]string{"tagging", ""}, "MalformedXML", malformedXML},
		{[]string{"tagging", tagging("k", "v", "k", "w")}, "InvalidTag", duplicateKey},
		{[]string{"tagging", tagging("", "v")}, "InvalidTag", invalidKey},
		{[]string{"x-amz-storage-class", "FakeClass"}, "InvalidStorageClass", "The storage class you specified is not valid"},
		{[]string{"acl", "everybody"}, "InvalidArgument", ""},
		{[]string{"x-amz-website-redirect-location", "ftp://example.com"}, "InvalidRedirectLocation", ""},
		{[]string{"x-amz-meta-big", strings.Repeat("x", 2100)}, "MetadataTooLarge", ""},
		{[]string{"Content-Type", "text/plain\r\nX-Evil: 1"}, "InvalidArgument", "The form field can not be stored as a header."},
		{[]string{"Cache-Control", "no\x00"}, "InvalidArgument", "The form field can not be stored as a header."},
		{[]string{"x-amz-meta-a b", "x"}, "InvalidArgument", "The form field can not be stored as a header."},
		{[]string{"x-amz-meta-ü", "x"}, "InvalidArgument", "The form field can not be stored as a header."},
	} {
		s.form("bkt", append([]string{"key", "bad"}, tt.fields...)...).send().wantError(400, tt.code, tt.message)
	}
	s.form("bkt", "key", "bad", "x-amz-server-side-encryption", "AES256").send().wantError(501, "NotImplemented", "")
	// How a request is framed and signed is not for fields to say.
	s.form("bkt", "key", "framed", "x-amz-trailer", "x-amz-checksum-crc32", "x-amz-content-sha256", "bad", "x-amz-decoded-content-length", "1", "x-amz-tagging", "a=b").send().want(204)
	s.get("/bkt/framed").want(200).wantBody("content").wantHeader("x-amz-tagging-count", "")
	s.form("bkt", "key", "text", "x-amz-meta-text", "two\r\nlines").send().want(204)
	s.head("/bkt/text").want(200).wantHeader("x-amz-meta-text", "=?UTF-8?B?dHdvDQpsaW5lcw==?=")
	s.head("/bkt/bad").want(404)

	// The conditions of the request hold, too.
	u := s.form("bkt", "key", "sum")
	u.header = map[string]string{"If-None-Match": "*"}
	u.send().wantError(412, "PreconditionFailed", "", "Condition", "If-None-Match")
	u.fields[0][1] = "new"
	u.send().want(204)
}

// TestPostObjectVersioned: in a versioned bucket the answer names the version.
func TestPostObjectVersioned(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	if err := s.hooks.SetBucketVersioning(t.Context(), "bkt", meta.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	a := s.form("bkt", "key", "k").send().want(204).header.Get("x-amz-version-id")
	b := s.form("bkt", "key", "k", "success_action_status", "201").send().want(201).header.Get("x-amz-version-id")
	if len(a) != 32 || len(b) != 32 || a == b {
		t.Errorf("versions %q and %q", a, b)
	}
}

// TestPostObjectLocked: the lock of an object can be said in fields.
func TestPostObjectLocked(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.lockBucket("bkt")
	end := until(time.Hour)
	u := s.form("bkt", "key", "k", "x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", end, "x-amz-object-lock-legal-hold", "ON",
		"Content-MD5", md5Of("content"))
	version := u.send().want(204).header.Get("x-amz-version-id")
	s.head("/bkt/k").want(200).wantHeader("x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", end, "x-amz-object-lock-legal-hold", "ON")
	s.delete("/bkt/k?versionId="+version).wantError(403, "AccessDenied", "")
	s.form("bkt", "key", "k", "x-amz-object-lock-mode", "GOVERNANCE", "Content-MD5", md5Of("content")).send().wantError(400, "InvalidArgument", "")
	s.bucket("plain")
	s.form("plain", "key", "k", "x-amz-object-lock-legal-hold", "ON", "Content-MD5", md5Of("content")).send().wantError(400, "InvalidRequest", "")
}

// TestPostObjectCrossOrigin: forms are sent by scripts, too.
func TestPostObjectCrossOrigin(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.setCORS("bkt", corsXML("<AllowedMethod>POST</AllowedMethod><AllowedOrigin>http://a</AllowedOrigin><ExposeHeader>Location</ExposeHeader>")).want(200)
	u := s.form("bkt", "key", "k")
	u.header = map[string]string{"Origin": "http://a"}
	u.send().want(204).wantHeader("Access-Control-Allow-Origin", "http://a", "Access-Control-Expose-Headers", "Location", "Vary", corsVary)
	u.expires = time.Now().Add(-time.Second)
	u.send().want(403).wantHeader("Access-Control-Allow-Origin", "http://a")
}

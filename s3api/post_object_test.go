package s3api_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api"
	"tdkvs/s3api/sigv4"
)

const formBoundary = "----form-boundary"

// uploadForm is a form in the making.
type uploadForm struct {
	s          *server
	bucket     string
	fields     [][2]string // names and values, in order
	conditions string      // of the policy, beside those for the bucket and the signature
	expires    time.Time
	fileName   string // as it stands in the header: quotes and all; "" for none
	file       string
	noFile     bool
	tail       string // behind the file, instead of the end
	key        string // access key; empty: not signed
	secret     string
	v2         bool
	change     func(fields map[string]string) // of the signed fields; an empty value removes one
	host       string
	header     map[string]string
}

// form begins a form that root has signed. Each field is covered by a condition.
func (s *server) form(bucket string, fields ...string) *uploadForm {
	u := &uploadForm{s: s, bucket: bucket, expires: time.Now().Add(time.Minute), fileName: `"f.txt"`, file: "content", key: rootKey, secret: rootSecret}
	for i := 0; i+1 < len(fields); i += 2 {
		u.fields = append(u.fields, [2]string{fields[i], fields[i+1]})
		u.cover(fmt.Sprintf(`["starts-with", "$%s", ""]`, fields[i]))
	}
	return u
}

func (u *uploadForm) cover(condition string) *uploadForm {
	if u.conditions != "" {
		u.conditions += ", "
	}
	u.conditions += condition
	return u
}

// policy is the policy in base64.
func (u *uploadForm) policy(conditions ...string) string {
	conditions = append(conditions, fmt.Sprintf(`{"bucket": %q}`, u.bucket))
	if u.conditions != "" {
		conditions = append(conditions, u.conditions)
	}
	doc := fmt.Sprintf(`{"expiration": %q, "conditions": [%s]}`, u.expires.UTC().Format("2006-01-02T15:04:05.000Z"), strings.Join(conditions, ", "))
	return base64.StdEncoding.EncodeToString([]byte(doc))
}

// signed returns the fields that sign the form.
func (u *uploadForm) signed() [][2]string {
	fields := map[string]string{}
	switch {
	case u.key == "":
	case u.v2:
		policy := u.policy()
		mac := hmac.New(sha1.New, []byte(u.secret))
		mac.Write([]byte(policy))
		fields = map[string]string{"AWSAccessKeyId": u.key, "policy": policy, "signature": base64.StdEncoding.EncodeToString(mac.Sum(nil))}
	default:
		signer := sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: u.key, SecretKey: u.secret}, Region: region}
		now := time.Now()
		blank := signer.SignPolicy("", now)
		p := signer.SignPolicy(u.policy(`{"x-amz-algorithm": "`+blank.Algorithm+`"}`, `{"x-amz-credential": "`+blank.Credential+`"}`, `{"x-amz-date": "`+blank.Date+`"}`), now)
		fields = map[string]string{"x-amz-algorithm": p.Algorithm, "x-amz-credential": p.Credential, "x-amz-date": p.Date,
			"policy": p.Policy, "x-amz-signature": p.Signature}
	}
	if u.change != nil {
		u.change(fields)
	}
	var list [][2]string
	for name, value := range fields {
		if value != "" {
			list = append(list, [2]string{name, value})
		}
	}
	return list
}

// body writes the form.
func (u *uploadForm) body() string {
	var b strings.Builder
	for _, f := range append(u.fields, u.signed()...) {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", formBoundary, f[0], f[1])
	}
	if !u.noFile {
		name := ""
		if u.fileName != "" {
			name = "; filename=" + u.fileName
		}
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"file\"%s\r\nContent-Type: image/x-ignored\r\n\r\n%s\r\n", formBoundary, name, u.file)
	}
	if u.tail != "" {
		return b.String() + u.tail
	}
	return b.String() + "--" + formBoundary + "--\r\n"
}

// send posts the form.
func (u *uploadForm) send() *result {
	u.s.t.Helper()
	return u.post(u.body())
}

func (u *uploadForm) post(body string) *result {
	u.s.t.Helper()
	rq := request{method: "POST", path: "/" + u.bucket, body: body, key: "-", host: u.host, header: map[string]string{"Content-Type": "multipart/form-data; boundary=" + formBoundary}}
	if u.host != "" {
		rq.path = "/"
	}
	for k, v := range u.header {
		rq.header[k] = v
	}
	return u.s.do(rq)
}

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

// TestPostObjectTail: what follows the file is ignored.
func TestPostObjectTail(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	field := func(name, value string) string {
		return "--" + formBoundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	end := "--" + formBoundary + "--"
	for i, tail := range []string{
		end, end + "\r\n", end + " \t\r\n", end + "\r\nand more\r\n" + field("file", "x"), end + "garbage",
		field("submit", "Upload") + end + "\r\n", field("acl", "public-read") + field("x", strings.Repeat("y", 1<<20)) + end,
		field("x", "never ends"), "--" + formBoundary + "\r\n", "--" + formBoundary + "\r\nno header\r\n\r\n",
		"--" + formBoundary + "\r\nX: " + strings.Repeat("y", 100<<10) + "\r\n\r\nz" + end,
	} {
		u := s.form("bkt", "key", "k")
		u.file, u.tail = fmt.Sprintf("content %d\r\n--%s", i, formBoundary[:4]), tail
		if r := u.send(); r.status != 204 {
			t.Errorf("%d: %d %s", i, r.status, r.body)
			continue
		}
		s.get("/bkt/k").want(200).wantBody(u.file)
	}
}

// TestPostObjectPreface: what stands before the file is bounded, however it is
// spread over names, values and headers.
func TestPostObjectPreface(t *testing.T) {
	t.Parallel()
	const tooLong = "Your POST request fields preceding the upload file were too large."
	s := newServer(t)
	s.bucket("bkt")
	long := func(n int) string { return strings.Repeat("x", n) }
	u := s.form("bkt", "key", "k")
	u.fields = append(u.fields, [2]string{"x-ignore-a", long(18 << 10)})
	u.send().want(204)
	for name, fields := range map[string][][2]string{
		"value": {{"x-ignore-a", long(20 << 10)}}, "name": {{"x-ignore-" + long(20<<10), ""}}, "huge": {{"x-ignore-a", long(2 << 20)}},
		"many": slices.Repeat([][2]string{{"x-ignore-a", ""}}, 400), "spread": {{"x-ignore-a", long(10 << 10)}, {"x-ignore-b", long(10 << 10)}},
		"header": {{"x-ignore-a\"\r\nX-Long: " + long(30<<10) + "\r\nX-Quote: \"", ""}},
	} {
		u := s.form("bkt", "key", "k")
		u.fields = append(u.fields, fields...)
		if r := u.send(); r.status != 400 || !strings.Contains(r.body, "MaxPostPreDataLengthExceededError") {
			t.Errorf("%s: %d %.300s", name, r.status, r.body)
		} else {
			r.wantError(400, "MaxPostPreDataLengthExceededError", tooLong, "MaxPostPreDataLengthBytes", "20480")
		}
	}
	// A file under another name is a field like any other.
	u = s.form("bkt", "key", "k")
	u.fields, u.noFile = append(u.fields, [2]string{"upload", long(30 << 10)}), true
	u.send().wantError(400, "MaxPostPreDataLengthExceededError", tooLong)
	u = s.form("bkt", "key", "k")
	u.fields = append(u.fields, [2]string{"", long(30 << 10)})
	u.send().wantError(400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
}

func TestPostObjectSignatures(t *testing.T) {
	t.Parallel()
	const (
		mismatch = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
		missing  = "Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields."
	)
	s := newServer(t)
	s.bucket("bkt")
	set := func(name, value string) func(map[string]string) {
		return func(fields map[string]string) { fields[name] = value }
	}
	for _, tt := range []struct {
		v2            bool
		change        func(map[string]string)
		status        int
		code, message string
		fields        []string
	}{
		{false, set("x-amz-signature", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "X-Amz-Signature"), []string{"ArgumentName", "X-Amz-Signature", "ArgumentValue", ""}},
		{false, set("x-amz-algorithm", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "X-Amz-Algorithm"), []string{"ArgumentName", "X-Amz-Algorithm"}},
		{false, set("x-amz-credential", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "X-Amz-Credential"), nil},
		{false, set("x-amz-date", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "X-Amz-Date"), nil},
		{false, set("policy", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "policy"), []string{"ArgumentName", "policy"}},
		{false, set("x-amz-signature", strings.Repeat("0", 64)), 403, "SignatureDoesNotMatch", mismatch, []string{"AWSAccessKeyId", rootKey, "SignatureProvided", strings.Repeat("0", 64)}},
		{false, set("policy", "e30="), 403, "SignatureDoesNotMatch", mismatch, []string{"StringToSign", "e30=", "StringToSignBytes", "65 33 30 3d"}},
		{false, set("x-amz-algorithm", "AWS4-HMAC-SHA512"), 400, "InvalidArgument", "Only AWS4-HMAC-SHA256 is supported", nil},
		{false, set("x-amz-credential", "AKIDNONE/20200101/"+region+"/s3/aws4_request"), 400, "InvalidArgument", "", nil},
		{false, set("x-amz-date", "today"), 400, "InvalidArgument", "X-Amz-Date must be formated via ISO8601 Long format", nil},
		{false, set("x-amz-security-token", "tok"), 400, "InvalidToken", "", nil},
		{false, set("signature", "x"), 400, "InvalidArgument", "", nil},
		{true, set("signature", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "Signature"), []string{"ArgumentName", "Signature"}},
		{true, set("AWSAccessKeyId", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "AWSAccessKeyId"), nil},
		{true, set("policy", ""), 400, "InvalidArgument", fmt.Sprintf(missing, "policy"), nil},
		{true, set("AWSAccessKeyId", "AKIDNONE"), 403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", []string{"AWSAccessKeyId", "AKIDNONE"}},
		{true, set("AWSAccessKeyId", userKey), 403, "SignatureDoesNotMatch", mismatch, nil},
		{true, set("signature", "AAAA"), 403, "SignatureDoesNotMatch", mismatch, []string{"SignatureProvided", "AAAA"}},
		{true, set("signature", "!"), 403, "SignatureDoesNotMatch", mismatch, nil},
		{true, set("policy", "e30="), 403, "SignatureDoesNotMatch", mismatch, []string{"StringToSign", "e30=", "StringToSignBytes", "65 33 30 3d"}},
		{true, set("x-amz-security-token", "tok"), 400, "InvalidToken", "", nil},
	} {
		u := s.form("bkt", "key", "k")
		u.v2, u.change = tt.v2, tt.change
		u.send().wantError(tt.status, tt.code, tt.message, tt.fields...)
	}
	u := s.form("bkt", "key", "k")
	u.key = "AKIDNONE"
	u.send().wantError(403, "InvalidAccessKeyId", "", "AWSAccessKeyId", "AKIDNONE")
	u.key, u.secret = rootKey, "wrong"
	u.send().wantError(403, "SignatureDoesNotMatch", mismatch)

	// Nobody, with a policy or without, and somebody without permission.
	anonymous := s.form("bkt", "key", "k", "acl", "public-read")
	anonymous.key = ""
	anonymous.send().wantError(403, "AccessDenied", "Access Denied")
	anonymous.change = set("policy", anonymous.policy())
	anonymous.send().wantError(403, "AccessDenied", "Access Denied")
	anonymous.bucket = "none"
	anonymous.send().wantError(404, "NoSuchBucket", "")
	u = s.form("bkt", "key", "k")
	u.key, u.secret = userKey, userSecret
	u.send().wantError(403, "AccessDenied", "Access Denied")

	// Signatures of requests are not for forms.
	u = s.form("bkt", "key", "k")
	u.header = map[string]string{"Authorization": "Basic eDp5"}
	u.send().wantError(400, "InvalidArgument", "")
	u.header = nil
	signed := s.new(request{method: "POST", path: "/bkt", body: anonymous.body(), header: map[string]string{"Content-Type": "multipart/form-data; boundary=" + formBoundary}})
	s.send(signed).wantError(400, "InvalidArgument", "")
	s.head("/bkt/k").want(404)
	none := s.form("none", "key", "k")
	none.send().wantError(404, "NoSuchBucket", "", "BucketName", "none")
	u.header = map[string]string{"x-amz-expected-bucket-owner": "999999999999"}
	u.send().wantError(403, "AccessDenied", "")
}

// TestPostObjectPermission: what is asked for is to put this key.
func TestPostObjectPermission(t *testing.T) {
	t.Parallel()
	var asked []s3api.Access
	allow := true
	s := newServer(t, func(c *s3api.Config) {
		c.Authorizer = authorizer(func(a s3api.Access) error {
			asked = append(asked, a)
			if !allow {
				return s3api.ErrDenied
			}
			return nil
		})
	})
	s.bucket("bkt")
	u := s.form("bkt", "key", "dir/${filename}")
	u.key, u.secret = userKey, userSecret
	u.send().want(204)
	allow = false
	u.send().wantError(403, "AccessDenied", "")
	want := s3api.Access{Operation: "PostObject", Permission: "s3:PutObject", Bucket: "bkt", Key: "dir/f.txt"}
	for _, a := range asked {
		if a.Identity.UserID != "user-1" || a.Identity.AccessKey != userKey {
			t.Errorf("asked for %+v", a.Identity)
		}
		if a.Identity = (s3api.Identity{}); a != want {
			t.Errorf("asked for %+v", a)
		}
	}
	if len(asked) != 2 {
		t.Errorf("asked %d times", len(asked))
	}
}

type authorizer func(s3api.Access) error

func (f authorizer) Authorize(_ context.Context, a s3api.Access) error { return f(a) }

func TestPostObjectPolicy(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	expired := s.form("bkt", "key", "k")
	expired.expires = time.Now().Add(-time.Second)
	expired.send().wantError(403, "AccessDenied", "Invalid according to Policy: Policy expired.")

	extra := s.form("bkt", "key", "k")
	extra.fields = append(extra.fields, [2]string{"X-Amz-Meta-Foo", "bar"})
	extra.send().wantError(403, "AccessDenied", "Invalid according to Policy: Extra input fields: X-Amz-Meta-Foo")

	s.form("bkt", "key", "k").cover(`{"acl": "private"}`).send().wantError(403, "AccessDenied", `Invalid according to Policy: Policy Condition failed: ["eq", "$acl", "private"]`)
	s.form("bkt", "key", "k").cover(`["in", "$acl", "private"]`).send().wantError(400, "InvalidPolicyDocument", "Invalid Policy: Invalid Condition: unknown operation 'in'.")

	s.bucket("other")
	moved := s.form("bkt", "key", "k", "bucket", "bkt")
	moved.header = map[string]string{}
	body := moved.body()
	moved.bucket = "other"
	moved.post(body).wantError(403, "AccessDenied", `Invalid according to Policy: Policy Condition failed: ["eq", "$bucket", "bkt"]`)

	for _, tt := range []struct {
		size          int
		status        int
		code, message string
		fields        []string
	}{
		{4, 400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", []string{"ProposedSize", "4", "MinSizeAllowed", "5"}},
		{5, 204, "", "", nil},
		{10, 204, "", "", nil},
		{12, 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", []string{"ProposedSize", "12", "MaxSizeAllowed", "10"}},
		{3 << 20, 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", []string{"ProposedSize", "3145728", "MaxSizeAllowed", "10"}},
	} {
		u := s.form("bkt", "key", fmt.Sprint("size/", tt.size)).cover(`["content-length-range", 5, 10]`)
		u.file = strings.Repeat("x", tt.size)
		if tt.status == 204 {
			u.send().want(204)
			continue
		}
		u.send().wantError(400, tt.code, tt.message, tt.fields...)
		s.head(fmt.Sprint("/bkt/size/", tt.size)).want(404)
	}
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

// TestPostObjectOpen: a store that is open to all takes forms without a
// signature, and still keeps to a policy that is there.
func TestPostObjectOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *s3api.Config) { c.Open, c.Credentials = true, nil })
	s.bucket("bkt")
	u := s.form("bkt", "key", "k", "acl", "public-read")
	u.key = ""
	u.send().want(204)
	u.header = map[string]string{"Authorization": "Basic eDp5"}
	u.send().want(204)
	u.change = func(fields map[string]string) { fields["policy"] = u.policy() }
	u.send().want(204)
	u.cover(`{"acl": "private"}`).send().wantError(403, "AccessDenied", "")
	u.expires = time.Now().Add(-time.Second)
	u.send().wantError(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
	signed := s.form("bkt", "key", "k")
	signed.secret = "unknown"
	signed.send().want(204)
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

// TestPostObjectStreams: the file goes on to the store while the client is still
// sending it, in HTTP chunks, and a client that goes away leaves nothing.
func TestPostObjectStreams(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	seen := make(chan struct{})
	put := s.hooks.Backend.PutObject
	s.hooks.putObject = func(ctx context.Context, rq meta.PutRequest, p meta.Payload) (meta.Object, error) {
		first := make([]byte, 1<<20)
		if _, err := io.ReadFull(p, first); err != nil {
			return meta.Object{}, err
		}
		close(seen)
		return put(ctx, rq, rest{p, io.MultiReader(bytes.NewReader(first), p)})
	}
	head, tail, _ := strings.Cut(s.form("bkt", "key", "big").body(), "content")
	post := func(body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.http.URL+"/bkt", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary="+formBoundary)
		return r
	}
	block := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	wait := func(string) error {
		select {
		case <-seen:
			return nil
		case <-time.After(20 * time.Second):
			return errors.New("the store has not seen the beginning of the file")
		}
	}
	s.send(post(&steps{text: []string{head, block, block, block[:7] + tail}, before: map[int]func(string) error{3: wait}})).want(204)
	s.hooks.putObject = nil
	s.get("/bkt/big").want(200).wantBody(block + block + block[:7])

	gone := errors.New("gone")
	resp, err := s.client.Do(post(&steps{text: []string{head, block, tail}, before: map[int]func(string) error{2: func(string) error { return gone }}}))
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("a request without its end was answered")
	}
	s.lastInfo()
	s.get("/bkt/big").want(200).wantBody(block + block + block[:7])
}

// rest is a payload whose beginning was read.
type rest struct {
	meta.Payload
	r io.Reader
}

func (r rest) Read(b []byte) (int, error) { return r.r.Read(b) }

// steps reads several texts, and does something before some of them.
type steps struct {
	text   []string
	before map[int]func(string) error
	n      int
}

func (s *steps) Read(b []byte) (int, error) {
	if s.n == len(s.text) {
		return 0, io.EOF
	}
	if f := s.before[s.n]; f != nil {
		if err := f(s.text[s.n]); err != nil {
			return 0, err
		}
		delete(s.before, s.n)
	}
	n := copy(b, s.text[s.n])
	if s.text[s.n] = s.text[s.n][n:]; s.text[s.n] == "" {
		s.n++
	}
	return n, nil
}

// TestPostObjectMemory: a form never holds a large file. It does not run beside
// others, for it counts what is allocated.
func TestPostObjectMemory(t *testing.T) {
	s := newServer(t)
	s.bucket("bkt")
	s.hooks.putObject = func(_ context.Context, rq meta.PutRequest, p meta.Payload) (meta.Object, error) {
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{p}, make([]byte, 256<<10))
		return meta.Object{Bucket: rq.Bucket, Key: rq.Key, Size: n, Digests: p.Digests()}, err
	}
	head, tail, _ := strings.Cut(s.form("bkt", "key", "big").body(), "content")
	allocated := func(size int64) uint64 {
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.http.URL+"/bkt",
			io.MultiReader(strings.NewReader(head), io.LimitReader(zeros{}, size), strings.NewReader(tail)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary="+formBoundary)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.send(r).want(204)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1 << 20) // warms the pools, which the race detector makes leak
	if n := allocated(128 << 20); n > 64<<20 {
		t.Errorf("a file of 128 MiB takes %d bytes of memory", n)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

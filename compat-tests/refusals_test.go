package compattests

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signedCall sends an S3 request signed now, changed by edit after that if edit is given.
func (d *deployment) signedCall(t testing.TB, method, path string, body []byte, at time.Time, edit func(r *http.Request), headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.url()+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Header.Set("X-Amz-Content-Sha256", sha(body))
	creds := aws.Credentials{AccessKeyID: d.accessKey, SecretAccessKey: d.secretKey}
	if err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(t.Context(), creds, req, sha(body), "s3", region, at); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(req)
	}
	resp, err := d.httpClient(t, 1).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	var got bytes.Buffer
	if _, err := got.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, got.Bytes()}
}

func md5Header(body string) string {
	sum := md5.Sum([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// s3Error is the document of every S3 error.
type s3Error struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string   `xml:"Code"`
	Message   string   `xml:"Message"`
	Resource  string   `xml:"Resource"`
	RequestID string   `xml:"RequestId"`
}

// wantS3Error checks status, code, form and request id of an S3 error, and that its message says something of says.
func wantS3Error(t testing.TB, what string, a answer, status int, code, says string) {
	t.Helper()
	var doc s3Error
	if err := xml.Unmarshal(a.body, &doc); err != nil {
		t.Errorf("%s: no error document: %v\n%v", what, err, a)
		return
	}
	if a.status != status || doc.Code != code || !strings.Contains(doc.Message, says) {
		t.Errorf("%s: %d %s %q, want %d %s %q", what, a.status, doc.Code, doc.Message, status, code, says)
	}
	if ct := a.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/xml") {
		t.Errorf("%s: type %q", what, ct)
	}
	if id := a.header.Get("X-Amz-Request-Id"); id == "" || id != doc.RequestID {
		t.Errorf("%s: request id %q in the header, %q in the document", what, id, doc.RequestID)
	}
}

func TestSignatureRefusals(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		now := time.Now()
		if a := d.signedCall(t, "PUT", "/there", nil, now, nil); a.status != 200 {
			t.Fatalf("create bucket: %v", a)
		}
		replace := func(old, new string) func(*http.Request) {
			return func(r *http.Request) {
				r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
			}
		}
		for _, tc := range []struct {
			what       string
			edit       func(*http.Request)
			at         time.Time
			status     int
			code, says string
		}{
			{"no signature", func(r *http.Request) { r.Header.Del("Authorization") }, now, 403, "AccessDenied", ""},
			{"another path", func(r *http.Request) { r.URL.Path = "/other" }, now, 403, "SignatureDoesNotMatch", "signature"},
			{"another query", func(r *http.Request) { r.URL.RawQuery = "max-keys=1" }, now, 403, "SignatureDoesNotMatch", "signature"},
			{"another method", func(r *http.Request) { r.Method = http.MethodDelete }, now, 403, "SignatureDoesNotMatch", "signature"},
			{"a signed header changed", func(r *http.Request) {
				r.Header.Set("X-Amz-Date", now.Add(time.Second).UTC().Format("20060102T150405Z"))
			}, now, 403, "SignatureDoesNotMatch", "signature"},
			{"an unknown access key", replace("Credential="+d.accessKey, "Credential=NOBODY"), now, 403, "InvalidAccessKeyId", "does not exist"},
			{"another region", replace("/"+region+"/", "/other-region/"), now, 400, "AuthorizationHeaderMalformed", region},
			{"another service", replace("/s3/", "/ec2/"), now, 400, "AuthorizationHeaderMalformed", ""},
			{"no scheme", replace("AWS4-HMAC-SHA256", "AWS9-HMAC"), now, 400, "InvalidArgument", "Unsupported Authorization Type"},
			{"no signature in the header", replace("Signature=", "Sig="), now, 400, "AuthorizationHeaderMalformed", ""},
			{"sixteen minutes ago", nil, now.Add(-16 * time.Minute), 403, "RequestTimeTooSkewed", "difference"},
			{"in sixteen minutes", nil, now.Add(16 * time.Minute), 403, "RequestTimeTooSkewed", "difference"},
		} {
			wantS3Error(t, tc.what, d.signedCall(t, "GET", "/there?list-type=2", nil, tc.at, tc.edit), tc.status, tc.code, tc.says)
		}
		// Within the skew the request is taken, and only then the bucket is looked for.
		wantS3Error(t, "fourteen minutes ago", d.signedCall(t, "GET", "/some-bucket?list-type=2", nil, now.Add(-14*time.Minute), nil), 404, "NoSuchBucket", "bucket")
		body := []byte("the body that was signed")
		edit := func(r *http.Request) {
			other := bytes.ToUpper(body)
			r.Body, r.ContentLength = http.NoBody, 0
			swapped, err := http.NewRequest(r.Method, "/", bytes.NewReader(other))
			if err != nil {
				t.Fatal(err)
			}
			r.Body, r.ContentLength, r.GetBody = swapped.Body, swapped.ContentLength, swapped.GetBody
		}
		if a := d.signedCall(t, "PUT", "/kv-other", nil, now, nil); a.status != 200 {
			t.Fatalf("create bucket: %v", a)
		}
		wantS3Error(t, "another body", d.signedCall(t, "PUT", "/kv-other/k", body, now, edit), 400, "XAmzContentSHA256Mismatch", "")
		wantS3Error(t, "nothing was stored", d.signedCall(t, "GET", "/kv-other/k", nil, now, nil), 404, "NoSuchKey", "key")
	})
}

func TestS3Refusals(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		if a := d.signedCall(t, "PUT", "/refusing", nil, time.Now(), nil); a.status != 200 {
			t.Fatalf("create bucket: %v", a)
		}
		for _, tc := range []struct {
			what, method, path string
			body               string
			headers            []string
			status             int
			code               string
		}{
			{"an operation that is not built", "GET", "/refusing?analytics&id=x", "", nil, 501, "NotImplemented"},
			{"another one", "PUT", "/refusing?inventory&id=x", "<InventoryConfiguration/>", nil, 501, "NotImplemented"},
			{"and one more", "POST", "/refusing/k?select&select-type=2", "<SelectObjectContentRequest/>", nil, 501, "NotImplemented"},
			{"a method without meaning", "PATCH", "/refusing/k", "", nil, 405, "MethodNotAllowed"},
			{"a missing key", "GET", "/refusing/none", "", nil, 404, "NoSuchKey"},
			{"a missing bucket", "GET", "/no-such-bucket/none", "", nil, 404, "NoSuchBucket"},
			{"a bucket name that is none", "PUT", "/Not_A_Bucket", "", nil, 400, "InvalidBucketName"},
			{"a body that is no XML", "POST", "/refusing?delete", "this is no XML", []string{"Content-Md5", md5Header("this is no XML")}, 400, "MalformedXML"},
			{"too much metadata", "PUT", "/refusing/k", "", []string{"X-Amz-Meta-Big", strings.Repeat("m", 2049)}, 400, "MetadataTooLarge"},
			{"a Content-MD5 that is none", "PUT", "/refusing/k", "x", []string{"Content-Md5", "nonsense"}, 400, "InvalidDigest"},
			{"a storage class that is none", "PUT", "/refusing/k", "x", []string{"X-Amz-Storage-Class", "NONSENSE"}, 400, "InvalidStorageClass"},
			{"max-keys that is no number", "GET", "/refusing?list-type=2&max-keys=many", "", nil, 400, "InvalidArgument"},
			{"an encoding that is none", "GET", "/refusing?encoding-type=base64", "", nil, 400, "InvalidArgument"},
			{"a copy source that is none", "PUT", "/refusing/k", "", []string{"X-Amz-Copy-Source", "nonsense"}, 400, "InvalidArgument"},
			{"a key that is no UTF-8", "PUT", "/refusing/a%ff", "x", nil, 400, ""},
		} {
			a := d.signedCall(t, tc.method, tc.path, []byte(tc.body), time.Now(), nil, tc.headers...)
			if tc.code == "" { // AWS documents no code for it
				var doc s3Error
				if err := xml.Unmarshal(a.body, &doc); err != nil || a.status != tc.status {
					t.Errorf("%s: %v", tc.what, a)
				}
				continue
			}
			wantS3Error(t, tc.what, a, tc.status, tc.code, "")
		}
		// 1,001 keys in one request, one more than AWS allows.
		list := "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1001) + "</Delete>"
		wantS3Error(t, "1,001 keys to delete", d.signedCall(t, "POST", "/refusing?delete", []byte(list), time.Now(), nil,
			"Content-Md5", md5Header(list)), 400, "MalformedXML", "")
	})
}

// TestHostileRequests sends what no client does by accident. The store must answer or hang up, and live on.
func TestHostileRequests(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		for what, raw := range map[string]string{
			"a huge header":         "GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("h", 2<<20) + "\r\n\r\n",
			"many headers":          "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-H: v\r\n", 200_000) + "\r\n",
			"a huge request line":   "GET /" + strings.Repeat("a", 2<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n",
			"no HTTP":               "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
			"no Host":               "GET / HTTP/1.1\r\n\r\n",
			"a negative length":     "PUT /set/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
			"two lengths":           "PUT /set/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
			"length and chunks":     "PUT /set/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"a broken escape":       "GET /get/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			"an absolute path":      "GET http://elsewhere/get/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			"a path without slash":  "GET get/x HTTP/1.1\r\nHost: x\r\n\r\n",
			"asterisk":              "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			"a request cut short":   "PUT /set/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc",
			"a body without rights": "PUT /set/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nConnection: close\r\n\r\nsomething",
		} {
			line := rawRequest(t, d.addr, raw)
			if strings.HasPrefix(line, "HTTP/1.1 5") || strings.HasPrefix(line, "HTTP/1.1 2") && !strings.HasPrefix(raw, "OPTIONS") {
				t.Errorf("%s: answered %q", what, line)
			}
		}
		if ok, text := d.probe("/-/healthz"); !ok {
			t.Errorf("health afterwards: %s", text)
		}
		d.checkMemory(t, memoryBar)
	})
}

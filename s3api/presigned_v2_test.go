package s3api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tdkvs/s3api"
)

// The URLs are those that boto3 1.43 makes for the keys of these tests, at the
// time 1700000000, good for an hour.
const (
	v2Get    = "/bkt/dir/a%20b%2Bc/%C3%BC%26%3F.txt?AWSAccessKeyId=AKIDROOT&Signature=9H5UXkq%2BdwVg%2BcMrBe4aYpMba%2B0%3D&Expires=1700003600"
	v2Type   = "/bkt/key?response-content-type=text%2Fcsv%3B%20charset%3Dutf-8&versionId=null&AWSAccessKeyId=AKIDROOT&Signature=TvhLnUE8vmT6uz%2Fw5gf6v4QaZJE%3D&Expires=1700003600"
	v2Put    = "/bkt/key?AWSAccessKeyId=AKIDROOT&Signature=t196NMc8NacAMAnpUzndB8Qesu8%3D&content-type=text%2Fplain&x-amz-meta-b=2&x-amz-meta-a=one%20two&x-amz-acl=private&Expires=1700003600"
	v2List   = "/bkt?list-type=2&prefix=x%2F&encoding-type=url&AWSAccessKeyId=AKIDROOT&Signature=cRKU8%2B96UkhRbvpSi86GEljnY8o%3D&Expires=1700003600"
	v2Part   = "/bkt/key?uploadId=u1&partNumber=3&AWSAccessKeyId=AKIDROOT&Signature=eJy%2Fou7UHkhQp16iHUB5KDu7GNM%3D&Expires=1700003600"
	v2Head   = "/bkt/key?AWSAccessKeyId=AKIDROOT&Signature=KO9I4sN6P6Rx5jNUQ7isUFg6awk%3D&Expires=1700003600"
	v2Domain = "s3.example.com"
)

// v2Server is a server that lives at the time of the URLs, with an object.
func v2Server(t *testing.T, at int64) (*server, func(method, target, host, body string) *result) {
	t.Helper()
	s := newServer(t, func(c *s3api.Config) {
		c.Now = func() time.Time { return time.Unix(at, 0) }
		c.Domains = []string{v2Domain}
	})
	return s, func(method, target, host, body string) *result {
		t.Helper()
		return s.do(request{method: method, path: target, host: host, body: body, key: "-"})
	}
}

func TestPresignedV2(t *testing.T) {
	t.Parallel()
	s, do := v2Server(t, 1700000000)
	fill(t, s)
	for _, host := range []string{"", "bkt." + v2Domain + ":3000"} {
		at := func(target string) string {
			if host == "" {
				return target
			}
			target = strings.TrimPrefix(target, "/bkt")
			if !strings.HasPrefix(target, "/") {
				target = "/" + target
			}
			return target
		}
		do("PUT", at(v2Put), host, "body").want(200)
		do("HEAD", at(v2Head), host, "").want(200).wantHeader("Content-Type", "text/plain", "x-amz-meta-a", "one two", "x-amz-meta-b", "2")
		do("GET", at(v2Type), host, "").want(200).wantBody("body").wantHeader("Content-Type", "text/csv; charset=utf-8")
		do("GET", at(v2Get), host, "").want(200).wantBody("deep")
		do("GET", at(v2List), host, "").want(200).wantXML("<Prefix>x/</Prefix>")
		do("PUT", at(v2Part), host, "x").wantError(404, "NoSuchUpload", "")
	}
	if info := s.lastInfo(); info.AccessKey != rootKey || info.Operation != "UploadPart" {
		t.Errorf("info is %+v", info)
	}
}

// fill puts the object that v2Get reads.
func fill(t *testing.T, s *server) {
	t.Helper()
	ctx := t.Context()
	if err := s.hooks.CreateBucket(ctx, bucketOf("bkt")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.hooks.PutObject(ctx, putOf("bkt", "dir/a b+c/ü&?.txt", 4), payloadOf("deep")); err != nil {
		t.Fatal(err)
	}
}

func TestPresignedV2Errors(t *testing.T) {
	t.Parallel()
	s, do := v2Server(t, 1700000000)
	fill(t, s)
	const mismatch = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
	for _, target := range []string{
		strings.Replace(v2Get, "dir", "dip", 1), strings.Replace(v2Get, "9H5U", "9H5V", 1), strings.Replace(v2Get, "Signature=9", "Signature=!", 1),
		strings.Replace(v2Get, "1700003600", "1700003601", 1), v2Get + "&acl", v2Get + "&versionId=null", v2Get + "&x-amz-checksum-mode=ENABLED",
		v2Get + "&response-content-type=text/html", v2Get + "&content-type=text/html",
	} {
		do("GET", target, "", "").wantError(403, "SignatureDoesNotMatch", mismatch)
	}
	do("HEAD", v2Get, "", "").want(403)
	do("DELETE", v2Get, "", "").wantError(403, "SignatureDoesNotMatch", mismatch)
	do("GET", strings.Replace(v2Get, "AKIDROOT", "AKIDNONE", 1), "", "").wantError(403, "InvalidAccessKeyId", "", "AWSAccessKeyId", "AKIDNONE")
	do("GET", strings.Replace(v2Get, "1700003600", "soon", 1), "", "").wantError(403, "AccessDenied", "")
	do("GET", v2Get+"&x-amz-security-token=x", "", "").wantError(400, "InvalidToken", "")
	// Version 2 does not sign the sub-resources that came after it.
	do("GET", v2Get+"&attributes", "", "").wantError(403, "AccessDenied", "", "Parameter", "attributes")
	r := s.new(request{method: "GET", path: v2Get, key: "-"})
	r.Header = http.Header{"X-Amz-Meta-A": {"1"}}
	s.send(r).wantError(403, "SignatureDoesNotMatch", "")
	do("GET", v2Get, "", "").want(200).wantBody("deep")

	_, late := v2Server(t, 1700003600)
	late("GET", v2Get, "", "").wantError(403, "AccessDenied", "Request has expired.", "Expires", "2023-11-14T23:13:20Z", "ServerTime", "2023-11-14T23:13:20Z")
}

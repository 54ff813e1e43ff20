package s3api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api"
)

// Covers: GetObject, HeadObject.
func TestRanges(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	const body = "0123456789"
	s.put("/bkt/key", body).want(200)
	s.put("/bkt/empty", "").want(200)
	for _, tt := range []struct {
		header string
		status int
		body   string
		rng    string
	}{
		{"bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"bytes=2-5", 206, "2345", "bytes 2-5/10"},
		{"bytes=7-", 206, "789", "bytes 7-9/10"},
		{"bytes=-3", 206, "789", "bytes 7-9/10"},
		{"bytes=-99", 206, body, "bytes 0-9/10"},
		{"bytes=0-99", 206, body, "bytes 0-9/10"},
		{"bytes=-10", 206, body, "bytes 0-9/10"},
		{"bytes=9-9223372036854775807", 206, "9", "bytes 9-9/10"},
		{"bytes=9-99999999999999999999", 206, "9", "bytes 9-9/10"},
		{"Bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"bytes=0-1,3-4", 200, body, ""},
		{"bytes=-", 200, body, ""},
		{"bytes=", 200, body, ""},
		{"bytes 0-1", 200, body, ""},
		{"bytes= 0-1", 200, body, ""},
		{"bytes=0 - 1", 200, body, ""},
		{"bytes=0x1-2", 200, body, ""},
		{"bytes=+1-2", 200, body, ""},
		{"bytes=5-2", 200, body, ""},
		{"bytes=x", 200, body, ""},
		{"items=0-1", 200, body, ""},
	} {
		length := strconv.Itoa(len(tt.body))
		s.get("/bkt/key", "Range", tt.header).want(tt.status).wantBody(tt.body).wantHeader("Content-Range", tt.rng, "Content-Length", length, "ETag", etagOf(body))
		s.head("/bkt/key", "Range", tt.header).want(tt.status).wantBody("").wantHeader("Content-Range", tt.rng, "Content-Length", length)
	}
	s.get("/bkt/key", "Range", "bytes=10-").wantError(416, "InvalidRange", "The requested range is not satisfiable",
		"RangeRequested", "bytes=10-", "ActualObjectSize", "10").wantHeader("Content-Range", "bytes */10")
	s.get("/bkt/key", "Range", "bytes=-0").wantError(416, "InvalidRange", "")
	s.get("/bkt/key", "Range", "bytes=99999999999999999999-").wantError(416, "InvalidRange", "")
	s.get("/bkt/empty", "Range", "bytes=-5").want(200).wantBody("").wantHeader("Content-Range", "", "Content-Length", "0")
	s.get("/bkt/empty", "Range", "bytes=0-").wantError(416, "InvalidRange", "", "ActualObjectSize", "0")
	s.head("/bkt/key", "Range", "bytes=10-").want(416).wantBody("").wantHeader("Content-Range", "bytes */10")
	s.get("/bkt/key", "Range", "bytes=2-5", "If-Range", etagOf(body)).want(206)
	s.get("/bkt/key", "Range", "bytes=2-5", "If-Range", `"other"`).want(200).wantBody(body)
	s.get("/bkt/key", "Range", "bytes=2-5", "If-Range", "Wed, 21 Oct 2015 07:28:00 GMT").want(200)
	s.get("/bkt/key", "Range", "bytes=2-5", "If-Range", s.head("/bkt/key").header.Get("Last-Modified")).want(206)
}

// Covers: GetObject, HeadObject.
func TestReadConditions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "x", "Cache-Control", "max-age=5", "Expires", "never").want(200)
	etag := etagOf("x")
	modified := s.head("/bkt/key").want(200).header.Get("Last-Modified")
	at, err := http.ParseTime(modified)
	if err != nil {
		t.Fatal(err)
	}
	before, after := at.Add(-time.Second).Format(http.TimeFormat), at.Add(time.Second).Format(http.TimeFormat)
	tests := []struct {
		headers   []string
		status    int
		condition string
	}{
		{[]string{"If-Match", etag}, 200, ""},
		{[]string{"If-Match", strings.Trim(etag, `"`)}, 200, ""},
		{[]string{"If-Match", "*"}, 200, ""},
		{[]string{"If-Match", `"a", ` + etag}, 200, ""},
		{[]string{"If-Match", `"a"`}, 412, "If-Match"},
		{[]string{"If-Match", "W/" + etag}, 412, "If-Match"},
		{[]string{"If-Match", etag[:len(etag)-1]}, 200, ""}, // with half its quotes
		{[]string{"If-None-Match", etag}, 304, ""},
		{[]string{"If-None-Match", "W/" + etag}, 304, ""},
		{[]string{"If-None-Match", "*"}, 304, ""},
		{[]string{"If-None-Match", `"a"`}, 200, ""},
		{[]string{"If-Modified-Since", modified}, 304, ""},
		{[]string{"If-Modified-Since", before}, 200, ""},
		{[]string{"If-Modified-Since", after}, 304, ""},
		{[]string{"If-Modified-Since", "nonsense"}, 200, ""},
		{[]string{"If-Modified-Since", at.Format("Monday, 02-Jan-06 15:04:05 GMT")}, 304, ""},
		{[]string{"If-Modified-Since", at.Format(time.ANSIC)}, 304, ""},
		{[]string{"If-Unmodified-Since", modified}, 200, ""},
		{[]string{"If-Unmodified-Since", before}, 412, "If-Unmodified-Since"},
		{[]string{"If-Unmodified-Since", after}, 200, ""},
		// RFC 9110, 13.2.2: an ETag condition replaces the date beside it.
		{[]string{"If-Match", etag, "If-Unmodified-Since", before}, 200, ""},
		{[]string{"If-Match", `"a"`, "If-Unmodified-Since", after}, 412, "If-Match"},
		{[]string{"If-None-Match", `"a"`, "If-Modified-Since", after}, 200, ""},
		{[]string{"If-None-Match", etag, "If-Modified-Since", before}, 304, ""},
		{[]string{"If-Match", `"a"`, "If-None-Match", etag}, 412, "If-Match"},
	}
	for _, tt := range tests {
		for _, method := range []string{"GET", "HEAD"} {
			r := s.do(request{method: method, path: "/bkt/key", header: pairs(tt.headers)}).want(tt.status)
			switch {
			case tt.status == 304:
				r.wantBody("").wantHeader("ETag", etag, "Last-Modified", modified, "Cache-Control", "max-age=5", "Expires", "never", "Content-Type", "")
			case tt.status == 412 && method == "GET":
				r.wantError(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.", "Condition", tt.condition)
			case tt.status == 412:
				r.wantBody("")
			}
		}
	}
	// A condition comes before a range.
	s.get("/bkt/key", "If-None-Match", etag, "Range", "bytes=9-").want(304)
}

func TestResponseOverrides(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "x", "Content-Type", "text/plain", "Cache-Control", "a").want(200)
	query := url.Values{
		"response-content-type": {"text/html"}, "response-cache-control": {"no-store"}, "response-content-disposition": {"inline\r\nX-Evil: 1"},
		"response-content-encoding": {"br"}, "response-content-language": {"fr"}, "response-expires": {"soon"},
	}.Encode()
	for _, r := range []*result{s.get("/bkt/key?" + query).want(200), s.head("/bkt/key?" + query).want(200)} {
		r.wantHeader("Content-Type", "text/html", "Cache-Control", "no-store", "Content-Encoding", "br", "Content-Language", "fr", "Expires", "soon", "X-Evil", "")
	}
}

func TestPartNumberOfPlainObject(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "0123").want(200)
	s.put("/bkt/empty", "").want(200)
	s.get("/bkt/key?partNumber=1").want(206).wantBody("0123").wantHeader("Content-Range", "bytes 0-3/4", "x-amz-mp-parts-count", "")
	s.get("/bkt/empty?partNumber=1").want(200).wantBody("")
	s.get("/bkt/key?partNumber=2").wantError(416, "InvalidPartNumber", "The requested partnumber is not satisfiable.",
		"ActualPartCount", "1", "PartNumberRequested", "2")
	for _, bad := range []string{"0", "-1", "10001", "x", ""} {
		s.get("/bkt/key?partNumber="+bad).wantError(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.",
			"ArgumentName", "partNumber", "ArgumentValue", bad)
	}
	s.get("/bkt/key?partNumber=1", "Range", "bytes=0-1").wantError(400, "InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
}

func TestEncryptionHeadersOnRead(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "x").want(200)
	s.get("/bkt/key", "x-amz-server-side-encryption-customer-algorithm", "AES256").wantError(400, "InvalidRequest",
		"The encryption parameters are not applicable to this object.")
}

// reader is an object whose body fails after some bytes.
type brokenReader struct {
	obj  meta.Object
	good int
	shut *atomic.Bool
}

func (b brokenReader) Object() meta.Object { return b.obj }
func (b brokenReader) Close() error        { b.shut.Store(true); return nil }
func (b brokenReader) Range(context.Context, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", b.good)), failing{})), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) {
	return 0, &meta.Error{Kind: meta.KindCorrupt, Op: "read", Err: errors.New("bad block")}
}

func TestBadBytesBreakTheConnection(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	shut := new(atomic.Bool)
	obj := meta.Object{Bucket: "bkt", Key: "key", Size: 1 << 20, Modified: time.Now(), Digests: meta.Digests{ETag: "e"}}
	s.hooks.openObject = func(context.Context, string, string, string) (s3api.ObjectReader, error) {
		return brokenReader{obj, 700 << 10, shut}, nil
	}
	resp, err := s.client.Do(s.new(request{method: "GET", path: "/bkt/key"}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	n, err := io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != 200 || err == nil || n >= 1<<20 {
		t.Errorf("status %d, %d bytes, %v: a part was taken for the whole", resp.StatusCode, n, err)
	}
	// Before the first byte there is still time to say so.
	s.hooks.openObject = func(context.Context, string, string, string) (s3api.ObjectReader, error) {
		return brokenReader{obj, 0, shut}, nil
	}
	shut.Store(false)
	s.get("/bkt/key").wantError(500, "InternalError", "We encountered an internal error. Please try again.")
	if info := s.lastInfo(); info.ErrorCode != "InternalError" || !strings.Contains(info.Err.Error(), "bad block") || !shut.Load() {
		t.Errorf("info is %+v, closed %v", info, shut.Load())
	}
}

// TestHeadIsGet: HEAD sends what GET sends, without the body; of an error, which is
// told in the body, the status.
//
// Covers: GetObject, HeadObject.
func TestHeadIsGet(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/plain", "0123456789", "Content-Type", "text/plain", "Cache-Control", "a", "Content-Disposition", "b", "Content-Encoding", "c",
		"Content-Language", "d", "Expires", "e", "x-amz-meta-f", "g", "x-amz-storage-class", "GLACIER", "x-amz-website-redirect-location", "/h",
		"x-amz-tagging", "i=j", "x-amz-checksum-algorithm", "SHA1").want(200)
	s.put("/bkt/empty", "").want(200)
	u := s.upload("/bkt/parts", "x-amz-checksum-algorithm", "CRC32C", "x-amz-checksum-type", "FULL_OBJECT")
	u.part(1, big).want(200)
	u.part(2, "tail").want(200)
	u.complete(completeDoc(1, etagOf(big), 2, etagOf("tail"))).want(200)
	for _, path := range []string{"/bkt/plain", "/bkt/empty", "/bkt/parts", "/bkt/none", "/none/key"} {
		for _, query := range []string{"", "?partNumber=1", "?partNumber=2", "?partNumber=3", "?partNumber=0", "?versionId=null", "?versionId=x",
			"?response-content-type=x&response-expires=y"} {
			for _, headers := range [][]string{
				nil, {"x-amz-checksum-mode", "ENABLED"}, {"x-amz-checksum-mode", "ON"}, {"Range", "bytes=1-2"}, {"Range", "bytes=-0"}, {"Range", "bytes=99999999-"},
				{"If-Match", `"x"`}, {"If-None-Match", "*"}, {"x-amz-expected-bucket-owner", "999999999999"},
				{"x-amz-checksum-mode", "ENABLED", "Range", "bytes=0-"}, {"x-amz-server-side-encryption-customer-algorithm", "AES256"},
			} {
				get, head := s.get(path+query, headers...), s.head(path+query, headers...).wantBody("")
				if get.status != head.status || described(get) != described(head) {
					t.Errorf("%s%s %v: GET %d %s, HEAD %d %s", path, query, headers, get.status, described(get), head.status, described(head))
				}
			}
		}
	}
}

// described is the headers of an answer that say something of the object.
func described(r *result) string {
	h := r.header.Clone()
	for _, name := range []string{"Date", "X-Amz-Request-Id", "X-Amz-Id-2"} {
		h.Del(name)
	}
	if r.status >= 400 {
		for _, name := range []string{"Content-Type", "Content-Length", "Transfer-Encoding"} {
			h.Del(name)
		}
	}
	return fmt.Sprint(h)
}

// TestInvalidReads: what is wrong whatever the object is said first.
//
// Covers: GetObject, HeadObject.
func TestInvalidReads(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	s.put("/bkt/key", "x").want(200)
	for _, path := range []string{"/bkt/key", "/bkt/none", "/none/key"} {
		s.get(path, "x-amz-checksum-mode", "ON").wantError(400, "InvalidRequest", "Value for x-amz-checksum-mode header is invalid.")
		s.get(path+"?partNumber=0").wantError(400, "InvalidArgument", "", "ArgumentName", "partNumber")
	}
	s.get("/bkt/key", "x-amz-checksum-mode", "enabled").want(200).wantHeader("x-amz-checksum-type", "FULL_OBJECT")
	s.get("/bkt/key").want(200).wantHeader("x-amz-checksum-type", "")
}

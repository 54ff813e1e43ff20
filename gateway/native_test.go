package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"tdkvs/master/meta"
	"tdkvs/s3api"
	"tdkvs/s3api/s3err"
)

func TestSetGetDelete(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for _, value := range []string{"hello", "", "\x00\xff binary\n", strings.Repeat("x", 300_000)} {
		w := b.do("PUT", "/set/a/b", value, "Content-Type", "text/x-test", "Cache-Control", "max-age=5")
		if w.Code != 200 || w.Header().Get("Etag") != etagOf(value) || w.Body.Len() != 0 {
			t.Fatalf("PUT: %d %v %q", w.Code, w.Header(), w.Body)
		}
		for _, method := range []string{"GET", "HEAD"} {
			w = b.do(method, "/get/a/b", "")
			want := value
			if method == "HEAD" {
				want = ""
			}
			if w.Code != 200 || w.Body.String() != want {
				t.Errorf("%s: %d, %d bytes", method, w.Code, w.Body.Len())
			}
			for name, want := range map[string]string{
				"Etag": etagOf(value), "Content-Type": "text/x-test", "Cache-Control": "max-age=5",
				"Last-Modified": "Wed, 04 Mar 2026 05:06:07 GMT", "Content-Length": fmt.Sprint(len(value)),
				"Accept-Ranges": "bytes", "Server": "tdkvs", "X-Content-Type-Options": "nosniff",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", method, name, got, want)
				}
			}
		}
	}
	if w := b.do("DELETE", "/delete/a/b", ""); w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("DELETE: %d %q", w.Code, w.Body)
	}
	wantText(t, b.do("GET", "/get/a/b", ""), 404, "no such key")
	wantText(t, b.do("DELETE", "/delete/a/b", ""), 404, "no such key")
	o := b.store.objects
	if len(o) != 0 {
		t.Errorf("left: %v", o)
	}
}

// TestBeforeFirstUse: without its bucket the store is an empty one.
func TestBeforeFirstUse(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	wantText(t, b.do("GET", "/get/x", ""), 404, "no such key")
	wantText(t, b.do("DELETE", "/delete/x", ""), 404, "no such key")
	if w := b.do("PUT", "/set/x", "1"); w.Code != 200 {
		t.Errorf("PUT: %d %s", w.Code, w.Body)
	}
	b.store.bucket = false
	if w := b.do("PUT", "/set/x", "1"); w.Code != 200 {
		t.Errorf("PUT after the bucket was deleted: %d %s", w.Code, w.Body)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for path, key := range map[string]string{
		"a":                         "a",
		"a/":                        "a/",
		"a//b":                      "a//b",
		"/":                         "/",
		"../x":                      "../x",
		".":                         ".",
		"./a/../b":                  "./a/../b",
		"a%2Fb":                     "a/b",
		"a%2fb":                     "a/b",
		"a+b":                       "a+b",
		"a%20b":                     "a b",
		"%25":                       "%",
		"%00%01%7f":                 "\x00\x01\x7f",
		"what%3F":                   "what?",
		"%F0%9F%98%80":              "😀",
		"get/x":                     "get/x",
		strings.Repeat("k", 1024):   strings.Repeat("k", 1024),
		strings.Repeat("%41", 1024): strings.Repeat("A", 1024),
	} {
		if w := b.do("PUT", "/set/"+path, path); w.Code != 200 {
			t.Errorf("PUT %q: %d %s", path, w.Code, w.Body)
		}
		if o, ok := b.store.objects[key]; !ok || string(o.value) != path {
			t.Errorf("PUT %q did not store key %q", path, key)
		}
		if w := b.do("GET", "/get/"+path, ""); w.Code != 200 || w.Body.String() != path {
			t.Errorf("GET %q: %d %q", path, w.Code, w.Body)
		}
		if w := b.do("DELETE", "/delete/"+path, ""); w.Code != 204 {
			t.Errorf("DELETE %q: %d", path, w.Code)
		}
	}
	for path, text := range map[string]string{
		"":                        "empty",
		"a%ff":                    "UTF-8",
		"%c3%28":                  "UTF-8",
		strings.Repeat("k", 1025): "1024",
		"a?b":                     "%3F",
		"a?b=c":                   "%3F",
		"a?x=%zz":                 "query",
	} {
		wantText(t, b.do("PUT", "/set/"+path, "v"), 400, text)
		wantText(t, b.do("GET", "/get/"+path, ""), 400, text)
		wantText(t, b.do("DELETE", "/delete/"+path, ""), 400, text)
	}
	if len(b.store.objects) != 0 {
		t.Errorf("stored: %v", b.store.objects)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for path, allow := range map[string]string{
		"/get/x": "GET, HEAD", "/set/x": "PUT", "/delete/x": "DELETE", "/-/healthz": "GET, HEAD", "/-/readyz": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
			if strings.Contains(allow, method) {
				continue
			}
			w := b.do(method, path, "")
			wantText(t, w, 405, "not allowed")
			if got := w.Header().Get("Allow"); got != allow {
				t.Errorf("%s %s: Allow %q", method, path, got)
			}
		}
	}
}

func TestReadConditions(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	const value = "0123456789"
	etag := etagOf(value)
	b.do("PUT", "/set/k", value)
	const same, before, after = "Wed, 04 Mar 2026 05:06:07 GMT", "Wed, 04 Mar 2026 05:06:06 GMT", "Wed, 04 Mar 2026 05:06:08 GMT"
	for _, c := range []struct {
		header []string
		status int
		body   string
		rng    string
	}{
		{[]string{"If-None-Match", etag}, 304, "", ""},
		{[]string{"If-None-Match", "W/" + etag}, 304, "", ""},
		{[]string{"If-None-Match", `"x", ` + etag}, 304, "", ""},
		{[]string{"If-None-Match", "*"}, 304, "", ""},
		{[]string{"If-None-Match", `"x"`}, 200, value, ""},
		{[]string{"If-Match", etag}, 200, value, ""},
		{[]string{"If-Match", "*"}, 200, value, ""},
		{[]string{"If-Match", "W/" + etag}, 412, "", ""},
		{[]string{"If-Match", `"x"`}, 412, "", ""},
		{[]string{"If-Modified-Since", same}, 304, "", ""},
		{[]string{"If-Modified-Since", after}, 304, "", ""},
		{[]string{"If-Modified-Since", before}, 200, value, ""},
		{[]string{"If-Modified-Since", "nonsense"}, 200, value, ""},
		{[]string{"If-Unmodified-Since", before}, 412, "", ""},
		{[]string{"If-Unmodified-Since", same}, 200, value, ""},
		{[]string{"If-None-Match", `"x"`, "If-Modified-Since", after}, 200, value, ""},
		{[]string{"If-Match", etag, "If-Unmodified-Since", before}, 200, value, ""},
		{[]string{"Range", "bytes=0-3"}, 206, "0123", "bytes 0-3/10"},
		{[]string{"Range", "bytes=8-"}, 206, "89", "bytes 8-9/10"},
		{[]string{"Range", "bytes=-3"}, 206, "789", "bytes 7-9/10"},
		{[]string{"Range", "bytes=-99"}, 206, value, "bytes 0-9/10"},
		{[]string{"Range", "bytes=5-99999999999999999999"}, 206, "56789", "bytes 5-9/10"},
		{[]string{"Range", "bytes=0-0"}, 206, "0", "bytes 0-0/10"},
		{[]string{"Range", "bytes=3-1"}, 200, value, ""},
		{[]string{"Range", "bytes=0-1,3-4"}, 200, value, ""},
		{[]string{"Range", "lines=0-1"}, 200, value, ""},
		{[]string{"Range", "bytes="}, 200, value, ""},
		{[]string{"Range", "bytes=-"}, 200, value, ""},
		{[]string{"Range", "bytes=10-"}, 416, "", "bytes */10"},
		{[]string{"Range", "bytes=-0"}, 416, "", "bytes */10"},
		{[]string{"Range", "bytes=0-1", "If-Range", etag}, 206, "01", "bytes 0-1/10"},
		{[]string{"Range", "bytes=0-1", "If-Range", `"x"`}, 200, value, ""},
		{[]string{"Range", "bytes=0-1", "If-Range", same}, 206, "01", "bytes 0-1/10"},
		{[]string{"Range", "bytes=0-1", "If-Range", before}, 200, value, ""},
		{[]string{"Range", "bytes=0-1", "If-None-Match", etag}, 304, "", ""},
	} {
		w := b.do("GET", "/get/k", "", c.header...)
		if w.Code != c.status || w.Header().Get("Content-Range") != c.rng {
			t.Errorf("%q: %d, Content-Range %q, want %d, %q", c.header, w.Code, w.Header().Get("Content-Range"), c.status, c.rng)
		}
		switch {
		case c.status == 412 || c.status == 416:
			wantText(t, w, c.status, "")
		case w.Body.String() != c.body:
			t.Errorf("%q: body %q, want %q", c.header, w.Body, c.body)
		case w.Header().Get("Etag") != etag:
			t.Errorf("%q: no ETag", c.header)
		}
		if h := b.do("HEAD", "/get/k", "", c.header...); h.Code != c.status || h.Header().Get("Content-Range") != c.rng {
			t.Errorf("HEAD %q: %d, want as GET", c.header, h.Code)
		}
	}
	b.do("PUT", "/set/empty", "")
	wantText(t, b.do("GET", "/get/empty", "", "Range", "bytes=0-"), 416, "0 bytes")
}

func TestWriteConditions(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for i, c := range []struct {
		header []string
		status int
	}{
		{[]string{"If-Match", etagOf("0")}, 404},
		{[]string{"If-None-Match", "*"}, 200},
		{[]string{"If-None-Match", "*"}, 412},
		{[]string{"If-Match", `"x"`}, 412},
		{[]string{"If-Match", etagOf("1")}, 200},
		{[]string{"If-Match", "*"}, 200},
		{[]string{"If-Match", `"a", "b"`}, 400},
		{[]string{"If-Match", `W/"a"`}, 400},
		{[]string{"If-Unmodified-Since", "Wed, 04 Mar 2026 05:06:07 GMT"}, 400},
		{[]string{"If-Match", `""`}, 412},
		{[]string{"If-Match", `x" "y`}, 400},
	} {
		if w := b.do("PUT", "/set/k", fmt.Sprint(i), c.header...); w.Code != c.status {
			t.Errorf("%d: PUT with %q: %d %s, want %d", i, c.header, w.Code, w.Body, c.status)
		}
	}
	wantText(t, b.do("DELETE", "/delete/k", "", "If-Match", `"x"`), 412, "condition")
	wantText(t, b.do("DELETE", "/delete/k", "", "If-None-Match", "*"), 400, "If-Match")
	if w := b.do("DELETE", "/delete/k", "", "If-Match", etagOf("5")); w.Code != 204 {
		t.Errorf("DELETE with its ETag: %d %s", w.Code, w.Body)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	t.Run("unknown length", func(t *testing.T) {
		r := httptest.NewRequest("PUT", "/", io.NopCloser(strings.NewReader("streamed")))
		r.ContentLength = -1
		if w := b.send(r, "/set/s"); w.Code != 200 || string(b.store.objects["s"].value) != "streamed" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
	t.Run("too large by its length", func(t *testing.T) {
		r := httptest.NewRequest("PUT", "/", io.NopCloser(failingReader{errors.New("must not be read")}))
		r.ContentLength = meta.MaxPutSize + 1
		wantText(t, b.send(r, "/set/x"), 413, "5 GiB")
	})
	t.Run("cut short", func(t *testing.T) {
		r := httptest.NewRequest("PUT", "/", io.NopCloser(strings.NewReader("half")))
		r.ContentLength = 8
		wantText(t, b.send(r, "/set/x"), 400, "bytes")
	})
	t.Run("connection breaks", func(t *testing.T) {
		r := httptest.NewRequest("PUT", "/", io.NopCloser(io.MultiReader(strings.NewReader("x"), failingReader{io.ErrUnexpectedEOF})))
		r.ContentLength = 8
		wantText(t, b.send(r, "/set/x"), 400, "bytes")
	})
	t.Run("malformed chunks", func(t *testing.T) {
		r := httptest.NewRequest("PUT", "/", io.NopCloser(io.MultiReader(strings.NewReader("x"), failingReader{errors.New("invalid byte in chunk length")})))
		r.ContentLength = -1
		wantText(t, b.send(r, "/set/x"), 400, "malformed HTTP chunks")
	})
	t.Run("too slow", func(t *testing.T) {
		r := httptest.NewRequest("PUT", "/", io.NopCloser(failingReader{os.ErrDeadlineExceeded}))
		r.ContentLength = 8
		wantText(t, b.send(r, "/set/x"), 408, "too long")
	})
	t.Run("checksums", func(t *testing.T) {
		wantText(t, b.do("PUT", "/set/x", "v", "Content-Md5", "nonsense"), 400, "Content-MD5")
		wantText(t, b.do("PUT", "/set/x", "v", "Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA=="), 400, "did not match")
		wantText(t, b.do("PUT", "/set/x", "v", "X-Amz-Checksum-Crc32", "AAAAAA=="), 400, "did not match")
		if w := b.do("PUT", "/set/sum", "hello", "X-Amz-Checksum-Crc32", "NhCmhg=="); w.Code != 200 {
			t.Errorf("a right checksum: %d %s", w.Code, w.Body)
		}
	})
	t.Run("signed chunks without a signature", func(t *testing.T) {
		wantText(t, b.do("PUT", "/set/x", "v", "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), 400, "signature")
	})
	t.Run("headers", func(t *testing.T) {
		b.do("PUT", "/set/form", "a=b", "Content-Type", "application/x-www-form-urlencoded", "Content-Encoding", "aws-chunked, gzip")
		w := b.do("GET", "/get/form", "")
		if w.Header().Get("Content-Type") != "application/octet-stream" || w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("headers %v", w.Header())
		}
		if got := b.store.objects["form"].Checksum; got.Algorithm != "CRC64NVME" || got.Value == "" {
			t.Errorf("stored with checksum %+v", got)
		}
	})
	if _, ok := b.store.objects["x"]; ok {
		t.Error("a body that failed was stored")
	}
}

func TestLimited(t *testing.T) {
	t.Parallel()
	for size, ok := range map[int]bool{0: true, 9: true, 10: true, 11: false, 500: false} {
		got, err := io.ReadAll(&limited{r: strings.NewReader(strings.Repeat("x", size)), left: 10})
		if ok != (err == nil) || ok && len(got) != size {
			t.Errorf("%d bytes of 10 allowed: %d, %v", size, len(got), err)
		}
	}
}

// TestKinds: every kind of error has its row, and says nothing of its cause.
func TestKinds(t *testing.T) {
	t.Parallel()
	want := map[meta.Kind]int{
		meta.KindInternal: 500, meta.KindNoSuchBucket: 404, meta.KindBucketExists: 409, meta.KindBucketNotEmpty: 409,
		meta.KindInvalidBucketName: 400, meta.KindNoSuchKey: 404, meta.KindNoSuchVersion: 404, meta.KindDeleteMarker: 404,
		meta.KindNoSuchUpload: 404, meta.KindInvalidPart: 400, meta.KindInvalidKey: 400, meta.KindKeyTooLong: 400,
		meta.KindMetadataTooLarge: 400, meta.KindEntityTooLarge: 413, meta.KindPreconditionFailed: 412, meta.KindConflict: 409,
		meta.KindNoSpace: 507, meta.KindReadOnly: 503, meta.KindCorrupt: 500, meta.KindUnavailable: 503, meta.KindCanceled: 503,
		meta.KindObjectLocked: 403, meta.KindNoObjectLock: 400, meta.KindInvalidBucketState: 409, meta.KindBusy: 503,
	}
	for kind := meta.Kind(0); kind.String() != "unknown kind"; kind++ {
		status, ok := want[kind]
		if !ok {
			t.Errorf("no status for kind %q", kind)
			continue
		}
		b := newBench(t, nil)
		b.store.err = &meta.Error{Kind: kind, Op: "test", Err: errSecretCause}
		for _, r := range [][2]string{{"GET", "/get/k"}, {"DELETE", "/delete/k"}} {
			w := b.do(r[0], r[1], "")
			wantText(t, w, status, "")
			if strings.Contains(w.Body.String(), "/dev") {
				t.Errorf("%s tells the client %q", kind, w.Body)
			}
			if status == 503 && w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", kind)
			}
		}
		if !strings.Contains(b.log.String(), errSecretCause.Error()) {
			t.Errorf("%s: the cause is not in the log:\n%s", kind, b.log)
		}
	}
	b := newBench(t, nil)
	b.store.err = errSecretCause
	w := b.do("GET", "/get/k", "")
	wantText(t, w, 500, "internal error; request id "+w.Header().Get("X-Amz-Request-Id"))
	for err, status := range map[error]int{
		context.Canceled:               503,
		s3err.Of(s3err.InternalError):  500,
		s3err.Of(s3err.InvalidRequest): 400,
	} {
		if f := classify(fmt.Errorf("wrapped: %w", err)); f.status != status {
			t.Errorf("%v: %d, want %d", err, f.status, status)
		}
	}
}

// TestDamagedValue: what can not be read at all is an error; what breaks off
// breaks the connection.
func TestDamagedValue(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	value := strings.Repeat("x", 200_000)
	b.do("PUT", "/set/k", value)
	b.store.readErr = &meta.Error{Kind: meta.KindCorrupt, Err: errSecretCause}
	wantText(t, b.do("GET", "/get/k", ""), 500, "damaged")

	b.store.breakAt = 100_000
	server := httptest.NewServer(b.handler)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/get/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(testKey, testSecret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err == nil || len(got) > 100_000 {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(b.log.String(), "corrupt") {
		t.Errorf("not in the log:\n%s", b.log)
	}
}

// FuzzKey: whatever the path, a key is valid, and written in its own way it is
// read as itself.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"", "a", "a/b", "%2F", "%", "%zz", "a%ff", "..", "//", "a?b", "%F0%9F%98%80", "\x00", strings.Repeat("%41", 1025)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI("/get/" + path)
		if err != nil {
			return
		}
		key, err := parseKey(u, getPrefix)
		if err != nil {
			var fail *failure
			if !errors.As(err, &fail) || fail.status != 400 {
				t.Errorf("%q: %v", path, err)
			}
			return
		}
		if key == "" || len(key) > meta.MaxKeyLen || !utf8.ValidString(key) {
			t.Errorf("%q gives the key %q", path, key)
		}
		again, err := url.ParseRequestURI("/get/" + url.PathEscape(key))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseKey(again, getPrefix); err != nil || got != key {
			t.Errorf("%q comes back as %q, %v", key, got, err)
		}
	})
}

var _ s3api.ObjectReader = fakeReader{}

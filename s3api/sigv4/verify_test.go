package sigv4

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAccepted shows what Verify accepts and what it says of it.
func TestAccepted(t *testing.T) {
	t.Parallel()
	sign := func(change func(s *Signer), payload string, at time.Time) func(r *http.Request) {
		return resign(signerWith(change), payload, at)
	}
	same := func(*Signer) {}
	unsigned := func(r *http.Request) {
		r.Header.Set("X-Amz-Content-Sha256", payloadStreamingUnsigned)
		r.Header.Set("X-Amz-Decoded-Content-Length", "7")
		r.Header.Add("X-Amz-Trailer", "X-Amz-Checksum-CRC32 ,")
		r.Header.Add("X-Amz-Trailer", "x-amz-meta-b")
	}
	for _, tt := range []struct {
		name   string
		change func(r *http.Request)
		want   Result
	}{
		{"anonymous", func(*http.Request) {}, Result{Size: 3}},
		{"anonymous with a hash", set("X-Amz-Content-Sha256", strings.ToUpper(emptyHash)), Result{Payload: HashedPayload, SHA256: emptyHash, Size: 3}},
		{"anonymous with a trailer", unsigned, Result{Payload: StreamingUnsignedTrailer, Size: 7, Trailers: []string{"x-amz-checksum-crc32", "x-amz-meta-b"}}},
		{"header", sign(same, emptyHash, exampleTime), Result{Kind: Header, Payload: HashedPayload, SHA256: emptyHash, Size: 3}},
		{"unsigned payload", sign(same, "", exampleTime), Result{Kind: Header, Size: 3}},
		{"oldest", sign(same, "", exampleTime.Add(-15*time.Minute)), Result{Kind: Header, Size: 3, Time: exampleTime.Add(-15 * time.Minute)}},
		{"newest", sign(same, "", exampleTime.Add(15*time.Minute)), Result{Kind: Header, Size: 3, Time: exampleTime.Add(15 * time.Minute)}},
		{"token", sign(func(s *Signer) { s.AccessKey, s.Token = "ASIATEMPORARY", "the-token" }, "", exampleTime), Result{Kind: Header, AccessKey: "ASIATEMPORARY", Size: 3}},
		{"location in another region", func(r *http.Request) {
			r.URL.RawQuery = "location="
			resign(exampleSigner, "", exampleTime)(r)
		}, Result{Kind: Header, Size: 3}},
		{"header added by CloudFront", func(r *http.Request) {
			resign(exampleSigner, "", exampleTime)(r)
			r.Header.Set("X-Amz-Cf-Id", "1")
			r.Header.Set("X-Amzn-Trace-Id", "2")
		}, Result{Kind: Header, Size: 3}},
		{"trailer", func(r *http.Request) {
			unsigned(r)
			resign(exampleSigner, payloadStreamingUnsigned, exampleTime)(r)
		}, Result{Kind: Header, Payload: StreamingUnsignedTrailer, Size: 7, Trailers: []string{"x-amz-checksum-crc32", "x-amz-meta-b"}}},
		{"presigned", func(r *http.Request) { presign(r, exampleSigner, time.Hour, exampleTime) },
			Result{Kind: Presigned, Size: 3, Expires: exampleTime.Add(time.Hour)}},
		{"presigned with a token", func(r *http.Request) {
			presign(r, signerWith(func(s *Signer) { s.AccessKey, s.Token = "ASIATEMPORARY", "the-token" }), time.Hour, exampleTime)
		}, Result{Kind: Presigned, AccessKey: "ASIATEMPORARY", Size: 3, Expires: exampleTime.Add(time.Hour)}},
		{"presigned in its last second", func(r *http.Request) { presign(r, exampleSigner, time.Second, exampleTime.Add(-time.Second+1)) },
			Result{Kind: Presigned, Size: 3, Time: exampleTime.Add(-time.Second), Expires: exampleTime}},
		{"presigned for a week", func(r *http.Request) { presign(r, exampleSigner, MaxExpires, exampleTime.Add(-MaxExpires+time.Second)) },
			Result{Kind: Presigned, Size: 3, Time: exampleTime.Add(-MaxExpires + time.Second), Expires: exampleTime.Add(time.Second)}},
		{"presigned with a fast clock", func(r *http.Request) { presign(r, exampleSigner, time.Minute, exampleTime.Add(15*time.Minute)) },
			Result{Kind: Presigned, Size: 3, Time: exampleTime.Add(15 * time.Minute), Expires: exampleTime.Add(16 * time.Minute)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPut, "http://localhost/b/k", strings.NewReader("abc"))
			tt.change(r)
			now := exampleTime
			if strings.Contains(tt.name, "last second") {
				now = exampleTime.Add(-1) // a nanosecond before its end
			}
			v := exampleVerifier(now)
			if strings.Contains(tt.name, "location") {
				v.Region = "eu-west-1"
			}
			got, err := v.Verify(r)
			if err != nil {
				t.Fatal(explain(err))
			}
			if tt.want.Kind != Anonymous {
				tt.want.Region = "us-east-1"
				if tt.want.AccessKey == "" {
					tt.want.AccessKey = exampleKey
				}
				if tt.want.Time.IsZero() {
					tt.want.Time = exampleTime
				}
			}
			got.chunks = nil
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", *got, tt.want)
			}
		})
	}
}

// TestDates signs with each form of a date, in either header.
func TestDates(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{timeFormat, http.TimeFormat, time.RFC850, time.ANSIC, time.RFC1123Z} {
		for _, header := range []string{"X-Amz-Date", "Date"} {
			r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
			resign(exampleSigner, "", exampleTime)(r)
			r.Header.Del("X-Amz-Date")
			r.Header.Set(header, exampleTime.Format(layout))
			signed := signedHeaders(r.Header)
			r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/20130524/us-east-1/s3/aws4_request, SignedHeaders=%s, Signature=%s",
				algorithm, exampleKey, strings.Join(signed, ";"), exampleSigner.signature(r, nil, signed, payloadUnsigned, exampleTime)))
			if _, err := exampleVerifier(exampleTime).Verify(r); err != nil {
				t.Errorf("%s: %s: %s", header, r.Header.Get(header), explain(err))
			}
		}
	}
}

// TestHeadersOutsideHeader signs what net/http keeps elsewhere.
func TestHeadersOutsideHeader(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPut, "http://localhost/b/k", strings.NewReader("abc"))
	r.Header.Set("Content-Length", "3")
	r.Header.Set("Trailer", "A,B")
	resign(exampleSigner, "", exampleTime)(r)
	r.Header.Del("Content-Length")
	r.Header.Del("Trailer")
	r.Trailer = http.Header{"B": nil, "A": nil}
	if _, err := exampleVerifier(exampleTime).Verify(r); err != nil {
		t.Fatal(explain(err))
	}
	r.ContentLength = 4
	if _, err := exampleVerifier(exampleTime).Verify(r); err == nil {
		t.Error("another content length passed")
	}
	if got := string(appendHeader(nil, &http.Request{TransferEncoding: []string{"chunked"}}, "", "transfer-encoding")); got != "chunked" {
		t.Errorf("transfer-encoding: %q", got)
	}
}

// TestAnyRegion accepts every region where none is configured.
func TestAnyRegion(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	resign(signerWith(func(s *Signer) { s.Region = "mars-north-1" }), "", exampleTime)(r)
	v := exampleVerifier(exampleTime)
	v.Region = ""
	res, err := v.Verify(r)
	if err != nil || res.Region != "mars-north-1" {
		t.Errorf("%v %+v", err, res)
	}
	v.Region = "us-east-1"
	if _, err := v.Verify(r); err == nil {
		t.Error("another region passed")
	}
}

// TestConcurrentVerify shares one verifier.
func TestConcurrentVerify(t *testing.T) {
	t.Parallel()
	v := exampleVerifier(exampleTime)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := httptest.NewRequest(http.MethodGet, fmt.Sprintf("http://localhost/b/%d?n=%d", i, i), nil)
			resign(exampleSigner, "", exampleTime)(r)
			for range 50 {
				if _, err := v.Verify(r); err != nil {
					t.Error(explain(err))
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestKeyCache(t *testing.T) {
	t.Parallel()
	var c keyCache
	for i := range 3 * maxKeys {
		s := scope{"20130524", fmt.Sprintf("r%d", i%(2*maxKeys)), "s3"}
		if got, want := c.get("secret", s), deriveKey("secret", s); got != want {
			t.Fatalf("%s: %x, want %x", s.region, got, want)
		}
		if len(c.keys) > maxKeys {
			t.Fatalf("%d keys", len(c.keys))
		}
	}
	a, b := scope{"20130524", "r", "s3"}, scope{"20130525", "r", "s3"}
	if c.get("x", a) == c.get("y", a) || c.get("x", a) == c.get("x", b) {
		t.Error("keys mixed up")
	}
}

func TestPresignBounds(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "http://localhost/b/k?versionId=1", nil)
	for _, d := range []time.Duration{0, time.Second - 1, MaxExpires + 1} {
		if u, err := exampleSigner.Presign(r, d, exampleTime); err == nil {
			t.Errorf("%s: %s", d, u)
		}
	}
	r.URL.RawQuery = "a=%"
	if _, err := exampleSigner.Presign(r, time.Second, exampleTime); err == nil {
		t.Error("bad query presigned")
	}
	if err := exampleSigner.Sign(r, "", exampleTime); err == nil {
		t.Error("bad query signed")
	}
}

// TestHoistQuery moves headers out of a presigned query, and leaves the rest.
func TestHoistQuery(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPut, "/b/k?"+
		"x-amz-meta-a=1%202&X-Amz-Storage-Class=STANDARD&x-amz-acl=private&versionId=3&x-amz-checksum-algorithm=CRC32"+
		"&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-amz-tagging=a%3Db&x-amz-content-sha256=x"+
		"&X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Date=c&X-Amz-Expires=d&X-Amz-SignedHeaders=e&X-Amz-Signature=f&X-Amz-Security-Token=g", nil)
	r.Header.Set("X-Amz-Acl", "public-read")
	HoistQuery(r)
	want := http.Header{
		"X-Amz-Acl": {"public-read"}, "X-Amz-Meta-A": {"1 2"}, "X-Amz-Storage-Class": {"STANDARD"}, "X-Amz-Checksum-Algorithm": {"CRC32"},
	}
	if !reflect.DeepEqual(r.Header, want) {
		t.Errorf("got %v, want %v", r.Header, want)
	}
	r = &http.Request{URL: &url.URL{RawQuery: "x-amz-acl=%"}, Header: http.Header{}}
	HoistQuery(r)
	if len(r.Header) != 0 {
		t.Errorf("got %v", r.Header)
	}
}

func TestContentEncoding(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "gzip": "gzip", "aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip, aws-chunked": "gzip", "AWS-Chunked, gzip , br": "gzip,br", "gzip, br": "gzip, br",
	} {
		if got := ContentEncoding(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzVerify must never panic, and no random request may pass as signed.
func FuzzVerify(f *testing.F) {
	r := httptest.NewRequest(http.MethodGet, "http://examplebucket.s3.amazonaws.com/test.txt?a=1", nil)
	resign(exampleSigner, emptyHash, exampleTime)(r)
	f.Add("/test.txt", "a=1", r.Header.Get("Authorization"), "20130524T000000Z", emptyHash, "5", "x-amz-trailer")
	f.Add("/x", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=00", "", "", payloadStreamingTrailer, "-1", ",,")
	f.Add("", "%&=;", "AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;;,Signature==", "Fri, 24 May 2013 00:00:00 GMT", "", "", "")
	v := exampleVerifier(exampleTime)
	f.Fuzz(func(t *testing.T, path, query, authorization, date, payload, length, trailer string) {
		r := &http.Request{Method: http.MethodGet, Host: "h", URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}}
		for name, value := range map[string]string{
			"Authorization": authorization, "X-Amz-Date": date, "X-Amz-Content-Sha256": payload, "X-Amz-Decoded-Content-Length": length, "X-Amz-Trailer": trailer,
		} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		res, err := v.Verify(r)
		if err == nil && res.Kind != Anonymous {
			t.Errorf("forged: %+v", res)
		}
		if err == nil && res.Payload.Chunked() && res.Size < 0 {
			t.Errorf("accepted %+v", res)
		}
		HoistQuery(r)
	})
}

// FuzzCanonicalParam: what is canonical stays so, and decodes to what net/url
// makes of the raw form.
func FuzzCanonicalParam(f *testing.F) {
	for _, s := range []string{"", "a", "a+b", "%41", "%zz", "%e4%F6", "a b", "%2", "ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := canonicalParam(raw)
		want, err := url.QueryUnescape(raw)
		if ok != (err == nil) {
			t.Fatalf("%q: ok %t, net/url says %v", raw, ok, err)
		}
		if !ok {
			return
		}
		if d := (param{value: got}).decoded(); d != want {
			t.Errorf("%q: decoded %q, want %q", raw, d, want)
		}
		if again, ok := canonicalParam(got); !ok || again != got {
			t.Errorf("%q: canonical %q became %q", raw, got, again)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r := httptest.NewRequest(http.MethodGet, "http://examplebucket.s3.amazonaws.com/some/object.txt?partNumber=1&uploadId=abc", nil)
	r.Header.Set("X-Amz-Meta-A", "value")
	resign(exampleSigner, emptyHash, exampleTime)(r)
	v := exampleVerifier(exampleTime)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r); err != nil {
			b.Fatal(err)
		}
	}
}

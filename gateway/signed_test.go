package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"tdkvs/s3api/sigv4"
)

func signer(secret string) sigv4.Signer {
	return sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: testKey, SecretKey: secret}, Region: "us-east-1"}
}

// signedRequest makes a request as a client would and hands it to the gateway
// after change.
func (b *bench) signed(t *testing.T, secret, method, target, value, payload string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:3000/", strings.NewReader(value))
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	r.URL, r.RequestURI, r.RemoteAddr = u, target, "127.0.0.1:5555"
	if err := signer(secret).Sign(r, payload, time.Now()); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

func hexSHA256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestSignedRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for _, payload := range []string{"", hexSHA256("value")} {
		if w := b.signed(t, testSecret, "PUT", "/set/a%20b//%C3%A9", "value", payload, nil); w.Code != 200 {
			t.Errorf("PUT with payload %q: %d %s", payload, w.Code, w.Body)
		}
	}
	if w := b.signed(t, testSecret, "GET", "/get/a%20b//%C3%A9", "", "", nil); w.Code != 200 || w.Body.String() != "value" {
		t.Errorf("GET: %d %s", w.Code, w.Body)
	}
	if o := b.store.objects["a b//é"]; string(o.value) != "value" {
		t.Errorf("stored: %v", b.store.objects)
	}

	wantText(t, b.signed(t, "wrong", "GET", "/get/x", "", "", nil), 403, "signature")
	wantText(t, b.signed(t, testSecret, "PUT", "/set/x", "v", "", func(r *http.Request) { r.URL.Path, r.RequestURI = "/set/y", "/set/y" }), 403, "signature")
	wantText(t, b.signed(t, testSecret, "PUT", "/set/x", "other", hexSHA256("value"), nil), 400, "")
	wantText(t, b.signed(t, testSecret, "GET", "/get/x", "", "", func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), testKey, "AKIDNOBODY", 1))
	}), 403, "Access Key")
	wantText(t, b.signed(t, testSecret, "PUT", "/set/x", "v", "", func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "us-east-1", "eu-north-1", 1))
	}), 400, "region")
	if _, ok := b.store.objects["x"]; ok {
		t.Error("a request that failed was carried out")
	}
}

func TestPresignedRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.do("PUT", "/set/k", "value")
	presign := func(at time.Time) string {
		r := httptest.NewRequest("GET", "http://127.0.0.1:3000/get/k", nil)
		signed, err := signer(testSecret).Presign(r, time.Minute, at)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(signed)
		if err != nil {
			t.Fatal(err)
		}
		return u.RequestURI()
	}
	if w := b.do("GET", presign(time.Now()), "", "Authorization", ""); w.Code != 200 || w.Body.String() != "value" {
		t.Errorf("GET: %d %s", w.Code, w.Body)
	}
	wantText(t, b.do("GET", presign(time.Now().Add(-time.Hour)), "", "Authorization", ""), 403, "expired")
	wantText(t, b.do("GET", strings.Replace(presign(time.Now()), "/get/k", "/get/j", 1), "", "Authorization", ""), 403, "signature")
	if strings.Contains(b.log.String(), "X-Amz-Signature="+strings.Repeat("0", 1)) || !strings.Contains(b.log.String(), "X-Amz-Signature=REDACTED") {
		t.Errorf("log:\n%s", b.log)
	}
}

// TestFramedBodies: bodies in AWS's chunks come without their framing, with
// credentials or, where nothing can be checked, in protected mode.
func TestFramedBodies(t *testing.T) {
	t.Parallel()
	const mode = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	framed := "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
	for _, open := range []bool{false, true} {
		b := newBench(t, func(c *Config) {
			if open {
				c.Credentials = nil
			}
		})
		put := func(key, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("PUT", "http://127.0.0.1:3000/", strings.NewReader(body))
			u, err := url.ParseRequestURI("/set/" + key)
			if err != nil {
				t.Fatal(err)
			}
			r.URL, r.RemoteAddr = u, "127.0.0.1:5555"
			r.Header.Set("X-Amz-Decoded-Content-Length", "5")
			r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
			r.Header.Set("Content-Encoding", "aws-chunked")
			if err := signer(testSecret).Sign(r, mode, time.Now()); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			b.handler.ServeHTTP(w, r)
			return w
		}
		if w := put("k", framed); w.Code != 200 || string(b.store.objects["k"].value) != "hello" || b.store.objects["k"].Headers.ContentEncoding != "" {
			t.Errorf("open %v: %d %s, stored %q", open, w.Code, w.Body, b.store.objects["k"].value)
		}
		wantText(t, put("bad", strings.Replace(framed, "NhCmhg", "AAAAAA", 1)), 400, "did not match")
		wantText(t, put("short", framed[:len(framed)-20]), 400, "")
		if len(b.store.objects) != 1 {
			t.Errorf("open %v: stored %v", open, fmt.Sprint(b.store.objects))
		}
	}
}

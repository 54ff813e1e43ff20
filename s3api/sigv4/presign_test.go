package sigv4

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// FuzzSigned: a request that is signed, in a header or its URL, is accepted, and
// what was read of it is what was signed. With another method, path, parameter,
// signed header, secret or time it is not.
func FuzzSigned(f *testing.F) {
	f.Add("/bucket/key", "versionId", "null", "value", byte(0))
	f.Add("/b//..%2f/ü?#", "", "+ %zz&=;", "  two   spaces ", byte(1))
	f.Add("/", "X-Amz-Expires", "5", "bytes=0-1", byte(2))
	f.Fuzz(func(t *testing.T, path, name, value, content string, how byte) {
		fresh := func() *http.Request {
			r := httptest.NewRequest(http.MethodGet, "http://bucket.example/", nil)
			r.URL = &url.URL{Scheme: "http", Host: "bucket.example", Path: "/" + path, RawQuery: url.Values{"q" + name: {value}}.Encode()}
			r.Header.Set("X-Amz-Meta-A", content)
			return r
		}
		sign := func(r *http.Request) *http.Request {
			if how%2 == 0 {
				if err := exampleSigner.Sign(r, emptyHash, exampleTime); err != nil {
					t.Fatal(err)
				}
				return r
			}
			u, err := exampleSigner.Presign(r, time.Minute, exampleTime)
			if err != nil {
				t.Fatal(err)
			}
			if r.URL, err = url.Parse(u); err != nil {
				t.Fatalf("%q: %v", u, err)
			}
			return r
		}
		v := exampleVerifier(exampleTime)
		res, err := v.Verify(sign(fresh()))
		if err != nil || res.Kind == Anonymous || res.AccessKey != exampleKey {
			t.Fatalf("%q %q=%q: %+v, %v", path, name, value, res, err)
		}
		for what, change := range map[string]func(r *http.Request){
			"method":    func(r *http.Request) { r.Method = http.MethodPut },
			"path":      func(r *http.Request) { r.URL.Path += "x"; r.URL.RawPath = "" },
			"parameter": func(r *http.Request) { r.URL.RawQuery += "&zz=1" },
			"header":    func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "other"+content) },
			"host":      func(r *http.Request) { r.Host = "other.example" },
		} {
			r := sign(fresh())
			change(r)
			if res, err := v.Verify(r); err == nil {
				t.Errorf("%q %q=%q with another %s: %+v", path, name, value, what, res)
			}
		}
		late := exampleVerifier(exampleTime.Add(16 * time.Minute))
		if res, err := late.Verify(sign(fresh())); err == nil {
			t.Errorf("late: %+v", res)
		}
	})
}

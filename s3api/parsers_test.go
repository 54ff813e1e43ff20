package s3api

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"
	"unicode/utf8"

	"tdkvs/s3api/s3err"
)

// FuzzDocuments reads arbitrary bytes as each of the documents that buckets and
// objects take: what is refused is refused with an error for clients.
func FuzzDocuments(f *testing.F) {
	readers := map[string]func(*reader) error{
		"Tagging":                 func(x *reader) error { _, err := readTagSet(x); return err },
		"ObjectLockConfiguration": func(x *reader) error { _, err := readLockDocument(x); return err },
		"CORSConfiguration":       func(x *reader) error { _, err := readCORS(x); return err },
		"Grant":                   func(x *reader) error { _, err := readGrant(x); return err },
	}
	f.Add([]byte("<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"))
	f.Add([]byte("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"))
	f.Add([]byte("<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"))
	f.Add([]byte(`<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>a</ID></Grantee><Permission>READ</Permission></Grant>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for name, read := range readers {
			x := newReader(bytes.NewReader(body))
			if _, err := x.document(name, func() error { return read(x) }); err != nil && s3err.CodeOf(err) == "" {
				t.Errorf("%s %q: %v is not for clients", name, body, err)
			}
		}
	})
}

// FuzzParseTagging: tags that are accepted come back as they were.
func FuzzParseTagging(f *testing.F) {
	f.Add("a=1&b=%20+c&d")
	f.Add("a=1&a=2")
	f.Add("%zz=1")
	f.Fuzz(func(t *testing.T, s string) {
		tags, err := parseTagging(s)
		if err != nil {
			if s3err.CodeOf(err) == "" {
				t.Errorf("%q: %v is not for clients", s, err)
			}
			return
		}
		query := url.Values{}
		for k, v := range tags {
			query.Set(k, v)
		}
		if again, err := parseTagging(query.Encode()); err != nil || !maps.Equal(again, tags) {
			t.Errorf("%q: %v, and then %v, %v", s, tags, again, err)
		}
	})
}

// FuzzHeaderValues reads arbitrary text as each small value of a header.
func FuzzHeaderValues(f *testing.F) {
	f.Add("2030-01-02T03:04:05.678Z")
	f.Add(`id="abc"`)
	f.Add("=?UTF-8?Q?=FF=FE?=")
	f.Add("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo")
	f.Fuzz(func(t *testing.T, s string) {
		if until, ok := parseRetainUntil(s); ok {
			if again, ok := parseRetainUntil(until.Format(time.RFC3339Nano)); !ok || !again.Equal(until) {
				t.Errorf("%q is %v, which is %v, %v", s, until, again, ok)
			}
		}
		if id, err := parseVersionID(s, "versionId"); err == nil && id != s {
			t.Errorf("version %q was taken for %q", s, id)
		}
		if g, ok := parseGrantee(s); ok && g.id+g.email+g.uri == "" {
			t.Errorf("%q names nobody", s)
		}
		if m := decodeMeta(s); !utf8.ValidString(m) {
			t.Errorf("%q becomes %q, which is not UTF-8", s, m)
		}
	})
}

// TestHTTPTime: the times of headers are those of the library's format.
func TestHTTPTime(t *testing.T) {
	t.Parallel()
	at := time.Date(1969, 12, 31, 23, 59, 59, 999, time.FixedZone("", 3600))
	for range 20_000 {
		if got, want := httpTime(at), at.UTC().Format(http.TimeFormat); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		at = at.Add(123_456_789 * time.Millisecond) // 78 years
	}
	for _, year := range []int{-1, 0, 1, 999, 9999, 10000} {
		at := time.Date(year, 1, 2, 3, 4, 5, 0, time.UTC)
		if got, want := httpTime(at), at.Format(http.TimeFormat); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

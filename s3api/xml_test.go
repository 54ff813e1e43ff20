package s3api

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

func stringReader(s string) io.Reader { return strings.NewReader(s) }

func TestAppendText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":               "",
		"plain":          "plain",
		"a&b<c>d\"e'":    "a&amp;b&lt;c&gt;d&quot;e'",
		"\x00\x1f\t\n\r": "&#x0;&#x1f;&#x9;&#xa;&#xd;",
		"\x7f":           "\x7f",
		"ü€😀":            "ü€😀",
		"\uFFFE\uFFFF":   "&#xfffe;&#xffff;",
		"bad\xffutf8":    "bad&#xfffd;utf8",
	} {
		if got := string(appendText(nil, in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// FuzzAppendText: what XML can hold comes back as it was.
func FuzzAppendText(f *testing.F) {
	f.Add("a&b")
	f.Add("\r\n\t ü")
	f.Fuzz(func(t *testing.T, s string) {
		d := new(document)
		d.text("a", s)
		var got string
		err := xml.Unmarshal(d.b, &got)
		for _, r := range s {
			if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == utf8.RuneError || r == 0xFFFE || r == 0xFFFF {
				return // no XML 1.0 document can hold it
			}
		}
		if err != nil || got != s {
			t.Fatalf("%q came back as %q, %v", s, got, err)
		}
	})
}

func FuzzAppendURL(f *testing.F) {
	f.Add("a b+c/%")
	f.Fuzz(func(t *testing.T, s string) {
		enc := string(appendURL(nil, s))
		for _, decode := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
			if got, err := decode(enc); err != nil || got != s {
				t.Fatalf("%q became %q and came back as %q, %v", s, enc, got, err)
			}
		}
	})
}

func TestAppendURL(t *testing.T) {
	t.Parallel()
	if got := string(appendURL(nil, "Az09-_.*/ +~%&=ü")); got != "Az09-_.*/%20%2B%7E%25%26%3D%C3%BC" {
		t.Errorf("got %s", got)
	}
}

func TestAppendTime(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		{}, time.Unix(0, 0), time.Unix(1700000000, 999999999), time.Date(2024, 2, 29, 23, 59, 59, 7e6, time.FixedZone("x", 3600)),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, want := string(appendTime(nil, at)), at.UTC().Format(xmlTime); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// readPairs collects what a body says, for the tests of the reader.
func readPairs(body io.Reader) (string, error) {
	var got strings.Builder
	x := newReader(body)
	empty, err := x.document("Root", func() error {
		return x.children(func(name string) error {
			switch name {
			case "Text":
				s, err := x.text()
				fmt.Fprintf(&got, "text %q;", s)
				return err
			case "Int":
				n, err := x.int()
				fmt.Fprintf(&got, "int %d;", n)
				return err
			case "Bool":
				b, err := x.bool()
				fmt.Fprintf(&got, "bool %v;", b)
				return err
			case "Time":
				at, err := x.time()
				fmt.Fprintf(&got, "time %d;", at.Unix())
				return err
			}
			return unexpected(name)
		})
	})
	if empty {
		got.WriteString("empty")
	}
	return got.String(), err
}

func TestReader(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"":        "empty",
		" \n ":    "empty",
		"<Root/>": "",
		`<?xml version="1.0" encoding="UTF-8"?><Root xmlns="http://s3.amazonaws.com/doc/2006-03-01/"> <Text>a&amp;b&#65;<!--c-->d<![CDATA[<e>]]></Text> </Root> <!-- end -->`: `text "a&bAd<e>";`,
		"<Root><Text/><Int> 42 </Int><Int>-1</Int><Bool>true</Bool><Bool>false</Bool></Root>":                                                                                 `text "";int 42;int -1;bool true;bool false;`,
		"<Root><Time>1970-01-01T00:00:05Z</Time><Time>Thu, 01 Jan 1970 00:00:05 GMT</Time></Root>":                                                                            "time 5;time 5;",
	} {
		if got, err := readPairs(stringReader(body)); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", body, got, err, want)
		}
	}
	for _, bad := range []string{
		"x", "<Root>", "<Root><Text></Root>", "<Other/>", "<Root/><Root/>", "<Root/>x", "<Root>x</Root>", "<Root><Text><b/></Text></Root>",
		"<Root><Int>1.5</Int></Root>", "<Root><Bool>1</Bool></Root>", "<Root><Time>now</Time></Root>", "<Root><Nope/></Root>",
		"<!DOCTYPE Root [<!ENTITY a 'b'>]><Root><Text>&a;</Text></Root>", "<!DOCTYPE Root><Root/>", "<Root><Text>&nbsp;</Text></Root>",
		"<Root><Text>\x01</Text></Root>", "<Root><Text>\xff</Text></Root>", `<?xml version="1.1"?><Root/>`, "<?pi?><Root/>",
		"<Root><Text>", "<Root><Text>a</Int></Root>",
	} {
		if got, err := readPairs(stringReader(bad)); s3err.CodeOf(err) != s3err.MalformedXML {
			t.Errorf("%s: got %s, %v", bad, got, err)
		}
	}
}

// TestReaderKeepsBodyErrors: a body that breaks off, or fails its checks, is not
// malformed.
func TestReaderKeepsBodyErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, prefix := range []string{"", "<Root>", "<Root><Text>a", "<Root/>"} {
		_, err := readPairs(io.MultiReader(stringReader(prefix), errReader{broken}))
		if !errors.Is(err, broken) || s3err.CodeOf(err) != "" {
			t.Errorf("%q: got %v", prefix, err)
		}
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func FuzzReader(f *testing.F) {
	f.Add([]byte("<Root><Text>a</Text><Int>1</Int></Root>"))
	f.Add([]byte("<!DOCTYPE x><Root/>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := readPairs(bytes.NewReader(body)); err != nil && s3err.CodeOf(err) != s3err.MalformedXML {
			t.Fatalf("%q: %v is not for clients", body, err)
		}
		x := newReader(bytes.NewReader(body))
		if _, err := x.document("Delete", func() error {
			return x.children(func(string) error { _, err := readDeletion(x); return err })
		}); err != nil && s3err.CodeOf(err) == "" {
			t.Fatalf("%q: %v is not for clients", body, err)
		}
		x = newReader(bytes.NewReader(body))
		if _, err := x.document("CompleteMultipartUpload", func() error {
			return x.children(func(string) error { _, err := readPart(x); return err })
		}); err != nil && s3err.CodeOf(err) == "" {
			t.Fatalf("%q: %v is not for clients", body, err)
		}
	})
}

func TestContinuationTokens(t *testing.T) {
	t.Parallel()
	for _, after := range []string{"a", "a/b c", "\x00", strings.Repeat("k", 1024)} {
		r := &Request{query: url.Values{"continuation-token": {continuationToken(after)}}}
		if got, err := r.continuation(); err != nil || got != after {
			t.Errorf("%q: got %q, %v", after, got, err)
		}
	}
}

func FuzzContinuation(f *testing.F) {
	f.Add(continuationToken("a"))
	f.Add("x")
	f.Fuzz(func(t *testing.T, token string) {
		r := &Request{query: url.Values{"continuation-token": {token}}}
		after, err := r.continuation()
		if err == nil && token != "" && continuationToken(after) != token {
			t.Fatalf("%q was taken for %q", token, after)
		}
	})
}

func BenchmarkListPage(b *testing.B) {
	page := meta.ListPage{}
	for i := range 1000 {
		page.Objects = append(page.Objects, meta.Listed{
			Key: fmt.Sprintf("photos/2024/%08d.jpg", i), Size: 1 << 20, Modified: time.Unix(1700000000, 0),
			ETag: "0123456789abcdef0123456789abcdef", ChecksumAlgorithm: "CRC64NVME", ChecksumType: "FULL_OBJECT",
		})
	}
	h := &handler{}
	h.pages.New = func() any { return new(document) }
	b.ReportAllocs()
	for b.Loop() {
		d := h.page()
		d.root("ListBucketResult")
		h.writeObjects(d, listing{limit: 1000}, &page, true)
		h.release(d)
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "keys/s")
}

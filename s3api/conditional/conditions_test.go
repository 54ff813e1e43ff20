package conditional

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	before = "Sun, 06 Nov 1994 08:49:36 GMT"
	exact  = "Sun, 06 Nov 1994 08:49:37 GMT"
	after  = "Sun, 06 Nov 1994 08:49:38 GMT"
)

// modified has a fraction, which HTTP dates do not.
func modified() time.Time { return time.Date(1994, 11, 6, 8, 49, 37, 987e6, time.UTC) }

func TestEvaluate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		headers []string // names and values
		want    Outcome
		name    string
	}{
		{nil, Proceed, ""},
		{[]string{"If-Match", `"abc"`}, Proceed, ""},
		{[]string{"If-Match", `abc`}, Proceed, ""},
		{[]string{"If-Match", `abc"`}, Proceed, ""},
		{[]string{"If-Match", `"abc`}, Proceed, ""},
		{[]string{"If-Match", `*`}, Proceed, ""},
		{[]string{"If-Match", `"x", "abc"`}, Proceed, ""},
		{[]string{"If-Match", `"x"`, "If-Match", `"abc"`}, Proceed, ""},
		{[]string{"If-Match", `"x"`}, Failed, "If-Match"},
		{[]string{"If-Match", `W/"abc"`}, Failed, "If-Match"},
		{[]string{"If-None-Match", `"x"`}, Proceed, ""},
		{[]string{"If-None-Match", `"abc"`}, Unchanged, "If-None-Match"},
		{[]string{"If-None-Match", `W/"abc"`}, Unchanged, "If-None-Match"},
		{[]string{"If-None-Match", `*`}, Unchanged, "If-None-Match"},
		{[]string{"If-Unmodified-Since", before}, Failed, "If-Unmodified-Since"},
		{[]string{"If-Unmodified-Since", exact}, Proceed, ""},
		{[]string{"If-Unmodified-Since", after}, Proceed, ""},
		{[]string{"If-Unmodified-Since", "yesterday"}, Proceed, ""},
		{[]string{"If-Modified-Since", before}, Proceed, ""},
		{[]string{"If-Modified-Since", exact}, Unchanged, "If-Modified-Since"},
		{[]string{"If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT"}, Unchanged, "If-Modified-Since"},
		{[]string{"If-Modified-Since", "Sun Nov  6 08:49:37 1994"}, Unchanged, "If-Modified-Since"},
		{[]string{"If-Modified-Since", "Sun Nov  6 08:49:36 1994"}, Proceed, ""},
		{[]string{"If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"}, Unchanged, "If-Modified-Since"},
		{[]string{"If-Unmodified-Since", "Sunday, 06-Nov-94 08:49:36 GMT"}, Failed, "If-Unmodified-Since"},
		{[]string{"If-Unmodified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"}, Proceed, ""},
		{[]string{"If-Modified-Since", "1994-11-06T08:49:38Z"}, Unchanged, "If-Modified-Since"},
		{[]string{"If-Modified-Since", "yesterday"}, Proceed, ""},
		// The ETag decides, the date beside it does not count.
		{[]string{"If-Match", `"abc"`, "If-Unmodified-Since", before}, Proceed, ""},
		{[]string{"If-None-Match", `"x"`, "If-Modified-Since", after}, Proceed, ""},
		// What fails comes before what is unchanged.
		{[]string{"If-Match", `"x"`, "If-None-Match", `"abc"`}, Failed, "If-Match"},
		{[]string{"If-Match", `"abc"`, "If-None-Match", `"abc"`}, Unchanged, "If-None-Match"},
	}
	for _, tt := range tests {
		h := http.Header{}
		for i := 0; i < len(tt.headers); i += 2 {
			h.Add(tt.headers[i], tt.headers[i+1])
		}
		if got, name := Standard().Evaluate(h, "abc", modified()); got != tt.want || name != tt.name {
			t.Errorf("%q: got %v by %q, want %v by %q", tt.headers, got, name, tt.want, tt.name)
		}
	}
}

func TestRangeApplies(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"": true, `"abc"`: true, `"x"`: false, `W/"abc"`: false, exact: true, before: false, after: false,
	} {
		h := http.Header{}
		if value != "" {
			h.Set("If-Range", value)
		}
		if got := RangeApplies(h, "abc", modified()); got != want {
			t.Errorf("If-Range: %s: got %v, want %v", value, got, want)
		}
	}
}

// FuzzMatchETag: a strong match is a weak one, and a quoted tag in a list is
// found.
func FuzzMatchETag(f *testing.F) {
	f.Add(`"a", W/"b"`, "b")
	f.Add("*", "x")
	f.Fuzz(func(t *testing.T, list, etag string) {
		if MatchETag(list, etag, false) && !MatchETag(list, etag, true) {
			t.Errorf("%q matches %q, but not weakly", list, etag)
		}
		if plain := Unquote(etag); plain == etag && !strings.Contains(etag, ",") && !MatchETag(list+`,"`+etag+`"`, etag, false) {
			t.Errorf("%q is not found behind %q", etag, list)
		}
	})
}

// FuzzParseTime: a date that is accepted can be written as one.
func FuzzParseTime(f *testing.F) {
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT")
	f.Add("1994-11-06T08:49:37Z")
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := ParseTime(s)
		if !ok || at.UTC().Year() > 9999 || at.UTC().Year() < 0 {
			return
		}
		if again, ok := ParseTime(at.UTC().Format(http.TimeFormat)); !ok || again.Unix() != at.Unix() {
			t.Errorf("%q is %v, which is %v, %v", s, at, again, ok)
		}
	})
}

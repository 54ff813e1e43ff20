package conditional

import (
	"net/http"
	"strings"
	"time"
)

// Names are the headers of one set of conditions, in canonical form.
type Names struct{ Match, NoneMatch, ModifiedSince, UnmodifiedSince string }

// Standard returns the names that HTTP gives its conditions.
func Standard() Names {
	return Names{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}
}

// Outcome is what conditions decide.
type Outcome uint8

// The outcomes.
const (
	Proceed   Outcome = iota
	Failed            // 412 Precondition Failed
	Unchanged         // 304 Not Modified, for a read
)

// Evaluate applies conditions in the order of RFC 9110, 13.2.2: an ETag condition
// that is present replaces the date condition beside it. etag is without quotes;
// modified counts in whole seconds. The name is that of the condition that
// decided, empty for Proceed.
func (n Names) Evaluate(h http.Header, etag string, modified time.Time) (Outcome, string) {
	if len(h[n.Match])+len(h[n.NoneMatch])+len(h[n.ModifiedSince])+len(h[n.UnmodifiedSince]) == 0 {
		return Proceed, "" // as nearly always
	}
	modified = modified.Truncate(time.Second)
	if list := strings.Join(h[n.Match], ","); list != "" {
		if !MatchETag(list, etag, false) {
			return Failed, n.Match
		}
	} else if t, ok := ParseTime(h.Get(n.UnmodifiedSince)); ok && modified.After(t) {
		return Failed, n.UnmodifiedSince
	}
	if list := strings.Join(h[n.NoneMatch], ","); list != "" {
		if MatchETag(list, etag, true) {
			return Unchanged, n.NoneMatch
		}
	} else if t, ok := ParseTime(h.Get(n.ModifiedSince)); ok && !modified.After(t) {
		return Unchanged, n.ModifiedSince
	}
	return Proceed, ""
}

// RangeApplies evaluates If-Range (RFC 9110, 13.1.5): where it does not match,
// the whole is sent.
func RangeApplies(h http.Header, etag string, modified time.Time) bool {
	v := strings.TrimSpace(h.Get("If-Range"))
	if v == "" {
		return true
	}
	if t, ok := ParseTime(v); ok {
		return modified.Truncate(time.Second).Equal(t)
	}
	return MatchETag(v, etag, false)
}

// MatchETag reports whether a list of ETags, as in If-Match, names etag. An ETag
// without its quotes is taken, too; weak lets W/ pass (RFC 9110, 8.8.3.2:
// If-None-Match compares weakly).
func MatchETag(list, etag string, weak bool) bool {
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if item == "*" {
			return true
		}
		if opaque, isWeak := strings.CutPrefix(item, "W/"); isWeak {
			if !weak {
				continue
			}
			item = opaque
		}
		if Unquote(item) == etag {
			return true
		}
	}
	return false
}

// Unquote takes the quotes off an ETag, where it has any. S3 does not ask for
// both.
func Unquote(etag string) string { return strings.Trim(strings.TrimSpace(etag), `"`) }

// Named returns the ETag that the condition of a write names, without quotes. One
// of nothing but quotes stays as it is: it is that of no object, and an empty one
// would be no condition at all.
func Named(etag string) string {
	if bare := Unquote(etag); bare != "" {
		return bare
	}
	return strings.TrimSpace(etag)
}

// ParseTime reads an HTTP date in any of its three forms, and ISO 8601, in which
// some SDKs write conditions.
func ParseTime(s string) (time.Time, bool) {
	if s == "" { // most requests: not worth four attempts and their errors
		return time.Time{}, false
	}
	if t, err := http.ParseTime(s); err == nil {
		return t, true
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}

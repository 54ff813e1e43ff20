package gateway

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// outcome is what the conditions of a read decide.
type outcome uint8

const (
	proceed outcome = iota
	failed
	unchanged
)

// conditions applies a read's conditions in the order of RFC 9110, 13.2.2: an
// ETag condition that is present replaces the date condition beside it.
func conditions(h http.Header, etag string, modified time.Time) outcome {
	if list := h.Values("If-Match"); len(list) > 0 {
		if !matchETag(list, etag, false) {
			return failed
		}
	} else if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && modified.After(t) {
		return failed
	}
	if list := h.Values("If-None-Match"); len(list) > 0 {
		if matchETag(list, etag, true) {
			return unchanged
		}
	} else if t, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil && !modified.After(t) {
		return unchanged
	}
	return proceed
}

// matchETag reports whether lists of ETags name etag; weak lets W/ pass (RFC
// 9110, 8.8.3.2). An ETag without its quotes is taken, too.
func matchETag(lists []string, etag string, weak bool) bool {
	for _, list := range lists {
		for item := range strings.SplitSeq(list, ",") {
			item = strings.TrimSpace(item)
			if opaque, isWeak := strings.CutPrefix(item, "W/"); isWeak {
				if !weak {
					continue
				}
				item = opaque
			}
			if item == "*" || unquote(item) == etag {
				return true
			}
		}
	}
	return false
}

func unquote(etag string) string {
	if len(etag) >= 2 && etag[0] == '"' && etag[len(etag)-1] == '"' {
		return etag[1 : len(etag)-1]
	}
	return etag
}

// rangeApplies evaluates If-Range (RFC 9110, 13.1.5): where it does not match,
// the whole value is sent.
func rangeApplies(h http.Header, etag string, modified time.Time) bool {
	v := strings.TrimSpace(h.Get("If-Range"))
	if v == "" {
		return true
	}
	if t, err := http.ParseTime(v); err == nil {
		return modified.Equal(t)
	}
	return matchETag([]string{v}, etag, false)
}

// byteRange is a run of a value's bytes.
type byteRange struct{ offset, length int64 }

// rangeResult is what a Range header comes to.
type rangeResult uint8

const (
	ignored     rangeResult = iota // not a range that is known here: the whole value
	satisfiable                    // some of the value
	outside                        // none of it: 416
)

// parseRange reads a Range header against size bytes. One that is malformed, of
// another unit, or of several ranges is ignored, as RFC 9110, 14.2 allows.
func parseRange(header string, size int64) (byteRange, rangeResult) {
	unit, spec, _ := strings.Cut(header, "=")
	first, last, dash := strings.Cut(spec, "-")
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	from, hasFrom := parseOffset(first)
	to, hasTo := parseOffset(last)
	switch {
	case !strings.EqualFold(strings.TrimSpace(unit), "bytes") || !dash,
		first != "" && !hasFrom, last != "" && !hasTo, first == "" && last == "",
		hasFrom && hasTo && to < from:
		return byteRange{}, ignored
	case !hasFrom: // the last so many bytes
		n := min(to, size)
		if n == 0 {
			return byteRange{}, outside
		}
		return byteRange{size - n, n}, satisfiable
	case from >= size:
		return byteRange{}, outside
	case !hasTo || to >= size:
		to = size - 1
	}
	return byteRange{from, to - from + 1}, satisfiable
}

// parseOffset reads digits. What is too large for an int64 lies behind the end
// of any value.
func parseOffset(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}

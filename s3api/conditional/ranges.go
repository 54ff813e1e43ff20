package conditional

import (
	"math"
	"strconv"
	"strings"
)

// Range is a run of bytes.
type Range struct{ Offset, Length int64 }

// ContentRange returns the Content-Range header of a range within size bytes.
func (r Range) ContentRange(size int64) string {
	return "bytes " + strconv.FormatInt(r.Offset, 10) + "-" + strconv.FormatInt(r.Offset+r.Length-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// RangeResult is what a Range header comes to.
type RangeResult uint8

// The results.
const (
	Ignored     RangeResult = iota // not a range that is known here: the whole is sent
	Satisfiable                    // some of it
	Outside                        // none of it: 416 Range Not Satisfiable
)

// ParseRange reads a Range header against size bytes. One that is not
// well-formed, of another unit, or of several ranges is ignored, as RFC 9110, 14.2
// allows and S3 does (AWS GetObject: one range per request). So is a suffix of
// an empty body, as on AWS.
func ParseRange(header string, size int64) (Range, RangeResult) {
	unit, spec, _ := strings.Cut(header, "=")
	first, last, dash := strings.Cut(spec, "-")
	from, hasFrom := ParseOffset(first)
	to, hasTo := ParseOffset(last)
	switch {
	case !strings.EqualFold(unit, "bytes") || !dash,
		first != "" && !hasFrom, last != "" && !hasTo, first == "" && last == "",
		hasFrom && hasTo && to < from:
		return Range{}, Ignored
	case !hasFrom && to == 0:
		return Range{}, Outside
	case !hasFrom && size == 0:
		return Range{}, Ignored
	case !hasFrom: // the last so many bytes
		n := min(to, size)
		return Range{size - n, n}, Satisfiable
	case from >= size:
		return Range{}, Outside
	case !hasTo || to >= size:
		to = size - 1
	}
	return Range{from, to - from + 1}, Satisfiable
}

// ParseOffset reads digits. What is too large for an int64 lies behind the end of
// anything.
func ParseOffset(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}

package s3api

import (
	"math"
	"strconv"
	"strings"

	"tdkvs/s3api/s3err"
)

// byteRange is a run of an object's bytes.
type byteRange struct{ offset, length int64 }

// contentRange returns the Content-Range header of a range within size bytes.
func (b byteRange) contentRange(size int64) string {
	return "bytes " + strconv.FormatInt(b.offset, 10) + "-" + strconv.FormatInt(b.offset+b.length-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// parseRange reads a Range header against an object of size bytes. ok is false
// where the header is to be ignored, which gives the whole object: when it is
// not well-formed, of another unit, or asks for several ranges (RFC 9110, 14.2;
// AWS GetObject: one range per request). A range outside the object is
// InvalidRange.
func parseRange(header string, size int64) (b byteRange, ok bool, err error) {
	unit, spec, found := strings.Cut(header, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return b, false, nil
	}
	first, last, found := strings.Cut(strings.TrimSpace(spec), "-")
	if !found {
		return b, false, nil
	}
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	if first == "" {
		n, valid := parseOffset(last)
		if !valid {
			return b, false, nil
		}
		if n == 0 || size == 0 {
			return b, false, invalidRange(header, size)
		}
		n = min(n, size)
		return byteRange{size - n, n}, true, nil
	}
	from, valid := parseOffset(first)
	if !valid {
		return b, false, nil
	}
	to := int64(math.MaxInt64)
	if last != "" {
		if to, valid = parseOffset(last); !valid || to < from {
			return b, false, nil
		}
	}
	if from >= size {
		return b, false, invalidRange(header, size)
	}
	to = min(to, size-1)
	return byteRange{from, to - from + 1}, true, nil
}

// parseOffset reads digits. What is too large for an int64 lies behind the end
// of any object.
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

func invalidRange(header string, size int64) *s3err.Error {
	return s3err.Of(s3err.InvalidRange).
		With("RangeRequested", header).
		With("ActualObjectSize", strconv.FormatInt(size, 10))
}

// parseCopyRange reads x-amz-copy-source-range, which unlike Range must be
// "bytes=first-last" and lie within the source.
func parseCopyRange(header string, size int64) (byteRange, error) {
	bad := s3err.Argument("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
		"x-amz-copy-source-range", header)
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	from, valid1 := parseOffset(first)
	to, valid2 := parseOffset(last)
	switch {
	case !ok || !dash || !valid1 || !valid2 || to < from:
		return byteRange{}, bad
	case to >= size:
		return byteRange{}, s3err.Argument("Range specified is not valid for source object of size: "+strconv.FormatInt(size, 10),
			"x-amz-copy-source-range", header)
	}
	return byteRange{from, to - from + 1}, nil
}

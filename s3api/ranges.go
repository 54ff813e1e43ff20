package s3api

import (
	"strconv"
	"strings"

	"tdkvs/s3api/conditional"
	"tdkvs/s3api/s3err"
)

func invalidRange(header string, size int64) *s3err.Error {
	return s3err.Of(s3err.InvalidRange).
		With("RangeRequested", header).
		With("ActualObjectSize", strconv.FormatInt(size, 10))
}

// parseCopyRange reads x-amz-copy-source-range, which unlike Range must be
// "bytes=first-last" and lie within the source.
func parseCopyRange(header string, size int64) (conditional.Range, error) {
	bad := s3err.Argument("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
		"x-amz-copy-source-range", header)
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	from, valid1 := conditional.ParseOffset(first)
	to, valid2 := conditional.ParseOffset(last)
	switch {
	case !ok || !dash || !valid1 || !valid2 || to < from:
		return conditional.Range{}, bad
	case to >= size:
		return conditional.Range{}, s3err.Argument("Range specified is not valid for source object of size: "+strconv.FormatInt(size, 10),
			"x-amz-copy-source-range", header)
	}
	return conditional.Range{Offset: from, Length: to - from + 1}, nil
}

package s3api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// parseHTTPTime reads an HTTP date in any of its three forms, and ISO 8601, in
// which some SDKs write conditions.
func parseHTTPTime(s string) (time.Time, bool) {
	if t, err := http.ParseTime(s); err == nil {
		return t, true
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}

// unquote takes the quotes off an ETag, where it has any.
func unquote(etag string) string {
	etag = strings.TrimSpace(etag)
	if len(etag) >= 2 && etag[0] == '"' && etag[len(etag)-1] == '"' {
		return etag[1 : len(etag)-1]
	}
	return etag
}

// matchETag reports whether a list of ETags, as in If-Match, names etag. weak
// lets W/ pass (RFC 9110, 8.8.3.2: If-None-Match compares weakly).
func matchETag(list, etag string, weak bool) bool {
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
		if unquote(item) == etag {
			return true
		}
	}
	return false
}

// conditionNames are the headers of one set of read conditions.
type conditionNames struct{ match, noneMatch, modifiedSince, unmodifiedSince string }

func readConditions() conditionNames {
	return conditionNames{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}
}

func sourceConditions() conditionNames {
	return conditionNames{"X-Amz-Copy-Source-If-Match", "X-Amz-Copy-Source-If-None-Match",
		"X-Amz-Copy-Source-If-Modified-Since", "X-Amz-Copy-Source-If-Unmodified-Since"}
}

// outcome is what conditions decide.
type outcome uint8

const (
	proceed outcome = iota
	failed
	unchanged
)

// evaluate applies the conditions of a request to an object, in the order of
// RFC 9110, 13.2.2: an ETag condition that is present replaces the date
// condition beside it. The name is that of the condition that decided.
func (r *Request) evaluate(names conditionNames, obj *meta.Object) (outcome, string) {
	modified := obj.Modified.Truncate(time.Second)
	if list := r.header(names.match); list != "" {
		if !matchETag(list, obj.ETag, false) {
			return failed, names.match
		}
	} else if t, ok := parseHTTPTime(r.header(names.unmodifiedSince)); ok && modified.After(t) {
		return failed, names.unmodifiedSince
	}
	if list := r.header(names.noneMatch); list != "" {
		if matchETag(list, obj.ETag, true) {
			return unchanged, names.noneMatch
		}
	} else if t, ok := parseHTTPTime(r.header(names.modifiedSince)); ok && !modified.After(t) {
		return unchanged, names.modifiedSince
	}
	return proceed, ""
}

// checkRead applies the conditions of GetObject and HeadObject.
func (r *Request) checkRead(obj *meta.Object) (notModified bool, err error) {
	switch result, name := r.evaluate(readConditions(), obj); result {
	case failed:
		return false, preconditionFailed(name)
	case unchanged:
		return true, nil
	}
	return false, nil
}

// checkSource applies the conditions on the source of a copy: whatever does not
// hold is a failure.
func (r *Request) checkSource(obj *meta.Object) error {
	if result, name := r.evaluate(sourceConditions(), obj); result != proceed {
		return preconditionFailed(strings.ToLower(name))
	}
	return nil
}

func preconditionFailed(condition string) *s3err.Error {
	return s3err.Of(s3err.PreconditionFailed).With("Condition", condition)
}

// writePrecondition reads If-Match and If-None-Match of a request that writes an
// object. AWS takes an ETag in the one and only "*" in the other. Source: AWS
// "Prevent object overwrites with conditional writes".
func (r *Request) writePrecondition() (meta.Precondition, error) {
	match, noneMatch := strings.TrimSpace(r.header("If-Match")), strings.TrimSpace(r.header("If-None-Match"))
	switch {
	case match != "" && noneMatch != "":
		return meta.Precondition{}, notImplemented("If-Match,If-None-Match", "Multiple conditional request headers present in the request")
	case noneMatch != "" && noneMatch != "*":
		return meta.Precondition{}, notImplemented("If-None-Match", "We don't accept the provided value of If-None-Match header for this API")
	case match == "*" || strings.Contains(match, ","):
		return meta.Precondition{}, notImplemented("If-Match", "We don't accept the provided value of If-Match header for this API")
	}
	for _, name := range [...]string{"If-Modified-Since", "If-Unmodified-Since"} {
		if r.has(name) {
			return meta.Precondition{}, notImplemented(name, "")
		}
	}
	return meta.Precondition{IfMatch: unquote(match), IfNoneMatch: noneMatch}, nil
}

// deletePrecondition reads the conditions of DeleteObject.
func (r *Request) deletePrecondition() (meta.Precondition, error) {
	p := meta.Precondition{IfMatch: unquote(r.header("If-Match"))}
	if v := r.header("X-Amz-If-Match-Last-Modified-Time"); v != "" {
		t, ok := parseHTTPTime(v)
		if !ok {
			return p, s3err.Argument("Invalid date", "x-amz-if-match-last-modified-time", v)
		}
		p.IfModTime = t.Truncate(time.Second)
	}
	if v := r.header("X-Amz-If-Match-Size"); v != "" {
		size, err := strconv.ParseInt(v, 10, 64)
		if err != nil || size < 0 {
			return p, s3err.Argument("Invalid size", "x-amz-if-match-size", v)
		}
		p.IfSize = &size
	}
	return p, nil
}

// conditional reports whether p has any condition.
func conditional(p meta.Precondition) bool { return p != (meta.Precondition{}) }

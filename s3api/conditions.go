package s3api

import (
	"strconv"
	"strings"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api/conditional"
	"tdkvs/s3api/s3err"
)

// sourceConditions names the conditions on the source of a copy.
func sourceConditions() conditional.Names {
	return conditional.Names{
		Match: "X-Amz-Copy-Source-If-Match", NoneMatch: "X-Amz-Copy-Source-If-None-Match",
		ModifiedSince: "X-Amz-Copy-Source-If-Modified-Since", UnmodifiedSince: "X-Amz-Copy-Source-If-Unmodified-Since",
	}
}

// checkRead applies the conditions of GetObject and HeadObject.
func (r *Request) checkRead(obj *meta.Object) (notModified bool, err error) {
	switch result, name := conditional.Standard().Evaluate(r.http.Header, obj.ETag, obj.Modified); result {
	case conditional.Failed:
		return false, preconditionFailed(name)
	case conditional.Unchanged:
		return true, nil
	}
	return false, nil
}

// checkSource applies the conditions on the source of a copy: whatever does not
// hold is a failure.
func (r *Request) checkSource(obj *meta.Object) error {
	if result, name := sourceConditions().Evaluate(r.http.Header, obj.ETag, obj.Modified); result != conditional.Proceed {
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
	return meta.Precondition{IfMatch: conditional.Named(match), IfNoneMatch: noneMatch}, nil
}

// deletePrecondition reads the conditions of DeleteObject.
func (r *Request) deletePrecondition() (meta.Precondition, error) {
	p := meta.Precondition{IfMatch: conditional.Named(r.header("If-Match"))}
	if v := r.header("X-Amz-If-Match-Last-Modified-Time"); v != "" {
		t, ok := conditional.ParseTime(v)
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

// hasCondition reports whether p has any condition.
func hasCondition(p meta.Precondition) bool { return p != (meta.Precondition{}) }

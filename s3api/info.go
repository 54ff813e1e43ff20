package s3api

import "context"

// RequestInfo is what a request turned out to be. The front end that logs and
// counts requests puts one into the context; the handler fills it in. It is
// written by the goroutine that serves the request only, and is complete when
// ServeHTTP returns.
type RequestInfo struct {
	Operation string // such as "PutObject"; empty when none matched
	Bucket    string
	Key       string
	AccessKey string // empty for an anonymous request
	Status    int    // the HTTP status that was sent
	ErrorCode string // the S3 error code sent; empty for success
	Err       error  // the error with its cause, for the log only
	BytesIn   int64  // body bytes read, as sent
	BytesOut  int64  // body bytes written
}

type infoKey struct{}

// WithRequestInfo returns a context that carries an empty RequestInfo, and the
// RequestInfo.
func WithRequestInfo(ctx context.Context) (context.Context, *RequestInfo) {
	info := new(RequestInfo)
	return context.WithValue(ctx, infoKey{}, info), info
}

// requestInfo returns the context's RequestInfo, or one that nobody reads.
func requestInfo(ctx context.Context) *RequestInfo {
	if info, ok := ctx.Value(infoKey{}).(*RequestInfo); ok {
		return info
	}
	return new(RequestInfo)
}

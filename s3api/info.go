package s3api

import "net/http"

// RequestInfo is what a request turned out to be, for the front end that logs and
// counts requests (Recorder). The handler fills it in. It is written by the
// goroutine that serves the request only, and is complete when ServeHTTP returns.
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

// Recorder is what a front end's ResponseWriter implements that wants to know what
// a request turned out to be.
type Recorder interface {
	// RequestInfo returns the record of the request, empty at first, for the handler to
	// fill in.
	RequestInfo() *RequestInfo
}

// InfoOf returns the record of the request that w answers, or one that nobody
// reads.
func InfoOf(w http.ResponseWriter) *RequestInfo {
	if r, ok := w.(Recorder); ok {
		return r.RequestInfo()
	}
	return new(RequestInfo)
}

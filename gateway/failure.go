package gateway

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"

	"tdkvs/master/meta"
	"tdkvs/s3api"
	"tdkvs/s3api/s3err"
)

// failure is an error of the gateway's own routes. Status, code and message are
// the client's.
type failure struct {
	status  int
	code    string // for the admin API; empty: that of the status
	message string
	header  http.Header // optional
	err     error       // optional cause, for the log only
}

func (f *failure) Error() string {
	if f.err != nil {
		return f.message + ": " + f.err.Error()
	}
	return f.message
}

func (f *failure) Unwrap() error { return f.err }

const internalText = "internal error; request id "

// kindRow is what clients see of an engine's error.
type kindRow struct {
	status  int
	message string
}

// kindRows has a row for every kind of error but KindInternal, whose message is
// made in one place below.
func kindRows() map[meta.Kind]kindRow {
	return map[meta.Kind]kindRow{
		meta.KindNoSuchBucket:       {http.StatusNotFound, "no such key"}, // nothing was ever stored
		meta.KindBucketExists:       {http.StatusConflict, "the bucket of native keys exists already"},
		meta.KindBucketNotEmpty:     {http.StatusConflict, "the bucket of native keys is not empty"},
		meta.KindInvalidBucketName:  {http.StatusBadRequest, "invalid bucket name"},
		meta.KindNoSuchKey:          {http.StatusNotFound, "no such key"},
		meta.KindNoSuchVersion:      {http.StatusNotFound, "no such version of the key"},
		meta.KindDeleteMarker:       {http.StatusNotFound, "no such key"},
		meta.KindNoSuchUpload:       {http.StatusNotFound, "no such upload"},
		meta.KindInvalidPart:        {http.StatusBadRequest, "invalid part"},
		meta.KindInvalidKey:         {http.StatusBadRequest, "invalid key"},
		meta.KindKeyTooLong:         {http.StatusBadRequest, "the key is longer than 1024 bytes"},
		meta.KindMetadataTooLarge:   {http.StatusBadRequest, "the headers to be stored with the value are too large"},
		meta.KindEntityTooLarge:     {http.StatusRequestEntityTooLarge, "the value is larger than 5 GiB"},
		meta.KindPreconditionFailed: {http.StatusPreconditionFailed, "the condition of the request does not hold"},
		meta.KindConflict:           {http.StatusConflict, "the key was changed at the same time; try again"},
		meta.KindNoSpace:            {http.StatusInsufficientStorage, "the store is full"},
		meta.KindReadOnly:           {http.StatusServiceUnavailable, "the store, or a volume of it, has become read-only"},
		meta.KindCorrupt:            {http.StatusInternalServerError, "the stored value is damaged and was not sent"},
		meta.KindUnavailable:        {http.StatusServiceUnavailable, "a volume can not be reached at the moment"},
		meta.KindObjectLocked:       {http.StatusForbidden, "the key is locked: a retention or a legal hold protects it"},
		meta.KindNoObjectLock:       {http.StatusBadRequest, "the bucket of native keys has no object lock"},
		meta.KindInvalidBucketState: {http.StatusConflict, "the state of the bucket of native keys does not allow it"},
		meta.KindBusy:               {http.StatusServiceUnavailable, "too many requests at once; try again"},
		meta.KindCanceled:           {http.StatusServiceUnavailable, "the request was canceled"},
	}
}

// classify finds out what the client is to see of an error. What it does not
// know is an internal error, whose cause is only logged.
func classify(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var protocol *s3err.Error // of a signature or a checksum; a payload's come wrapped
	if errors.As(err, &protocol) && protocol.Status < 500 {
		return &failure{status: protocol.Status, message: protocol.Message, err: err}
	}
	if row, ok := kindRows()[meta.KindOf(err)]; ok {
		return &failure{status: row.status, message: row.message, err: err}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) { // of the connection, while the body was read
		return &failure{status: http.StatusRequestTimeout, message: "the request took too long to arrive", err: err}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &failure{status: http.StatusServiceUnavailable, message: "the request was canceled", err: err}
	}
	return &failure{status: http.StatusInternalServerError, err: err}
}

// fail answers with an error, in one line of plain text, and records it.
func (g *gateway) fail(w http.ResponseWriter, _ *http.Request, info *s3api.RequestInfo, err error) {
	f := classify(err)
	info.Err, info.Status = err, f.status
	message := f.message
	if message == "" {
		message = internalText + w.Header().Get("X-Amz-Request-Id")
	}
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeText(w, f.status, message, f.header)
}

// writeText sends a line of text. For HEAD the server drops the body.
func writeText(w http.ResponseWriter, status int, line string, header http.Header) {
	h := w.Header()
	for name, values := range header {
		h[name] = values
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(line)+1))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(line + "\n")) // the client is gone when this fails
}

package bench

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Bare returns a handler that answers the requests of this package as a store
// would, and stores nothing: the bytes of an object follow from its key. What it
// does in a second is what net/http leaves to a store that costs nothing.
func Bare() http.Handler {
	b := bare{newContent()}
	return http.HandlerFunc(b.serve)
}

type bare struct{ content }

func (b bare) serve(w http.ResponseWriter, r *http.Request) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case bucket == "":
		w.WriteHeader(http.StatusNotImplemented)
	case key == "":
		b.serveBucket(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		b.read(w, r, key)
	case r.Method == http.MethodPut:
		b.swallow(w, r)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
		b.document(w, r, "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodPost:
		b.document(w, r, "<CompleteMultipartUploadResult><ETag>"+bareETag+"</ETag></CompleteMultipartUploadResult>")
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// serveBucket answers for buckets, all of which exist.
func (b bare) serveBucket(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodHead, http.MethodPut:
		w.WriteHeader(http.StatusOK)
	case http.MethodPost:
		b.document(w, r, "<DeleteResult></DeleteResult>")
	default:
		w.WriteHeader(http.StatusNotImplemented)
	}
}

const bareETag = `"d41d8cd98f00b204e9800998ecf8427e"`

func (b bare) swallow(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("ETag", bareETag)
	w.WriteHeader(http.StatusOK)
}

func (b bare) read(w http.ResponseWriter, r *http.Request, key string) {
	number, size, ok := parseName(key)
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("ETag", bareETag)
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT") // SDKs want one
	if r.Method == http.MethodHead {
		return
	}
	for _, piece := range b.pieces(nil, number, 0, size) {
		if _, err := w.Write(piece); err != nil {
			return // the client has gone
		}
	}
}

func (b bare) document(w http.ResponseWriter, r *http.Request, text string) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = io.WriteString(w, text) // that the client has gone changes nothing
}

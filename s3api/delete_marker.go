package s3api

import (
	"errors"
	"net/http"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

const deleteMarkerHeader = "x-amz-delete-marker"

// foundMarker returns the delete marker that a request came upon, when that is
// what is wrong.
func foundMarker(err error) (*meta.Object, bool) {
	var m *meta.Error
	if !errors.As(err, &m) || m.Kind != meta.KindDeleteMarker {
		return nil, false
	}
	if m.Marker == nil {
		return new(meta.Object), true
	}
	return m.Marker, true
}

// markerError is the answer to a request that came upon a delete marker. To a
// read of the key there is nothing, and headers say why. To a request that names
// the marker, or would change the object, there is something to which only DELETE
// applies; reading the tags counts as the latter. Source: AWS "Working with
// delete markers", GetObject, and what AWS is seen to answer.
func markerError(marker *meta.Object, r *Request) *s3err.Error {
	named := len(r.query["versionId"]) > 0
	method := r.http.Method
	_, tagging := r.query["tagging"]
	reads := (method == http.MethodGet || method == http.MethodHead) && !tagging
	switch {
	case reads && !named:
		return withMarker(s3err.Of(s3err.NoSuchKey), marker)
	case named:
		return withMarker(notOnMarker(method), marker).WithHeader("Last-Modified", httpTime(marker.Modified))
	}
	return notOnMarker(method)
}

// notOnMarker refuses a method on a delete marker.
func notOnMarker(method string) *s3err.Error {
	return s3err.Of(s3err.MethodNotAllowed).With("Method", method).With("ResourceType", "DeleteMarker").
		WithHeader("Allow", http.MethodDelete)
}

// withMarker says in headers that, and which, delete marker is there.
func withMarker(e *s3err.Error, marker *meta.Object) *s3err.Error {
	e = e.WithHeader(deleteMarkerHeader, "true")
	if marker.VersionID != "" {
		e = e.WithHeader(versionHeader, marker.VersionID)
	}
	return e
}

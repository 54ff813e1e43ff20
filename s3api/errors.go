package s3api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// kindCode maps what went wrong in the engine to what S3 calls it. A kind that
// is not here is InternalError: logged with its cause, which the client does not
// see.
func kindCode(k meta.Kind) string {
	switch k {
	case meta.KindNoSuchBucket:
		return s3err.NoSuchBucket
	case meta.KindBucketExists:
		return s3err.BucketAlreadyOwnedByYou
	case meta.KindBucketNotEmpty:
		return s3err.BucketNotEmpty
	case meta.KindInvalidBucketName:
		return s3err.InvalidBucketName
	case meta.KindNoSuchKey, meta.KindDeleteMarker:
		return s3err.NoSuchKey
	case meta.KindNoSuchVersion:
		return s3err.NoSuchVersion
	case meta.KindNoSuchUpload:
		return s3err.NoSuchUpload
	case meta.KindInvalidPart:
		return s3err.InvalidPart
	case meta.KindInvalidKey:
		return s3err.InvalidURI
	case meta.KindKeyTooLong:
		return s3err.KeyTooLongError
	case meta.KindMetadataTooLarge:
		return s3err.MetadataTooLarge
	case meta.KindEntityTooLarge:
		return s3err.EntityTooLarge
	case meta.KindPreconditionFailed:
		return s3err.PreconditionFailed
	case meta.KindConflict:
		return s3err.OperationAborted
	case meta.KindNoSpace:
		return s3err.InsufficientStorage
	case meta.KindReadOnly, meta.KindUnavailable:
		return s3err.ServiceUnavailable
	case meta.KindBusy:
		return s3err.SlowDown
	case meta.KindCanceled:
		return s3err.RequestTimeout
	case meta.KindObjectLocked:
		return s3err.AccessDenied
	case meta.KindNoObjectLock:
		return s3err.InvalidRequest
	case meta.KindInvalidBucketState:
		return s3err.InvalidBucketState
	default:
		return s3err.InternalError
	}
}

// classify turns any error into the one that the client sees, with the cause
// kept for the log and the elements that the code carries on AWS.
func classify(err error, r *Request) *s3err.Error {
	var e *s3err.Error
	if !errors.As(err, &e) {
		if marker, ok := foundMarker(err); ok {
			e = markerError(marker, r).Wrap(err)
		} else {
			e = classifyCause(err)
		}
	}
	return withSubject(e, r)
}

// classifyCause classifies an error that no layer below has put into S3's words.
func classifyCause(err error) *s3err.Error {
	var m *meta.Error
	var netErr net.Error
	switch {
	case errors.As(err, &m):
		e := s3err.Of(kindCode(m.Kind)).Wrap(err)
		switch m.Kind {
		case meta.KindNoObjectLock:
			return missingLock().Wrap(err)
		case meta.KindObjectLocked:
			e.Message = "Access Denied because object protected by object lock."
		}
		if m.Kind == meta.KindPreconditionFailed && m.Message != "" {
			return e.With("Condition", m.Message)
		}
		return e
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return s3err.Of(s3err.RequestTimeout).Wrap(err)
	case errors.As(err, &netErr) && netErr.Timeout():
		return s3err.Of(s3err.RequestTimeout).Wrap(err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &netErr):
		return s3err.Of(s3err.IncompleteBody).Wrap(err)
	}
	return s3err.Internal(err)
}

// withSubject adds the element that names what a code is about.
func withSubject(e *s3err.Error, r *Request) *s3err.Error {
	add := func(name, value string) {
		if value != "" && e.Field(name) == "" {
			e = e.With(name, value)
		}
	}
	switch e.Code {
	case s3err.NoSuchBucket, s3err.BucketNotEmpty, s3err.BucketAlreadyExists, s3err.BucketAlreadyOwnedByYou, s3err.InvalidBucketName,
		s3err.NoSuchBucketPolicy, s3err.NoSuchCORSConfiguration, s3err.NoSuchLifecycleConfiguration, s3err.NoSuchTagSet,
		s3err.NoSuchWebsiteConfiguration, s3err.ObjectLockConfigurationNotFoundError, s3err.OwnershipControlsNotFoundError,
		s3err.ReplicationConfigurationNotFound, s3err.ServerSideEncryptionNotFound, noPublicAccessBlock:
		add("BucketName", r.Bucket)
	case s3err.NoSuchKey:
		add("Key", r.Key)
	case s3err.NoSuchVersion:
		add("Key", r.Key)
		add("VersionId", r.param("versionId"))
	case s3err.NoSuchUpload:
		add("UploadId", r.param("uploadId"))
	}
	return e
}

// errorDocument writes an error as S3 does. Source: AWS "Error responses".
func errorDocument(d *document, e *s3err.Error, resource, requestID, hostID string) {
	d.open("Error")
	d.text("Code", e.Code)
	d.message(e.Message)
	for _, f := range e.Fields {
		d.text(f.Name, f.Value)
	}
	d.text("Resource", resource)
	d.text("RequestId", requestID)
	d.text("HostId", hostID)
	d.close("Error")
}

// message writes the Message element. Quotes stand as they are: people look for
// what is between them.
func (d *document) message(s string) {
	d.open("Message")
	for i, part := range strings.Split(s, `"`) {
		if i > 0 {
			d.b = append(d.b, '"')
		}
		d.b = appendText(d.b, part)
	}
	d.close("Message")
}

// writeError answers a request with an error. HEAD and 304 have no body.
func (h *handler) writeError(w http.ResponseWriter, r *http.Request, req *Request, e *s3err.Error) int {
	header := w.Header()
	if methods := e.Field("AllowedMethods"); methods != "" && e.Code == s3err.MethodNotAllowed {
		header["Allow"] = []string{methods}
	}
	if size := e.Field("ActualObjectSize"); e.Code == s3err.InvalidRange && size != "" {
		header["Content-Range"] = []string{"bytes */" + size}
	}
	for _, f := range e.Headers {
		header[f.Name] = []string{f.Value}
	}
	if region := h.errorRegion(r, req, e); region != "" {
		header["x-amz-bucket-region"] = []string{region}
	}
	if e.Status == http.StatusServiceUnavailable {
		header["Retry-After"] = []string{"1"}
	}
	if e.Status == http.StatusNotModified {
		w.WriteHeader(e.Status)
		return 0
	}
	header["Content-Type"] = []string{"application/xml"}
	if r.Method == http.MethodHead {
		w.WriteHeader(e.Status)
		return 0
	}
	d := document{b: []byte(xmlHeader)}
	errorDocument(&d, e, r.URL.EscapedPath(), req.id, h.cfg.HostID)
	header["Content-Length"] = []string{strconv.Itoa(len(d.b))}
	w.WriteHeader(e.Status)
	n, _ := w.Write(d.b) // the client is gone when this fails
	return n
}

// errorRegion is the region that an error tells in a header. Clients that signed
// for another region look for it there after a HEAD, whose errors have no
// document; some ask for a bucket's region by an unsigned HeadBucket, and take it
// from the refusal. Source: AWS HeadBucket.
func (h *handler) errorRegion(r *http.Request, req *Request, e *s3err.Error) string {
	if region := e.Field("Region"); region != "" {
		return region
	}
	if r.Method == http.MethodHead && req.Bucket != "" && req.Key == "" && e.Status == http.StatusForbidden {
		return h.cfg.Region
	}
	return ""
}

// notImplemented is the answer to a header that asks for what is not offered. To
// ignore it would be to promise what is not kept.
func notImplemented(header, more string) *s3err.Error {
	e := s3err.Of(s3err.NotImplemented).With("Header", header)
	if more != "" {
		e = e.With("additionalMessage", more)
	}
	return e
}

// tooLarge is EntityTooLarge with its elements.
func tooLarge(size int64) *s3err.Error {
	return s3err.Of(s3err.EntityTooLarge).
		With("ProposedSize", strconv.FormatInt(size, 10)).
		With("MaxSizeAllowed", strconv.FormatInt(meta.MaxPutSize, 10))
}

// isKind reports whether err is of a kind.
func isKind(err error, k meta.Kind) bool {
	var m *meta.Error
	return errors.As(err, &m) && m.Kind == k
}

// firstLine keeps an error's text on one line of the log.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

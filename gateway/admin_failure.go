package gateway

import (
	"errors"
	"net/http"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/s3api"
	"tdkvs/s3api/s3err"
	"tdkvs/volume"
)

// adminRow is what an operator sees of an error of the engine.
type adminRow struct {
	status        int
	code, message string
}

// adminRows has the errors of the engine that the admin API can meet and that
// mean something else to it than to the native routes.
func adminRows() map[meta.Kind]adminRow {
	return map[meta.Kind]adminRow{
		meta.KindNoSuchBucket:      {http.StatusNotFound, s3err.NoSuchBucket, "there is no such bucket"},
		meta.KindInvalidBucketName: {http.StatusBadRequest, s3err.InvalidBucketName, "that is no name of a bucket"},
		meta.KindNoSuchKey:         {http.StatusNotFound, s3err.NoSuchKey, "there is no such object"},
		meta.KindDeleteMarker:      {http.StatusNotFound, "DeleteMarker", "this version is a delete marker"},
		meta.KindNoSuchVersion:     {http.StatusNotFound, s3err.NoSuchVersion, "the object has no such version"},
		meta.KindInvalidKey:        {http.StatusBadRequest, s3err.InvalidArgument, "that is no key of an object"},
		meta.KindKeyTooLong:        {http.StatusBadRequest, s3err.KeyTooLongError, "the key is longer than 1024 bytes"},
		meta.KindConflict:          {http.StatusConflict, s3err.OperationAborted, "the object changes all the time; try again"},
	}
}

// Codes of the admin API's own, by status.
func adminCode(status int) string {
	switch status {
	case http.StatusBadRequest:
		return s3err.InvalidRequest
	case http.StatusForbidden:
		return s3err.AccessDenied
	case http.StatusNotFound:
		return "NotFound"
	case http.StatusMethodNotAllowed:
		return s3err.MethodNotAllowed
	case http.StatusRequestTimeout:
		return s3err.RequestTimeout
	case http.StatusConflict:
		return "Refused"
	case http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		return "Unavailable"
	}
	return s3err.InternalError
}

// classifyAdmin finds out what an operator is to see of an error. A refusal of
// the engine is its own sentence, and so is what a volume that is to join says.
func classifyAdmin(err error) *failure {
	var refused *master.ChangeError
	if errors.As(err, &refused) {
		return &failure{status: http.StatusConflict, message: refused.Message, err: err}
	}
	if row, ok := adminRows()[meta.KindOf(err)]; ok {
		return &failure{status: row.status, code: row.code, message: row.message, err: err}
	}
	f := *classify(err)
	var protocol *s3err.Error
	if f.code == "" && errors.As(err, &protocol) {
		f.code = protocol.Code
	}
	return &f
}

// classifyJoin finds out what an operator is to see of a volume that could not
// be added.
func classifyJoin(err error) error {
	switch {
	case errors.Is(err, ErrVolumeURL):
		return &failure{status: http.StatusBadRequest, code: s3err.InvalidArgument, message: err.Error(), err: err}
	case errors.Is(err, volume.ErrDenied), errors.Is(err, volume.ErrWrongVolume):
		return &failure{status: http.StatusConflict, message: err.Error(), err: err}
	case errors.Is(err, volume.ErrUnavailable):
		return &failure{status: http.StatusServiceUnavailable, code: "VolumeUnreachable", message: err.Error(), err: err}
	}
	return err
}

// failAdmin answers with an error, in JSON, and records it.
func (g *gateway) failAdmin(w http.ResponseWriter, info *s3api.RequestInfo, err error) {
	f := classifyAdmin(err)
	if f.code == "" {
		f.code = adminCode(f.status)
	}
	if f.message == "" {
		f.message = internalText + w.Header().Get("X-Amz-Request-Id")
	}
	info.Err, info.ErrorCode = err, f.code
	for name, values := range f.header {
		w.Header()[name] = values
	}
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeAdmin(w, info, f.status, adminapi.Failure{Error: adminapi.FailureText{Code: f.code, Message: f.message}})
}

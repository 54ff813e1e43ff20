package s3err

import (
	"errors"
	"net/http"
	"slices"
)

// Field is one extra element of an S3 error document, such as
// <BucketName>photos</BucketName>. Names are unique within an error.
type Field struct {
	Name  string
	Value string
}

// Error is an S3 error. Everything but Err is meant for the client.
type Error struct {
	Code    string // such as "NoSuchKey"
	Message string
	Status  int     // HTTP status; 304 has no body
	Fields  []Field // extra elements, in the order in which they are written
	Headers []Field // response headers beside the usual ones
	Err     error   // optional cause, for the log only
}

// New returns an error of a code with a message of its own. The status is that
// of the table; a code that is not in the table has status 500.
func New(code, message string) *Error {
	return &Error{Code: code, Message: message, Status: StatusOf(code)}
}

// Of returns the error of a code with its usual message and status. A code that
// is not in the table becomes InternalError, with the code in the cause.
func Of(code string) *Error {
	e, ok := lookup(code)
	if !ok {
		internal, _ := lookup(InternalError)
		return &Error{
			Code: InternalError, Message: internal.message, Status: internal.status,
			Err: errors.New("s3err: unknown code " + code),
		}
	}
	return &Error{Code: code, Message: e.message, Status: e.status}
}

// Internal wraps an unclassified cause: the client sees InternalError.
func Internal(err error) *Error { return Of(InternalError).Wrap(err) }

// StatusOf returns the HTTP status of a code, 500 for an unknown one.
func StatusOf(code string) int {
	e, ok := lookup(code)
	if !ok {
		return http.StatusInternalServerError
	}
	return e.status
}

// Argument returns InvalidArgument with its two usual elements, ArgumentName
// and ArgumentValue.
func Argument(message, name, value string) *Error {
	return New(InvalidArgument, message).With("ArgumentName", name).With("ArgumentValue", value)
}

// With returns a copy of e with one more element.
func (e *Error) With(name, value string) *Error {
	c := *e
	c.Fields = append(slices.Clip(c.Fields), Field{Name: name, Value: value})
	return &c
}

// WithHeader returns a copy of e with one more response header.
func (e *Error) WithHeader(name, value string) *Error {
	c := *e
	c.Headers = append(slices.Clip(c.Headers), Field{Name: name, Value: value})
	return &c
}

// Wrap returns a copy of e with a cause for the log.
func (e *Error) Wrap(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// Field returns the value of an extra element, "" when it has none of that name.
func (e *Error) Field(name string) string {
	for _, f := range e.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// Error gives code and message, and the cause where there is one.
func (e *Error) Error() string {
	s := e.Code + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same code and, where target has
// one, of the same message: errors.Is(err, s3err.New(code, "")) tests for a code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Message == "" || t.Message == e.Message)
}

// CodeOf returns the code of the first *Error in err's chain, "" where there is
// none.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

package s3err

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// TestTable checks what every row must have.
func TestTable(t *testing.T) {
	t.Parallel()
	for code, e := range table {
		if http.StatusText(e.status) == "" || e.status < 300 {
			t.Errorf("%s: status %d", code, e.status)
		}
		if strings.TrimSpace(e.message) == "" {
			t.Errorf("%s: no message", code)
		}
		if got := Of(code); got.Code != code || got.Status != e.status || got.Message != e.message || got.Err != nil {
			t.Errorf("Of(%s) = %+v", code, got)
		}
		if got := New(code, "m"); got.Code != code || got.Status != e.status || got.Message != "m" {
			t.Errorf("New(%s) = %+v", code, got)
		}
	}
}

// TestStatuses pins those that clients act on.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{
		NotModified: 304, PermanentRedirect: 301, BadDigest: 400, InvalidDigest: 400, IncompleteBody: 400, InvalidRequest: 400,
		InvalidArgument: 400, AuthorizationHeaderMalformed: 400, XAmzContentSHA256Mismatch: 400, EntityTooLarge: 400,
		AccessDenied: 403, SignatureDoesNotMatch: 403, InvalidAccessKeyID: 403, RequestTimeTooSkewed: 403, InvalidChunkSizeError: 403,
		NoSuchBucket: 404, NoSuchKey: 404, NoSuchUpload: 404, MethodNotAllowed: 405, BucketNotEmpty: 409, BucketAlreadyOwnedByYou: 409,
		OperationAborted: 409, MissingContentLength: 411, PreconditionFailed: 412, InvalidRange: 416, InternalError: 500,
		NotImplemented: 501, SlowDown: 503, ServiceUnavailable: 503, InsufficientStorage: 507, "Unknown": 500,
	} {
		if got := StatusOf(code); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}

func TestUnknownCode(t *testing.T) {
	t.Parallel()
	e := Of("Unknown")
	if e.Code != InternalError || e.Status != 500 || e.Err == nil || !strings.Contains(e.Err.Error(), "Unknown") {
		t.Errorf("%+v", e)
	}
	if strings.Contains(e.Message, "Unknown") {
		t.Errorf("the client sees %q", e.Message)
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	base := New(NoSuchKey, "gone")
	a, b := base.With("Key", "a"), base.With("Key", "b").With("BucketName", "x")
	if len(base.Fields) != 0 || a.Field("Key") != "a" || b.Field("Key") != "b" || a.Field("BucketName") != "" {
		t.Errorf("fields shared: %v %v %v", base, a, b)
	}
	c, d := b.With("C", "1"), b.With("D", "2")
	if want := []Field{{"Key", "b"}, {"BucketName", "x"}, {"C", "1"}}; !reflect.DeepEqual(c.Fields, want) {
		t.Errorf("fields %v, want %v (and %v beside it)", c.Fields, want, d.Fields)
	}
	wrapped := fmt.Errorf("handle: %w", a.Wrap(io.ErrUnexpectedEOF))
	if !errors.Is(wrapped, io.ErrUnexpectedEOF) || !errors.Is(wrapped, New(NoSuchKey, "")) || !errors.Is(wrapped, New(NoSuchKey, "gone")) {
		t.Errorf("%v is not what it is", wrapped)
	}
	if errors.Is(wrapped, New(NoSuchKey, "other")) || errors.Is(wrapped, New(NoSuchBucket, "")) || errors.Is(base, io.EOF) {
		t.Errorf("%v is what it is not", wrapped)
	}
	if got := wrapped.Error(); got != "handle: NoSuchKey: gone: unexpected EOF" {
		t.Errorf("text %q", got)
	}
	if CodeOf(wrapped) != NoSuchKey || CodeOf(io.EOF) != "" || CodeOf(nil) != "" {
		t.Error("CodeOf")
	}
	if e := Internal(io.EOF); e.Code != InternalError || !errors.Is(e, io.EOF) {
		t.Errorf("%v", e)
	}
	if e := Argument("m", "n", "v"); e.Code != InvalidArgument || e.Field("ArgumentName") != "n" || e.Field("ArgumentValue") != "v" {
		t.Errorf("%v", e)
	}
}

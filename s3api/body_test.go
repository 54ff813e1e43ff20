package s3api_test

import (
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"tdkvs/s3api/sigv4"
)

// TestBrokenBodies: a body that ends in an error of the connection is the
// client's fault in every form of body, and stores nothing.
func TestBrokenBodies(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	signer := sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: rootKey, SecretKey: rootSecret}, Region: region}
	forms := []struct {
		method, path, payload string
		headers               []string
		begin                 string
	}{
		{"PUT", "/bkt/key", "UNSIGNED-PAYLOAD", nil, "begin"},
		{"PUT", "/bkt/key", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", []string{"x-amz-trailer", "x-amz-checksum-crc32",
			"x-amz-decoded-content-length", "100", "Content-Encoding", "aws-chunked"}, "64\r\nbegin"},
		{"POST", "/bkt?delete", "UNSIGNED-PAYLOAD", []string{"Content-MD5", md5Of("")}, "<Delete>"},
	}
	for _, tt := range []struct {
		err  error
		code string
	}{
		{os.ErrDeadlineExceeded, "RequestTimeout"},
		{io.ErrUnexpectedEOF, "IncompleteBody"},
		{errors.New("invalid byte in chunk length"), "IncompleteBody"},
	} {
		for _, f := range forms {
			r := s.new(request{method: f.method, path: f.path, key: "-", body: strings.Repeat(" ", 200), header: pairs(f.headers)})
			if err := signer.Sign(r, f.payload, time.Now()); err != nil {
				t.Fatal(err)
			}
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(f.begin), iotest.ErrReader(tt.err)))
			w := httptest.NewRecorder()
			s.http.Config.Handler.ServeHTTP(w, r)
			if w.Code != 400 || !strings.Contains(w.Body.String(), "<Code>"+tt.code+"</Code>") {
				t.Errorf("%v: %s %s %s: status %d: %s", tt.err, f.method, f.path, f.payload, w.Code, w.Body)
			}
			if info := s.lastInfo(); !errors.Is(info.Err, tt.err) {
				t.Errorf("%v: %s %s %s: the cause is lost: %v", tt.err, f.method, f.path, f.payload, info.Err)
			}
		}
	}
	s.head("/bkt/key").want(404)
}

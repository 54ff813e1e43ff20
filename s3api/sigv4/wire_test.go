package sigv4

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The credentials, bucket and time of AWS's published examples.
const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

var exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

var exampleSigner = Signer{Credentials: Credentials{AccessKey: exampleKey, SecretKey: exampleSecret}, Region: "us-east-1"}

// exampleVerifier knows the example credentials and temporary ones, at a time.
func exampleVerifier(now time.Time) *Verifier {
	return &Verifier{
		Region: "us-east-1",
		Now:    func() time.Time { return now },
		Secrets: func(_ context.Context, accessKey string) (Secret, error) {
			switch accessKey {
			case exampleKey:
				return Secret{Key: exampleSecret}, nil
			case "ASIATEMPORARY":
				return Secret{Key: exampleSecret, Token: "the-token"}, nil
			case "BROKEN":
				return Secret{}, errors.New("disk on fire")
			}
			return Secret{}, fmt.Errorf("lookup %s: %w", accessKey, ErrUnknownAccessKey)
		},
	}
}

// parseRequest reads a request as a server does. Lines end in \n in the text;
// a body is added by the caller.
func parseRequest(t testing.TB, head string) *http.Request {
	t.Helper()
	head = strings.ReplaceAll(strings.TrimSpace(head), "\n", "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil {
		t.Fatalf("read request: %v\n%s", err, head)
	}
	return r
}

// overTheWire writes a client's request and reads it as a server does.
func overTheWire(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatalf("write request: %v", err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatalf("read request: %v", err)
	}
	return got
}

// newRequest makes a client's request.
func newRequest(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// field returns the named extra element of an error.
func field(err error, name string) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Field(name)
	}
	return ""
}

// explain says what a failed verification computed.
func explain(err error) string {
	return fmt.Sprintf("%v\n%s\n--\n%s", err, field(err, "CanonicalRequest"), field(err, "StringToSign"))
}

// encoder writes aws-chunked bodies the way the decoder's comment draws them.
type encoder struct {
	signer   *chunkSigner // nil: unsigned
	trailers []trailer
	lineEnd  string // after a trailer; "" means \r\n
}

func (e *encoder) encode(t testing.TB, data []byte, chunk int) []byte {
	t.Helper()
	var v *chunkVerifier
	if e.signer != nil {
		v = newChunkVerifier(*e.signer)
	}
	var out bytes.Buffer
	for {
		part := data[:min(chunk, len(data))]
		data = data[len(part):]
		fmt.Fprintf(&out, "%x", len(part))
		if v != nil {
			v.begin("")
			v.hash.Write(part)
			fmt.Fprintf(&out, ";chunk-signature=%s", v.next(v.end))
		}
		out.WriteString("\r\n")
		if len(part) == 0 {
			break
		}
		out.Write(part)
		out.WriteString("\r\n")
	}
	end := e.lineEnd
	if end == "" {
		end = "\r\n"
	}
	for _, tr := range e.trailers {
		out.WriteString(tr.name + ":" + tr.value + end)
	}
	if v != nil && e.trailers != nil {
		out.WriteString(trailerField + ":" + v.next(func() error { return v.trailer(e.trailers, "") }) + "\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}

// next computes a signature by letting check prepare its string to sign.
func (v *chunkVerifier) next(check func() error) string {
	_ = check() // fails: nothing was claimed; buf is what would be signed
	v.previous = v.key.sign(v.buf)
	return v.previous
}

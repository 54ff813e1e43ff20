package checksum

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"tdkvs/s3api/s3err"
)

// Error is the error of this package, always fit for the client.
type Error = s3err.Error

// Spec is what a request's headers say of its body's integrity. The zero value
// asks for nothing.
type Spec struct {
	Algorithm Algorithm // None when the client named none
	Value     string    // base64, from the header; empty when it comes as a trailer, or not at all
	Trailer   bool      // the value comes as a trailer
	MD5       string    // Content-MD5 as sent, valid base64 of 16 bytes; empty when not given
}

const headerPrefix = "X-Amz-Checksum-" // canonical, as in http.Header

// ParseHeader reads x-amz-checksum-*, x-amz-sdk-checksum-algorithm, x-amz-trailer
// and Content-MD5 of a request with a body (PutObject, UploadPart, DeleteObjects,
// configuration documents). Every error is an *Error.
func ParseHeader(h http.Header) (Spec, error) {
	var s Spec
	if md5s, ok := h["Content-Md5"]; ok {
		if len(md5s) != 1 || !validBase64(md5s[0], md5.Size) {
			return Spec{}, s3err.Of(s3err.InvalidDigest).With("Content-MD5", strings.Join(md5s, ","))
		}
		s.MD5 = md5s[0]
	}
	var err error
	if s.Algorithm, s.Value, err = headerValue(h); err != nil {
		return Spec{}, err
	}
	if err := s.readTrailer(h); err != nil {
		return Spec{}, err
	}
	return s, s.checkSDKAlgorithm(h.Get("X-Amz-Sdk-Checksum-Algorithm"))
}

// headerValue finds the one x-amz-checksum-* header that carries a value.
func headerValue(h http.Header) (Algorithm, string, error) {
	algorithm, value := None, ""
	for key, values := range h {
		name, ok := strings.CutPrefix(key, headerPrefix)
		if !ok || name == "Algorithm" || name == "Type" || name == "Mode" {
			continue
		}
		a, ok := ParseAlgorithm(name)
		switch {
		case !ok:
			return None, "", invalid("The algorithm type you specified in x-amz-checksum- header is invalid.")
		case algorithm != None || len(values) != 1:
			return None, "", errMultiple()
		}
		algorithm, value = a, values[0]
	}
	if algorithm != None && !algorithm.valid(value) {
		return None, "", invalid("Value for %s header is invalid.", algorithm.Header())
	}
	return algorithm, value, nil
}

// readTrailer takes the algorithm from the trailer that x-amz-trailer announces.
func (s *Spec) readTrailer(h http.Header) error {
	for _, line := range h["X-Amz-Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			a, ok := algorithmOfHeader(name)
			switch {
			case !ok:
				return invalid("The value specified in the x-amz-trailer header is not supported")
			case s.Algorithm != None:
				return errMultiple()
			}
			s.Algorithm, s.Trailer = a, true
		}
	}
	return nil
}

// checkSDKAlgorithm compares x-amz-sdk-checksum-algorithm with the checksum that
// came.
func (s *Spec) checkSDKAlgorithm(name string) error {
	if name == "" {
		return nil
	}
	a, ok := ParseAlgorithm(name)
	switch {
	case !ok:
		return invalid("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	case s.Algorithm == None && s.MD5 != "":
		return nil // an SDK told to use Content-MD5 instead
	case s.Algorithm == None:
		return invalid("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case s.Algorithm != a:
		return invalid("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	return nil
}

// Required refuses a spec without any digest of the body, which some operations
// (DeleteObjects and the configuration documents) demand.
func (s Spec) Required() error {
	if s.MD5 == "" && s.Algorithm == None {
		return invalid("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	return nil
}

func invalid(format string, args ...any) *Error {
	return s3err.New(s3err.InvalidRequest, fmt.Sprintf(format, args...))
}

func errMultiple() *Error {
	return invalid("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

// validBase64 reports whether v is the one standard base64 form of size bytes.
func validBase64(v string, size int) bool {
	if len(v) != base64.StdEncoding.EncodedLen(size) {
		return false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(v)
	return err == nil && len(b) == size
}

package sigv4

import (
	"fmt"
	"strings"
	"time"

	"tdkvs/s3api/s3err"
)

const credentialForm = `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`

func errUnsupportedMechanism() error {
	return s3err.New(s3err.InvalidRequest,
		"The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
}

// dialect words the errors that header and query authentication share.
type dialect struct {
	code           string
	prefix         string // of an error in the credential
	credentialDate string // of the error that the credential's date is another than X-Amz-Date
}

func dialectOf(k Kind) dialect {
	if k == Form {
		return dialect{code: s3err.InvalidArgument}
	}
	if k == Presigned {
		return dialect{
			code:   s3err.AuthorizationQueryParametersError,
			prefix: "Error parsing the X-Amz-Credential parameter; ",
		}
	}
	const malformed = "The authorization header is malformed; "
	return dialect{code: s3err.AuthorizationHeaderMalformed, prefix: malformed, credentialDate: malformed}
}

func (d dialect) credential(format string, args ...any) *Error {
	return s3err.New(d.code, d.prefix+fmt.Sprintf(format, args...))
}

func (d dialect) wrongDate(got, want string) error {
	return s3err.New(d.code, d.credentialDate+fmt.Sprintf(
		"Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", got, want))
}

// wrongRegion carries the right region in an element of its own, from which
// clients take it to sign again.
func (d dialect) wrongRegion(got, want string) error {
	return d.credential("the region '%s' is wrong; expecting '%s'", got, want).With("Region", want)
}

func errTooSkewed(requested string, now time.Time, max time.Duration) error {
	return s3err.Of(s3err.RequestTimeTooSkewed).
		With("RequestTime", requested).
		With("ServerTime", now.UTC().Format(time.RFC3339)).
		With("MaxAllowedSkewMilliseconds", fmt.Sprint(max.Milliseconds()))
}

func errExpired(expires, end string, now time.Time) error {
	return s3err.New(s3err.AccessDenied, "Request has expired.").
		With("X-Amz-Expires", expires).
		With("Expires", end).
		With("ServerTime", now.UTC().Format(time.RFC3339))
}

func errNotSigned(names []string) error {
	return s3err.New(s3err.AccessDenied, "There were headers present in the request which were not signed").
		With("HeadersNotSigned", strings.Join(names, ", "))
}

// maxEcho bounds what a signature error repeats of the request.
const maxEcho = 64 << 10

// errSignature carries what a client needs to find its mistake; not, of course,
// the signature that would have been right.
func errSignature(accessKey, provided string, stringToSign, canonical []byte) error {
	e := s3err.Of(s3err.SignatureDoesNotMatch).
		With("AWSAccessKeyId", accessKey).
		With("StringToSign", string(stringToSign)).
		With("SignatureProvided", provided).
		With("StringToSignBytes", hexBytes(stringToSign))
	if canonical == nil || len(canonical) > maxEcho {
		return e
	}
	return e.With("CanonicalRequest", string(canonical)).With("CanonicalRequestBytes", hexBytes(canonical))
}

// hexBytes writes bytes as AWS does: "41 57 53".
func hexBytes(b []byte) string {
	const digits = "0123456789abcdef"
	dst := make([]byte, 0, 3*len(b))
	for i, c := range b {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return string(dst)
}

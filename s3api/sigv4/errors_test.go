package sigv4

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tdkvs/s3api/s3err"
)

// wrong is a way of being wrong and AWS's exact answer to it.
type wrong struct {
	name   string
	change func(r *http.Request)
	status int
	want   string // "Code: Message"
	fields []s3err.Field
}

func (tt wrong) check(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want %s", err, tt.want)
	}
	if got := e.Code + ": " + e.Message; got != tt.want || e.Status != tt.status {
		t.Errorf("got  %d %s\nwant %d %s", e.Status, got, tt.status, tt.want)
	}
	for _, f := range tt.fields {
		if got := e.Field(f.Name); got != f.Value {
			t.Errorf("%s: %q, want %q", f.Name, got, f.Value)
		}
	}
}

const (
	malformed      = "AuthorizationHeaderMalformed: The authorization header is malformed; "
	queryError     = "AuthorizationQueryParametersError: "
	queryMissing   = queryError + "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
	notSupported   = "InvalidRequest: The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
	oneMechanism   = "InvalidArgument: Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"
	noDate         = "AccessDenied: AWS authentication requires a valid Date or x-amz-date header."
	notSigned      = "AccessDenied: There were headers present in the request which were not signed"
	tooSkewed      = "RequestTimeTooSkewed: The difference between the request time and the current time is too large."
	noMatch        = "SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. Check your key and signing method."
	unknownKey     = "InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records."
	badToken       = "InvalidToken: The provided token is malformed or otherwise invalid."
	threeParts     = malformed + "the authorization header requires three components: Credential, SignedHeaders, and Signature."
	badCredential  = malformed + `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`
	queryBadCred   = queryError + `Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`
	badPayload     = "InvalidArgument: x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value."
	unsupportedTrl = "InvalidRequest: The value specified in the x-amz-trailer header is not supported"
)

// authorization edits the Authorization header.
func authorization(old, new string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
	}
}

// set sets a header after signing; del removes one.
func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func del(name string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Del(name) }
}

// query edits the raw query.
func query(old, new string) func(*http.Request) {
	return func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, old, new, 1) }
}

// resign signs again with another signer, time or payload.
func resign(s Signer, payload string, at time.Time) func(*http.Request) {
	return func(r *http.Request) {
		if err := s.Sign(r, payload, at); err != nil {
			panic(err) // a mistake in this file
		}
	}
}

func signerWith(change func(s *Signer)) Signer {
	s := exampleSigner
	change(&s)
	return s
}

// TestWrongHeaders shows what a wrong Authorization header, or what comes with
// it, is answered with.
func TestWrongHeaders(t *testing.T) {
	t.Parallel()
	const credential = exampleKey + "/20130524/us-east-1/s3/aws4_request"
	streaming := func(payload string) func(r *http.Request) {
		return func(r *http.Request) {
			r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
			r.Header.Set("X-Amz-Decoded-Content-Length", "5")
			resign(exampleSigner, payload, exampleTime)(r)
		}
	}
	for _, tt := range []wrong{
		// The mechanism.
		{"version 2", set("Authorization", "AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg="), 400, notSupported, nil},
		{"version 4a", set("Authorization", "AWS4-ECDSA-P256-SHA256 Credential=a"), 400, notSupported, nil},
		{"basic", set("Authorization", "Basic c2VjcmV0"), 400, "InvalidArgument: Unsupported Authorization Type",
			[]s3err.Field{{Name: "ArgumentName", Value: "Authorization"}, {Name: "ArgumentValue", Value: "Basic"}}},
		{"a version that there is not", set("Authorization", "AWS2-HMAC-SHA1 Credential=a"), 400, "InvalidArgument: Unsupported Authorization Type",
			[]s3err.Field{{Name: "ArgumentName", Value: "Authorization"}, {Name: "ArgumentValue", Value: "AWS2-HMAC-SHA1"}}},
		{"no space", set("Authorization", "AWS4-HMAC-SHA256"), 400, "InvalidArgument: Authorization header is invalid -- one and only one ' ' (space) required.",
			[]s3err.Field{{Name: "ArgumentName", Value: "Authorization"}}},
		{"header and query", query("", "X-Amz-Signature=x"), 400, oneMechanism, []s3err.Field{{Name: "ArgumentName", Value: "Authorization"}}},
		{"header and query of version 2", query("", "AWSAccessKeyId=a&Signature=x"), 400, oneMechanism, nil},

		// The components.
		{"nothing behind the algorithm", set("Authorization", algorithm+" "), 400, malformed + `the authorization component "" is malformed.`, nil},
		{"component without value", authorization("SignedHeaders=", "SignedHeaders "), 400, malformed + `the authorization component "SignedHeaders host;range;x-amz-content-sha256;x-amz-date" is malformed.`, nil},
		{"two components", authorization("SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, ", ""), 400, threeParts, nil},
		{"four components", authorization("Signature=", "Extra=1, Signature="), 400, threeParts, nil},
		{"unknown component", authorization("Signature=", "Extra="), 400, malformed + "missing Signature.", nil},
		{"repeated component", authorization("SignedHeaders=", "Credential=a, SignedHeaders="), 400, threeParts, nil},
		{"access key with slashes", authorization("Credential=", "Credential=a/"), 400, badCredential, nil},
		{"empty credential", authorization("Credential="+credential, "Credential="), 400, malformed + "missing Credential.", nil},
		{"empty signed headers", authorization("host;range;x-amz-content-sha256;x-amz-date", ""), 400, malformed + "missing SignedHeaders.", nil},
		{"signed headers in upper case", authorization("host;range", "host;Range"), 400, malformed + `the authorization component "SignedHeaders=host;Range;x-amz-content-sha256;x-amz-date" is malformed.`, nil},
		{"signed header twice", authorization("host;range", "host;host;range"), 400, malformed + `the authorization component "SignedHeaders=host;host;range;x-amz-content-sha256;x-amz-date" is malformed.`, nil},
		{"nameless signed header", authorization("host;range", "host;;range"), 400, malformed + `the authorization component "SignedHeaders=host;;range;x-amz-content-sha256;x-amz-date" is malformed.`, nil},
		{"empty signature", func(r *http.Request) {
			head, _, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
			r.Header.Set("Authorization", head+"Signature=")
		}, 400, malformed + "missing Signature.", nil},

		// The credential.
		{"credential too short", authorization(credential, "AKID/20130524/us-east-1/s3"), 400, badCredential, nil},
		{"no access key", authorization(exampleKey, ""), 400, malformed + "a non-empty Access Key (AKID) must be provided in the credential.", nil},
		{"terminal", authorization("aws4_request", "aws5_request"), 400, malformed + `incorrect terminal "aws5_request". This endpoint uses "aws4_request".`, nil},
		{"date format", authorization("/20130524/", "/130524/"), 400, malformed + `incorrect date format "130524". This date in the credential must be in the format "yyyyMMdd".`, nil},
		{"date that is none", authorization("/20130524/", "/20130532/"), 400, malformed + `incorrect date format "20130532". This date in the credential must be in the format "yyyyMMdd".`, nil},
		{"another date", authorization("/20130524/", "/20130525/"), 400, malformed + `Invalid credential date "20130525". This date is not the same as X-Amz-Date: "20130524".`, nil},
		{"service", authorization("/s3/", "/ec2/"), 400, malformed + `incorrect service "ec2". This endpoint belongs to "s3".`, nil},
		{"region", authorization("/us-east-1/", "/eu-west-1/"), 400, malformed + "the region 'eu-west-1' is wrong; expecting 'us-east-1'", []s3err.Field{{Name: "Region", Value: "us-east-1"}}},
		{"unknown access key", authorization(exampleKey, "AKIANOBODY"), 403, unknownKey, []s3err.Field{{Name: "AWSAccessKeyId", Value: "AKIANOBODY"}}},
		{"lookup fails", authorization(exampleKey, "BROKEN"), 500, "InternalError: We encountered an internal error. Please try again.", nil},
		{"token where none belongs", func(r *http.Request) {
			resign(signerWith(func(s *Signer) { s.Token = "t" }), emptyHash, exampleTime)(r)
		}, 400, badToken, nil},
		{"another token", resign(signerWith(func(s *Signer) { s.AccessKey, s.Token = "ASIATEMPORARY", "other" }), emptyHash, exampleTime), 400, badToken, nil},
		{"no token", resign(signerWith(func(s *Signer) { s.AccessKey = "ASIATEMPORARY" }), emptyHash, exampleTime), 403, unknownKey, nil},

		// The time.
		{"no date", del("X-Amz-Date"), 403, noDate, nil},
		{"unreadable date", set("X-Amz-Date", "yesterday"), 403, noDate, nil},
		{"too old", resign(exampleSigner, emptyHash, exampleTime.Add(-15*time.Minute-time.Second)), 403, tooSkewed,
			[]s3err.Field{{Name: "RequestTime", Value: "20130523T234459Z"}, {Name: "ServerTime", Value: "2013-05-24T00:00:00Z"}, {Name: "MaxAllowedSkewMilliseconds", Value: "900000"}}},
		{"too new", resign(exampleSigner, emptyHash, exampleTime.Add(15*time.Minute+time.Second)), 403, tooSkewed, nil},

		// What must be signed.
		{"host not signed", authorization("SignedHeaders=host;", "SignedHeaders="), 403, notSigned, []s3err.Field{{Name: "HeadersNotSigned", Value: "host"}}},
		{"x-amz headers not signed", func(r *http.Request) {
			r.Header.Set("X-Amz-Meta-B", "1")
			r.Header.Set("X-Amz-Acl", "public-read")
		}, 403, notSigned, []s3err.Field{{Name: "HeadersNotSigned", Value: "x-amz-acl, x-amz-meta-b"}}},

		// The payload.
		{"no payload hash", del("X-Amz-Content-Sha256"), 400, "InvalidRequest: Missing required header for this request: x-amz-content-sha256", nil},
		{"payload hash that is none", resign(exampleSigner, "abc", exampleTime), 400, badPayload,
			[]s3err.Field{{Name: "ArgumentName", Value: "x-amz-content-sha256"}, {Name: "ArgumentValue", Value: "abc"}}},
		{"payload of version 4a", streaming("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"), 400, notSupported, nil},
		{"framed and unsigned", func(r *http.Request) {
			r.Header.Set("Content-Encoding", "aws-chunked,gzip")
			resign(exampleSigner, payloadUnsigned, exampleTime)(r)
		}, 400, "InvalidArgument: aws-chunked encoding is not supported when x-amz-content-sha256 UNSIGNED-PAYLOAD is supplied.",
			[]s3err.Field{{Name: "ArgumentName", Value: "Content-Encoding"}, {Name: "ArgumentValue", Value: "aws-chunked,gzip"}}},
		{"no decoded length", resign(exampleSigner, payloadStreaming, exampleTime), 411, "MissingContentLength: You must provide the Content-Length HTTP header.", nil},
		{"decoded length negative", func(r *http.Request) {
			r.Header.Set("X-Amz-Decoded-Content-Length", "-1")
			resign(exampleSigner, payloadStreaming, exampleTime)(r)
		}, 411, "MissingContentLength: You must provide the Content-Length HTTP header.", nil},
		{"decoded length no number", func(r *http.Request) {
			r.Header.Set("X-Amz-Decoded-Content-Length", "12x")
			resign(exampleSigner, payloadStreamingUnsigned, exampleTime)(r)
		}, 411, "MissingContentLength: You must provide the Content-Length HTTP header.", nil},
		{"too many trailers announced", func(r *http.Request) {
			r.Header.Set("X-Amz-Decoded-Content-Length", "1")
			r.Header.Set("X-Amz-Trailer", strings.Repeat("x-amz-meta-a,", maxTrailers+1))
			resign(exampleSigner, payloadStreamingUnsigned, exampleTime)(r)
		}, 400, unsupportedTrl, nil},

		// The signature.
		{"another signature", authorization("Signature=", "Signature=0"), 403, noMatch, nil},
		{"another secret", resign(signerWith(func(s *Signer) { s.SecretKey = "x" }), emptyHash, exampleTime), 403, noMatch, []s3err.Field{
			{Name: "AWSAccessKeyId", Value: exampleKey},
			{Name: "StringToSign", Value: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"},
			{Name: "StringToSignBytes", Value: hexBytes([]byte("AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"))},
			{Name: "CanonicalRequest", Value: "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\nx-amz-content-sha256:" + emptyHash + "\nx-amz-date:20130524T000000Z\n\nhost;range;x-amz-content-sha256;x-amz-date\n" + emptyHash},
		}},
		{"another method", func(r *http.Request) { r.Method = http.MethodDelete }, 403, noMatch, nil},
		{"another path", func(r *http.Request) { r.URL.Path = "/other" }, 403, noMatch, nil},
		{"another query", query("", "acl"), 403, noMatch, nil},
		{"another host", func(r *http.Request) { r.Host = "other" }, 403, noMatch, nil},
		{"another signed header", set("Range", "bytes=0-10"), 403, noMatch, nil},
		{"signed header gone", del("Range"), 403, noMatch, nil},
		{"bad escape", query("", "a=%zz"), 400, "InvalidURI: Couldn't parse the specified URI.", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "http://examplebucket.s3.amazonaws.com/test.txt", nil)
			r.Header.Set("Range", "bytes=0-9")
			resign(exampleSigner, emptyHash, exampleTime)(r)
			v := exampleVerifier(exampleTime)
			if _, err := v.Verify(r); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			tt.change(r)
			_, err := v.Verify(r)
			tt.check(t, err)
		})
	}
}

// TestWrongQueries shows the same for presigned URLs.
func TestWrongQueries(t *testing.T) {
	t.Parallel()
	const inCredential = queryError + "Error parsing the X-Amz-Credential parameter; "
	for _, tt := range []wrong{
		{"version 2", func(r *http.Request) { r.URL.RawQuery = "AWSAccessKeyId=a&Expires=1&Signature=b" }, 400, notSupported, nil},
		{"no algorithm", query("X-Amz-Algorithm", "x"), 400, queryMissing, nil},
		{"no credential", query("X-Amz-Credential", "x"), 400, queryMissing, nil},
		{"no date", query("X-Amz-Date", "x"), 400, queryMissing, nil},
		{"no expires", query("X-Amz-Expires", "x"), 400, queryMissing, nil},
		{"no signed headers", query("X-Amz-SignedHeaders", "x"), 400, queryMissing, nil},
		{"no signature", query("X-Amz-Signature", "x"), 400, queryMissing, nil},
		{"version 4a", query("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), 400, queryError + `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`, nil},
		{"another algorithm", query("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), 400, queryError + `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`, nil},
		{"date format", query("20130524T000000Z", "2013-05-24"), 400, queryError + `X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`, nil},
		{"date with a fraction", query("20130524T000000Z", "20130524T000000.5Z"), 400, queryError + `X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`, nil},
		{"signed header twice", query("SignedHeaders=host", "SignedHeaders=host%3Bhost"), 400, queryError + "X-Amz-SignedHeaders must be a list of header names in lower case, each once, separated by semicolons", nil},
		{"expires no number", query("X-Amz-Expires=60", "X-Amz-Expires=1m"), 400, queryError + "X-Amz-Expires should be a number", nil},
		{"expires negative", query("X-Amz-Expires=60", "X-Amz-Expires=-1"), 400, queryError + "X-Amz-Expires must be non-negative", nil},
		{"expires over a week", query("X-Amz-Expires=60", "X-Amz-Expires=604801"), 400, queryError + "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds", nil},
		{"expires at once", query("X-Amz-Expires=60", "X-Amz-Expires=0"), 403, "AccessDenied: Request has expired.", nil},
		{"expired", func(r *http.Request) {
			presign(r, exampleSigner, time.Minute, exampleTime.Add(-time.Minute))
		}, 403, "AccessDenied: Request has expired.", []s3err.Field{
			{Name: "X-Amz-Expires", Value: "60"}, {Name: "Expires", Value: "2013-05-24T00:00:00Z"}, {Name: "ServerTime", Value: "2013-05-24T00:00:00Z"}}},
		{"not valid yet", func(r *http.Request) {
			presign(r, exampleSigner, time.Minute, exampleTime.Add(15*time.Minute+time.Second))
		}, 403, "AccessDenied: Request is not valid yet", []s3err.Field{{Name: "X-Amz-Date", Value: "20130524T001501Z"}}},
		{"credential too short", query("%2Fs3%2Faws4_request", "%2Fs3"), 400, queryBadCred, nil},
		{"terminal", query("aws4_request", "aws5_request"), 400, inCredential + `incorrect terminal "aws5_request". This endpoint uses "aws4_request".`, nil},
		{"service", query("%2Fs3%2F", "%2Fec2%2F"), 400, inCredential + `incorrect service "ec2". This endpoint belongs to "s3".`, nil},
		{"region", query("%2Fus-east-1%2F", "%2Feu-west-1%2F"), 400, inCredential + "the region 'eu-west-1' is wrong; expecting 'us-east-1'", []s3err.Field{{Name: "Region", Value: "us-east-1"}}},
		{"credential date format", query("%2F20130524%2F", "%2F2013%2F"), 400, inCredential + `incorrect date format "2013". This date in the credential must be in the format "yyyyMMdd".`, nil},
		{"another credential date", query("%2F20130524%2F", "%2F20130525%2F"), 400, queryError + `Invalid credential date "20130525". This date is not the same as X-Amz-Date: "20130524".`, nil},
		{"unknown access key", query(exampleKey, "AKIANOBODY"), 403, unknownKey, nil},
		{"token where none belongs", func(r *http.Request) {
			presign(r, signerWith(func(s *Signer) { s.Token = "t" }), time.Minute, exampleTime)
		}, 400, badToken, nil},
		{"no token", func(r *http.Request) {
			presign(r, signerWith(func(s *Signer) { s.AccessKey = "ASIATEMPORARY" }), time.Minute, exampleTime)
		}, 403, unknownKey, nil},
		{"host not signed", query("SignedHeaders=host", "SignedHeaders=range"), 403, notSigned, []s3err.Field{{Name: "HeadersNotSigned", Value: "host"}}},
		{"x-amz header not signed", set("X-Amz-Meta-A", "1"), 403, notSigned, []s3err.Field{{Name: "HeadersNotSigned", Value: "x-amz-meta-a"}}},
		{"payload hash that is none", query("X-Amz-Date", "X-Amz-Content-Sha256=x&X-Amz-Date"), 400, badPayload, nil},
		{"another parameter", query("X-Amz-Date", "a=b&X-Amz-Date"), 403, noMatch, nil},
		{"another expiry", query("X-Amz-Expires=60", "X-Amz-Expires=61"), 403, noMatch, nil},
		{"another path", func(r *http.Request) { r.URL.Path += "/" }, 403, noMatch, nil},
		{"another method", func(r *http.Request) { r.Method = http.MethodPut }, 403, noMatch, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "http://examplebucket.s3.amazonaws.com/test.txt", nil)
			presign(r, exampleSigner, time.Minute, exampleTime)
			v := exampleVerifier(exampleTime)
			if _, err := v.Verify(r); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			tt.change(r)
			_, err := v.Verify(r)
			tt.check(t, err)
		})
	}
}

// presign makes r a request for its own presigned URL.
func presign(r *http.Request, s Signer, expires time.Duration, at time.Time) {
	r.URL.RawQuery = ""
	u, err := s.Presign(r, expires, at)
	if err != nil {
		panic(err) // a mistake in this file
	}
	_, r.URL.RawQuery, _ = strings.Cut(u, "?")
}

// TestWrongAnonymous shows what requests without credentials may not say.
func TestWrongAnonymous(t *testing.T) {
	t.Parallel()
	for _, tt := range []wrong{
		{"signed chunks", func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", payloadStreaming)
			r.Header.Set("X-Amz-Decoded-Content-Length", "1")
		}, 400, "InvalidRequest: Anonymous requests don't support this x-amz-content-sha256 value. " +
			"Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.", nil},
		{"payload hash that is none", set("X-Amz-Content-Sha256", "x"), 400, badPayload, nil},
		{"bad escape", query("", "a=%2"), 400, "InvalidURI: Couldn't parse the specified URI.", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPut, "/b/k", nil)
			tt.change(r)
			_, err := exampleVerifier(exampleTime).Verify(r)
			tt.check(t, err)
		})
	}
}

// TestLookupErrors shows which errors of a lookup reach the client.
func TestLookupErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk on fire")
	for _, tt := range []struct {
		lookup SecretFunc
		want   string
		cause  error
	}{
		{nil, unknownKey, nil},
		{func(context.Context, string) (Secret, error) { return Secret{}, s3err.Of(s3err.ExpiredToken) }, "ExpiredToken: The provided token has expired.", nil},
		{func(context.Context, string) (Secret, error) { return Secret{}, cause }, "InternalError: We encountered an internal error. Please try again.", cause},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		resign(exampleSigner, emptyHash, exampleTime)(r)
		v := &Verifier{Secrets: tt.lookup, Now: func() time.Time { return exampleTime }}
		_, err := v.Verify(r)
		var e *Error
		if !errors.As(err, &e) || e.Code+": "+e.Message != tt.want || !errors.Is(e.Err, tt.cause) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

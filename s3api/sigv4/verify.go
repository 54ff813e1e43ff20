package sigv4

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"tdkvs/s3api/s3err"
)

// Limits of the protocol.
const (
	DefaultMaxSkew = 15 * time.Minute   // between a signed header request and our clock
	MaxExpires     = 7 * 24 * time.Hour // of a presigned URL
)

// Kind says how a request authenticates itself.
type Kind uint8

// The kinds.
const (
	Anonymous Kind = iota // no credentials at all
	Header                // Authorization header
	Presigned             // X-Amz-Signature in the query
	Form                  // the signed policy of an upload form
)

// PayloadMode says how the body is covered, from x-amz-content-sha256.
type PayloadMode uint8

// The payload modes.
const (
	UnsignedPayload          PayloadMode = iota // UNSIGNED-PAYLOAD, or not said
	HashedPayload                               // the hex SHA-256 of the body
	StreamingSigned                             // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
	StreamingSignedTrailer                      // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
	StreamingUnsignedTrailer                    // STREAMING-UNSIGNED-PAYLOAD-TRAILER
)

// Chunked reports whether the body has aws-chunked framing.
func (m PayloadMode) Chunked() bool { return m >= StreamingSigned }

// Error is the error of this package, always fit for the client.
type Error = s3err.Error

// ErrUnknownAccessKey is what a SecretFunc returns for an access key that it
// does not know (or that is disabled); the client sees InvalidAccessKeyId.
var ErrUnknownAccessKey = errors.New("sigv4: unknown access key")

// Secret is what a key pair is verified with.
type Secret struct {
	Key string // the secret access key
	// Token is the session token that belongs to temporary credentials. A
	// request must carry exactly this token; empty means that it must carry none.
	Token string
}

// SecretFunc looks up an access key. It returns ErrUnknownAccessKey (possibly
// wrapped) or, for a more specific answer such as ExpiredToken, an *Error; any
// other error is InternalError.
type SecretFunc func(ctx context.Context, accessKey string) (Secret, error)

// Verifier checks signatures. Its fields are set once, before the first use;
// its methods may then be called concurrently. It must not be copied.
type Verifier struct {
	Service string // "" means "s3"
	// Region is the region that a credential scope must name. Empty accepts any.
	// As on AWS, GetBucketLocation may also be signed for us-east-1, because
	// clients use it to find out the region.
	Region  string
	Secrets SecretFunc
	Now     func() time.Time // nil means time.Now
	MaxSkew time.Duration    // 0 means DefaultMaxSkew
	// Lenient also accepts Authorization headers that AWS refuses and older
	// clients (curl --aws-sigv4 before version 8) make: without
	// x-amz-content-sha256, where the hash of an empty body is what was signed
	// and the body counts as unsigned; and with path and query signed exactly as
	// they were sent. Neither lets a signature stand for another path or query.
	// S3 routes don't need it, plain HTTP routes with such clients do.
	Lenient bool

	keys    keyCache
	buffers sync.Pool // of *[]byte, for canonical requests
}

// Result is what Verify established about a request.
type Result struct {
	Kind      Kind
	AccessKey string    // empty when anonymous
	Region    string    // of the credential scope
	Time      time.Time // when it was signed; zero when anonymous
	Expires   time.Time // when a presigned URL ends; zero otherwise

	Payload PayloadMode
	// SHA256 is the hash that the body must have, in lower-case hex; set with
	// HashedPayload only. Package checksum verifies it.
	SHA256 string
	// Size is the length of the body in bytes once decoded: of
	// x-amz-decoded-content-length for the streaming modes, else of
	// Content-Length; -1 when the request does not say.
	Size int64
	// Trailers are the names announced in x-amz-trailer, in lower case; set
	// for the two trailer modes only.
	Trailers []string

	chunks *chunkSigner // nil where chunks are not signed, or not to be verified
}

// Verify checks r's credentials and signature, and reads what r says of its
// body, without touching the body. An anonymous request is no error: the
// result's Kind is Anonymous. Every error is an *Error.
//
// r is the request as the server received it: Verify needs URL, Host, Header,
// Method, ContentLength and TransferEncoding unchanged.
func (v *Verifier) Verify(r *http.Request) (*Result, error) {
	params, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	kind, err := detect(r, params)
	if err != nil {
		return nil, err
	}
	var names [8]string // of signed headers; there are seldom more
	c := claim{signed: names[:0]}
	switch kind {
	case Header:
		err = c.readHeader(r)
	case Presigned:
		err = c.readQuery(r, params)
	default:
		res := &Result{}
		if err := res.readPayload(r, first(r.Header, "X-Amz-Content-Sha256")); err != nil {
			return nil, err
		}
		return res, nil
	}
	if err != nil {
		return nil, err
	}
	return v.verifyClaim(r, params, &c)
}

// verifyClaim checks a claim from the cheapest to the dearest, the signature
// last.
func (v *Verifier) verifyClaim(r *http.Request, params []param, c *claim) (*Result, error) {
	if err := v.checkScope(c, params); err != nil {
		return nil, err
	}
	if err := v.checkTime(c); err != nil {
		return nil, err
	}
	if err := c.checkSigned(r); err != nil {
		return nil, err
	}
	payload := c.payload
	if payload == "" && (c.kind == Presigned || v.Lenient) {
		payload = payloadUnsigned
	}
	res := &Result{Kind: c.kind, AccessKey: c.accessKey, Region: c.scope.region, Time: c.time}
	if err := res.readPayload(r, payload); err != nil {
		return nil, err
	}
	secret, err := v.secret(r.Context(), c)
	if err != nil {
		return nil, err
	}
	key := v.keys.get(secret, c.scope)
	if err := v.checkSignature(r, params, c, &key); err != nil {
		return nil, err
	}
	if c.kind == Presigned {
		res.Expires = c.time.Add(c.expires)
	}
	if res.Payload == StreamingSigned || res.Payload == StreamingSignedTrailer {
		res.chunks = &chunkSigner{
			key: key, accessKey: c.accessKey, previous: c.signature,
			scope: c.basic + "\n" + c.scope.String() + "\n",
		}
	}
	return res, nil
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

func (v *Verifier) service() string {
	if v.Service != "" {
		return v.Service
	}
	return "s3"
}

// checkScope compares the credential's scope with this endpoint.
func (v *Verifier) checkScope(c *claim, params []param) error {
	d := dialectOf(c.kind)
	if want := v.service(); c.scope.service != want {
		return d.credential("incorrect service %q. This endpoint belongs to %q.", c.scope.service, want)
	}
	if v.Region != "" && c.scope.region != v.Region {
		_, location := find(params, "location")
		if !location || c.scope.region != "us-east-1" {
			return d.wrongRegion(c.scope.region, v.Region)
		}
	}
	if day := c.basic[:len(dateFormat)]; c.scope.date != day {
		return d.wrongDate(c.scope.date, day)
	}
	return nil
}

// checkTime compares the request's time with the clock.
func (v *Verifier) checkTime(c *claim) error {
	now := v.now()
	skew := v.MaxSkew
	if skew == 0 {
		skew = DefaultMaxSkew
	}
	if c.kind == Header {
		if d := now.Sub(c.time); d > skew || d < -skew {
			return errTooSkewed(c.stamp, now, skew)
		}
		return nil
	}
	if c.time.After(now.Add(skew)) {
		return s3err.New(s3err.AccessDenied, "Request is not valid yet").
			With("X-Amz-Date", c.stamp).
			With("ServerTime", now.UTC().Format(time.RFC3339))
	}
	if end := c.time.Add(c.expires); !now.Before(end) {
		return errExpired(strconv.FormatInt(int64(c.expires/time.Second), 10), end.Format(time.RFC3339), now)
	}
	return nil
}

// secret looks up the claim's access key and checks its session token.
func (v *Verifier) secret(ctx context.Context, c *claim) (string, error) {
	if v.Secrets == nil {
		return "", c.unknown()
	}
	secret, err := v.Secrets(ctx, c.accessKey)
	switch {
	case err != nil:
		return "", c.noSecret(err)
	case c.token == "" && secret.Token != "":
		// The key of temporary credentials is none without its token.
		return "", c.unknown()
	case subtle.ConstantTimeCompare([]byte(c.token), []byte(secret.Token)) != 1:
		return "", s3err.Of(s3err.InvalidToken)
	}
	return secret.Key, nil
}

// unknown is the answer to an access key that there is not.
func (c *claim) unknown() error {
	return s3err.Of(s3err.InvalidAccessKeyID).With("AWSAccessKeyId", c.accessKey)
}

// noSecret is the answer where looking the access key up failed.
func (c *claim) noSecret(err error) error {
	var specific *Error
	switch {
	case errors.Is(err, ErrUnknownAccessKey):
		return c.unknown()
	case errors.As(err, &specific):
		return specific
	}
	return s3err.Internal(err)
}

// checkSignature computes the signature and compares.
func (v *Verifier) checkSignature(r *http.Request, params []param, c *claim, key *signingKey) error {
	buf, _ := v.buffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	payload := c.payload
	switch {
	case payload == "" && c.kind == Presigned:
		payload = payloadUnsigned
	case payload == "": // Lenient
		payload = emptyHash
	}
	canonical := appendCanonicalRequest((*buf)[:0], r, r.Host, params, c.signed, payload)
	all := appendStringToSign(canonical, c.basic, c.scope, canonical)
	canonical, toSign := all[:len(canonical)], all[len(canonical):]
	defer func() {
		if cap(all) <= maxEcho {
			*buf = all
			v.buffers.Put(buf)
		}
	}()
	switch {
	case key.matches(toSign, c.signature):
		return nil
	case v.Lenient && c.kind == Header:
		sent := appendSentRequest(nil, r, c.signed, payload)
		if key.matches(appendStringToSign(nil, c.basic, c.scope, sent), c.signature) {
			return nil
		}
	}
	return errSignature(c.accessKey, c.signature, toSign, canonical)
}

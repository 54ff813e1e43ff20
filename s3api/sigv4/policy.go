package sigv4

import (
	"context"
	"errors"
	"time"

	"tdkvs/s3api/s3err"
)

// SignedPolicy is what a browser's upload form says of its own authorization: a
// policy and its signature, from the form's fields. Source: AWS "Authenticating
// Requests in Browser-Based Uploads Using POST (AWS Signature Version 4)".
type SignedPolicy struct {
	Policy     string // base64, as sent: this text is what was signed
	Algorithm  string // x-amz-algorithm
	Credential string // x-amz-credential
	Date       string // x-amz-date
	Signature  string // x-amz-signature
	Token      string // x-amz-security-token
}

// VerifyPolicy checks the signature of a form's policy; what the policy says is
// the caller's business. A signature is good for seven days, as its key is. Every
// error is an *Error.
func (v *Verifier) VerifyPolicy(ctx context.Context, p SignedPolicy) (*Result, error) {
	if p.Algorithm != algorithm {
		return nil, s3err.Argument("Only AWS4-HMAC-SHA256 is supported", paramAlgorithm, p.Algorithm)
	}
	c := &claim{kind: Form, signature: p.Signature, stamp: p.Date, basic: p.Date, token: p.Token}
	var ok bool
	if c.time, ok = parseStamp(p.Date); !ok {
		return nil, s3err.Argument("X-Amz-Date must be formated via ISO8601 Long format", paramDate, p.Date)
	}
	err := c.readCredential(p.Credential)
	if err == nil {
		err = v.checkScope(c, nil)
	}
	if err != nil {
		return nil, inCredential(err, p.Credential)
	}
	if v.now().Sub(c.time) > MaxExpires {
		return nil, s3err.New(s3err.AccessDenied, "Invalid according to Policy: Policy expired.")
	}
	secret, err := v.secret(ctx, c)
	if err != nil {
		return nil, err
	}
	key := v.keys.get(secret, c.scope)
	if !key.matches([]byte(p.Policy), p.Signature) {
		return nil, errSignature(c.accessKey, p.Signature, []byte(p.Policy), nil)
	}
	return &Result{Kind: Form, AccessKey: c.accessKey, Region: c.scope.region, Time: c.time, Size: -1}, nil
}

// SignPolicy returns the signature of a policy in base64, for the credential
// scope of the date.
func (s Signer) SignPolicy(policy string, at time.Time) SignedPolicy {
	at = at.UTC()
	sc := s.scope(at)
	key := deriveKey(s.SecretKey, sc)
	return SignedPolicy{
		Policy: policy, Algorithm: algorithm, Credential: s.AccessKey + "/" + sc.String(),
		Date: at.Format(timeFormat), Signature: key.sign([]byte(policy)), Token: s.Token,
	}
}

// inCredential names the field that an error of the credential is about.
func inCredential(err error, credential string) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	return e.With("ArgumentName", paramCredential).With("ArgumentValue", credential)
}

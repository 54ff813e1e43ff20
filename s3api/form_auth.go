package s3api

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"fmt"

	"tdkvs/s3api/s3err"
	"tdkvs/s3api/sigv4"
)

// authenticateForm establishes who signed the policy of a form. Signatures of
// the request itself are not for forms. A form without any is anonymous.
func (h *handler) authenticateForm(ctx context.Context, r *Request, f *form) error {
	r.auth = &sigv4.Result{Size: -1}
	if h.cfg.Open {
		r.Identity = h.cfg.Owner
		r.Identity.Root = true
		return nil
	}
	v4 := f.has("x-amz-algorithm") || f.has("x-amz-credential") || f.has("x-amz-date") || f.has("x-amz-signature")
	v2 := f.has("AWSAccessKeyId") || f.has("signature")
	header := r.header("Authorization") != "" || r.query.Has("X-Amz-Signature") || r.query.Has("Signature")
	var err error
	switch {
	case header || v4 && v2:
		return s3err.Argument("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "+
			"Signature query string parameter or the Authorization header should be specified", "Authorization", "")
	case v4:
		r.auth, err = h.verifyForm(ctx, f)
	case v2:
		r.auth, err = h.verifyFormV2(ctx, f)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return h.identify(ctx, r)
}

// verifyForm checks a policy signed with version 4.
func (h *handler) verifyForm(ctx context.Context, f *form) (*sigv4.Result, error) {
	for _, name := range [...]string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Signature", "policy"} {
		if !f.has(name) {
			return nil, errField(name)
		}
	}
	return h.verifier.VerifyPolicy(ctx, sigv4.SignedPolicy{
		Policy: f.value("policy"), Algorithm: f.value("x-amz-algorithm"), Credential: f.value("x-amz-credential"),
		Date: f.value("x-amz-date"), Signature: f.value("x-amz-signature"), Token: f.value("x-amz-security-token"),
	})
}

// verifyFormV2 checks the policy of an upload form that was signed with version
// 2: HMAC-SHA1 of the policy as sent. Source: AWS "Browser-based uploads using
// POST (AWS signature version 2)".
func (h *handler) verifyFormV2(ctx context.Context, f *form) (*sigv4.Result, error) {
	for _, name := range [...]string{"AWSAccessKeyId", "Signature", "policy"} {
		if !f.has(name) {
			return nil, errField(name)
		}
	}
	accessKey, policy, signature := f.value("AWSAccessKeyId"), f.value("policy"), f.value("signature")
	secret, err := h.secretV2(ctx, accessKey)
	if err != nil {
		return nil, err
	}
	if f.has("x-amz-security-token") {
		return nil, s3err.Of(s3err.InvalidToken) // there are no temporary credentials
	}
	given, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(macV2(secret, policy), given) {
		return nil, s3err.Of(s3err.SignatureDoesNotMatch).
			With("AWSAccessKeyId", accessKey).
			With("StringToSign", policy).
			With("SignatureProvided", signature).
			With("StringToSignBytes", fmt.Sprintf("% x", policy))
	}
	return &sigv4.Result{Kind: sigv4.Form, AccessKey: accessKey, Size: -1}, nil
}

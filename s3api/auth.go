package s3api

import (
	"context"
	"errors"

	"tdkvs/s3api/s3err"
	"tdkvs/s3api/sigv4"
)

// secret is the verifier's view of the credentials.
func (h *handler) secret(ctx context.Context, accessKey string) (sigv4.Secret, error) {
	c, err := h.cfg.Credentials(ctx, accessKey)
	if errors.Is(err, ErrNoSuchAccessKey) {
		return sigv4.Secret{}, sigv4.ErrUnknownAccessKey
	}
	if err != nil {
		return sigv4.Secret{}, err
	}
	return sigv4.Secret{Key: c.Secret}, nil
}

// admit establishes who sent a request and what they may do, as far as its row
// leaves that to the pipeline.
func (h *handler) admit(ctx context.Context, req *Request) error {
	if req.op.auth != authRequest {
		return nil
	}
	if err := h.authenticate(ctx, req); err != nil {
		return err
	}
	return h.authorizeRow(ctx, req)
}

// authenticate establishes who sent the request and how its body is covered.
func (h *handler) authenticate(ctx context.Context, req *Request) error {
	if h.cfg.Open {
		req.Identity = h.cfg.Owner
		req.Identity.Root = true
		var err error
		if req.auth, err = sigv4.Unverified(req.http); err != nil {
			return err
		}
		return h.hoist(req)
	}
	res, err := h.verify(ctx, req)
	if err != nil {
		return err
	}
	req.auth = res
	if res.Kind == sigv4.Anonymous {
		return nil
	}
	if err := h.identify(ctx, req); err != nil {
		return err
	}
	return h.hoist(req)
}

// identify finds out whose the access key is that a signature was made with.
func (h *handler) identify(ctx context.Context, req *Request) error {
	c, err := h.cfg.Credentials(ctx, req.auth.AccessKey)
	if errors.Is(err, ErrNoSuchAccessKey) {
		return s3err.Of(s3err.InvalidAccessKeyID)
	}
	if err != nil {
		return err
	}
	req.Identity = c.Identity
	req.Identity.AccessKey = req.auth.AccessKey
	return nil
}

// verify checks the signature of a request.
func (h *handler) verify(ctx context.Context, req *Request) (*sigv4.Result, error) {
	if !req.presignedV2() {
		return h.verifier.Verify(req.http)
	}
	res, err := h.verifyV2(ctx, req)
	if err == nil {
		contentTypeV2(req.http, req.query)
	}
	return res, err
}

// hoist moves the headers that a presigned URL carries in its query back to
// where handlers look for them. The row is matched anew: one of them could
// select another.
func (h *handler) hoist(req *Request) error {
	if req.auth.Kind != sigv4.Presigned {
		return nil
	}
	sigv4.HoistQuery(req.http)
	op, err := h.router.match(req.http.Method, req.op.scope, req.query, req.http.Header)
	if err != nil {
		return err
	}
	req.op = op
	return nil
}

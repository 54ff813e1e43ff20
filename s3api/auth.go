package s3api

import (
	"context"
	"errors"
	"net/http"
	"strings"

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

// authorizeRow asks for the permission of the operation's row. An operation on
// many keys asks for each of them itself; it is then only refused to those who
// could have none.
func (h *handler) authorizeRow(ctx context.Context, req *Request) error {
	permission := req.op.permission
	if req.op.versionPermission != "" && req.param("versionId") != "" {
		permission = req.op.versionPermission
	}
	if req.op.perKey && permission != "" && !req.anonymous() && h.cfg.Authorizer != nil {
		return nil
	}
	return h.authorize(ctx, req, Access{Permission: permission, Bucket: req.Bucket, Key: req.Key, VersionID: req.param("versionId")})
}

// authorize asks for one permission. It fails closed: no permission named, no
// identity or no Authorizer is a denial.
func (h *handler) authorize(ctx context.Context, req *Request, a Access) error {
	a.Identity, a.Operation = req.Identity, req.op.name
	switch {
	case a.Permission == "":
		return s3err.Of(s3err.AccessDenied)
	case a.Identity.Root:
		return nil
	case req.anonymous() || h.cfg.Authorizer == nil:
		return s3err.Of(s3err.AccessDenied)
	}
	err := h.cfg.Authorizer.Authorize(ctx, a)
	if errors.Is(err, ErrDenied) {
		return s3err.Of(s3err.AccessDenied).Wrap(err)
	}
	return err
}

// checkOwner compares a header that says whom the client believes the bucket to
// belong to. All buckets belong to the one account of this store.
func (h *handler) checkOwner(req *Request, header string) error {
	if !req.has(header) {
		return nil
	}
	want := req.header(header)
	if len(want) != 12 || strings.Trim(want, "0123456789") != "" {
		return &s3err.Error{Code: "InvalidBucketOwnerAWSAccountID", Status: http.StatusBadRequest,
			Message: "The value of the expected bucket owner parameter must be an AWS Account ID... [" + want + "]"}
	}
	if want != h.cfg.Owner.AccountID {
		return s3err.Of(s3err.AccessDenied)
	}
	return nil
}

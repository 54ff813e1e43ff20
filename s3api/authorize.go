package s3api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"tdkvs/master/meta"
	"tdkvs/s3api/policy"
	"tdkvs/s3api/s3err"
)

// authorizeRow asks for the permission of the operation's row. An operation on
// many keys asks for each of them itself; it is then only refused to those who
// could have none.
func (h *handler) authorizeRow(ctx context.Context, req *Request) error {
	permission := req.op.permission
	if req.op.versionPermission != "" && req.param("versionId") != "" {
		permission = req.op.versionPermission
	}
	if req.op.perKey && permission != "" {
		may, err := h.mayHavePermissions(ctx, req)
		if may || err != nil {
			return err
		}
	}
	return h.authorize(ctx, req, Access{Permission: permission, Bucket: req.Bucket, Key: req.Key, VersionID: req.param("versionId")})
}

// mayHavePermissions reports whether there is anything that could give a
// request permissions on some keys.
func (h *handler) mayHavePermissions(ctx context.Context, req *Request) (bool, error) {
	if req.Identity.Root || !req.anonymous() && h.cfg.Authorizer != nil {
		return true, nil
	}
	p, err := h.policyFor(ctx, req, req.Bucket)
	return p.Policy != nil, err
}

// authorize asks for one permission. Root may do everything, also what a bucket's
// policy denies: somebody must be able to mend it. For others the policy's
// denial is final, what it allows is allowed, and else the Authorizer decides.
// It fails closed: no permission named, no identity or no Authorizer is a denial.
func (h *handler) authorize(ctx context.Context, req *Request, a Access) error {
	a.Identity, a.Operation = req.Identity, req.op.name
	switch {
	case a.Permission == "":
		return s3err.Of(s3err.AccessDenied)
	case a.Identity.Root:
		return nil
	}
	decision, err := h.decideByPolicy(ctx, req, a)
	switch {
	case err != nil:
		return err
	case decision == policy.Allowed:
		return nil
	case decision == policy.Denied, req.anonymous(), h.cfg.Authorizer == nil:
		return s3err.Of(s3err.AccessDenied)
	}
	err = h.cfg.Authorizer.Authorize(ctx, a)
	if errors.Is(err, ErrDenied) {
		return s3err.Of(s3err.AccessDenied).Wrap(err)
	}
	return err
}

// createBucketOp is the one operation on a bucket that has no policy yet.
const createBucketOp = "CreateBucket"

// decideByPolicy asks the policy of a bucket. A bucket that is not there is an
// error of its own, but for the request that would make it.
func (h *handler) decideByPolicy(ctx context.Context, req *Request, a Access) (policy.Decision, error) {
	if a.Bucket == "" || a.Operation == createBucketOp {
		return policy.Silent, nil
	}
	p, err := h.policyFor(ctx, req, a.Bucket)
	if p.Policy == nil || err != nil {
		return policy.Silent, err
	}
	values := &conditionValues{ctx: ctx, h: h, req: req, access: a}
	decision := p.Evaluate(&policy.Request{
		Principal: policy.Principal{Anonymous: req.anonymous(), Canonical: a.Identity.UserID},
		Action:    a.Permission,
		Resource:  policy.ARN(a.Bucket, a.Key),
		Value:     values.get,
	})
	if values.err != nil {
		return policy.Denied, values.err
	}
	if decision == policy.Allowed {
		restricted, err := p.restricted()
		if restricted || err != nil {
			return policy.Denied, err
		}
	}
	return decision, nil
}

// boundPolicy is a bucket's policy as one request sees it, however many keys it
// asks about. Policy is nil where the bucket has none.
type boundPolicy struct {
	*policy.Policy
	restricted func() (bool, error) // it is public, and the bucket gives nothing to strangers
}

// policyFor returns the policy of a bucket, read once for each request.
func (h *handler) policyFor(ctx context.Context, req *Request, bucket string) (boundPolicy, error) {
	if p, ok := req.policies[bucket]; ok {
		return p, nil
	}
	p, err := h.bucketPolicy(ctx, bucket)
	if err != nil {
		return boundPolicy{}, err
	}
	bound := boundPolicy{p, sync.OnceValues(func() (bool, error) {
		if !p.Public() {
			return false, nil
		}
		return h.publicAccessRestricted(ctx, bucket)
	})}
	if req.policies == nil {
		req.policies = make(map[string]boundPolicy, 1)
	}
	req.policies[bucket] = bound
	return bound, nil
}

// readPermission is the permission to read a version; that of the current one
// has none named. Source: AWS "Required permissions for Amazon S3 API operations".
func readPermission(versionID string) string {
	if versionID != "" {
		return "s3:GetObjectVersion"
	}
	return "s3:GetObject"
}

// tagPermission is the permission to read the tags of a version.
func tagPermission(versionID string) string {
	if versionID != "" {
		return "s3:GetObjectVersionTagging"
	}
	return "s3:GetObjectTagging"
}

// hideMissing answers that access is denied where a key is missing and the
// caller may not know which keys there are. Source: AWS GetObject, on
// permissions.
func (h *handler) hideMissing(ctx context.Context, req *Request, err error) error {
	if err == nil || req.Identity.Root || !isKind(err, meta.KindNoSuchKey) {
		return err
	}
	if h.authorize(ctx, req, Access{Permission: "s3:ListBucket", Bucket: req.Bucket}) != nil {
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

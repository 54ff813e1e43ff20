package s3api

import (
	"context"
	"errors"
	"io"

	"tdkvs/s3api/checksum"
	"tdkvs/s3api/policy"
	"tdkvs/s3api/s3err"
)

// policyDocument is the kind of a bucket's policy among its documents.
const policyDocument = "policy"

// putBucketPolicy serves PutBucketPolicy. The document is kept as it came. One
// that is public is refused where the bucket blocks public policies. Source: AWS
// PutBucketPolicy.
func (h *handler) putBucketPolicy(ctx context.Context, r *Request) (*Response, error) {
	if _, err := h.cfg.Backend.Bucket(ctx, r.Bucket); err != nil {
		return nil, err
	}
	doc, err := h.readPolicy(r)
	if err != nil {
		return nil, err
	}
	p, err := policy.Parse(doc)
	if err == nil {
		err = p.Validate(r.Bucket, policyActions(h.router))
	}
	if err != nil {
		return nil, malformedPolicy(err)
	}
	if p.Public() {
		blocked, err := h.publicAccessBlocked(ctx, r.Bucket)
		if err != nil {
			return nil, err
		}
		if blocked {
			return nil, s3err.New(s3err.AccessDenied, "The bucket policy is public, and the block public access setting BlockPublicPolicy of the bucket forbids it.")
		}
	}
	return new(Response), h.cfg.Backend.SetBucketConfig(ctx, r.Bucket, policyDocument, doc)
}

// readPolicy reads the body of PutBucketPolicy.
func (h *handler) readPolicy(r *Request) ([]byte, error) {
	spec, err := checksum.ParseHeader(r.http.Header)
	if err != nil {
		return nil, err
	}
	p := r.openPayload(spec, checksum.None, r.op.limit)
	defer p.Close()
	doc, err := io.ReadAll(&boundedReader{r: p, left: r.op.limit})
	if err == nil && len(doc) == 0 {
		err = s3err.Of(s3err.MissingRequestBodyError)
	}
	return doc, err
}

// malformedPolicy says what is wrong with a policy.
func malformedPolicy(err error) error {
	var e *policy.Error
	if errors.As(err, &e) {
		return s3err.New(s3err.MalformedPolicy, e.Message)
	}
	return err
}

// getBucketPolicy serves GetBucketPolicy.
func (h *handler) getBucketPolicy(ctx context.Context, r *Request) (*Response, error) {
	doc, err := h.cfg.Backend.BucketConfig(ctx, r.Bucket, policyDocument)
	if err != nil {
		return nil, err
	}
	if doc == nil {
		return nil, s3err.Of(s3err.NoSuchBucketPolicy)
	}
	return &Response{contentType: "application/json", length: int64(len(doc)), stream: func(w io.Writer) error {
		_, err := w.Write(doc)
		return err
	}}, nil
}

// deleteBucketPolicy serves DeleteBucketPolicy, also where there is none.
func (h *handler) deleteBucketPolicy(ctx context.Context, r *Request) (*Response, error) {
	return new(Response), h.cfg.Backend.SetBucketConfig(ctx, r.Bucket, policyDocument, nil)
}

// getBucketPolicyStatus serves GetBucketPolicyStatus.
func (h *handler) getBucketPolicyStatus(ctx context.Context, r *Request) (*Response, error) {
	p, err := h.bucketPolicy(ctx, r.Bucket)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, s3err.Of(s3err.NoSuchBucketPolicy)
	}
	doc := new(document)
	doc.root("PolicyStatus")
	doc.bool("IsPublic", p.Public())
	doc.close("PolicyStatus")
	return &Response{doc: doc}, nil
}

// bucketPolicy returns a bucket's policy; nil where it has none. One that can
// not be read is an error, and so a denial: it was checked when it was set.
func (h *handler) bucketPolicy(ctx context.Context, bucket string) (*policy.Policy, error) {
	doc, err := h.cfg.Backend.BucketConfig(ctx, bucket, policyDocument)
	if doc == nil || err != nil {
		return nil, err
	}
	return policy.Parse(doc)
}

// policyActions are the actions that a policy may name, with what they work on:
// those that the table of operations asks for, and those that handlers ask for
// beside them.
func policyActions(rt *router) map[string]policy.Target {
	actions := map[string]policy.Target{
		"s3:BypassGovernanceRetention": policy.OnObject,
	}
	targets := [scopes]policy.Target{scopeBucket: policy.OnBucket, scopeObject: policy.OnObject}
	for s := range rt.scopes {
		for _, routes := range rt.scopes[s].methods {
			for _, r := range routes {
				target := targets[s]
				if r.op.perKey || r.op.auth == authForm {
					target = policy.OnObject
				}
				for _, action := range [...]string{r.op.permission, r.op.versionPermission} {
					if action != "" && target != 0 {
						actions[action] |= target
					}
				}
			}
		}
	}
	return actions
}

// publicAccessBlocked reports whether a bucket takes no public policy.
func (h *handler) publicAccessBlocked(ctx context.Context, bucket string) (bool, error) {
	b, _, err := publicAccessBlock().load(ctx, h, bucket)
	return b.policy, err
}

// publicAccessRestricted reports whether a bucket's policy, where it is public,
// gives nothing to strangers.
func (h *handler) publicAccessRestricted(ctx context.Context, bucket string) (bool, error) {
	b, _, err := publicAccessBlock().load(ctx, h, bucket)
	return b.restrict, err
}

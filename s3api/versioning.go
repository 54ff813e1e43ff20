package s3api

import (
	"context"
	"net/http"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// versioningRoot is the root element of the document.
const versioningRoot = "VersioningConfiguration"

// getBucketVersioning serves GetBucketVersioning. The document of a bucket that
// never was versioned is empty. Source: AWS GetBucketVersioning.
func (h *handler) getBucketVersioning(ctx context.Context, r *Request) (*Response, error) {
	b, err := h.cfg.Backend.Bucket(ctx, r.Bucket)
	if err != nil {
		return nil, err
	}
	doc := new(document)
	doc.root(versioningRoot)
	doc.optional("Status", string(b.Versioning))
	doc.close(versioningRoot)
	return &Response{doc: doc}, nil
}

// putBucketVersioning serves PutBucketVersioning.
func (h *handler) putBucketVersioning(ctx context.Context, r *Request) (*Response, error) {
	if _, err := h.cfg.Backend.Bucket(ctx, r.Bucket); err != nil {
		return nil, err
	}
	v, err := h.readVersioning(r)
	if err != nil {
		return nil, err
	}
	err = h.cfg.Backend.SetBucketVersioning(ctx, r.Bucket, v)
	if isKind(err, meta.KindInvalidBucketState) {
		return nil, s3err.New(s3err.InvalidBucketState,
			"An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.").Wrap(err)
	}
	return new(Response), err
}

// readVersioning decodes the body of PutBucketVersioning. An empty element is
// one that is not there.
func (h *handler) readVersioning(r *Request) (meta.Versioning, error) {
	var status, mfaDelete string
	err := h.readDocument(r, digestOptional, versioningRoot, func(x *reader) error {
		return x.children(func(name string) error {
			switch name {
			case "Status":
				return x.once(&status)
			case "MfaDelete":
				return x.once(&mfaDelete)
			}
			return unexpected(name)
		})
	})
	if err != nil {
		return "", err
	}
	if err := checkMFADelete(r, mfaDelete); err != nil {
		return "", err
	}
	switch v := meta.Versioning(status); v {
	case meta.VersioningEnabled, meta.VersioningSuspended:
		return v, nil
	case "":
		return "", s3err.Of(s3err.IllegalVersioningConfiguration)
	}
	return "", malformed(nil)
}

// checkMFADelete refuses MFA delete: there is no device to ask, so to accept it
// would be to promise what is not kept. Without a token AWS refuses it alike.
func checkMFADelete(r *Request, state string) error {
	switch {
	case state == "" || state == "Disabled":
		return nil
	case state != "Enabled":
		return malformed(nil)
	case !r.has("X-Amz-Mfa"):
		return s3err.New(s3err.AccessDenied, "Mfa Authentication must be used for this request")
	}
	return &s3err.Error{Code: s3err.NotImplemented, Status: http.StatusNotImplemented, Message: "MFA delete is not implemented."}
}

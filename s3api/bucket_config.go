package s3api

import (
	"context"
	"net/http"

	"tdkvs/s3api/s3err"
)

// What AWS answers of a document that was never set.
const (
	noBucketPolicy      = s3err.NoSuchBucketPolicy
	noCORS              = s3err.NoSuchCORSConfiguration
	noEncryption        = s3err.ServerSideEncryptionNotFound
	noLifecycle         = s3err.NoSuchLifecycleConfiguration
	noOwnershipControls = s3err.OwnershipControlsNotFoundError
	noReplication       = s3err.ReplicationConfigurationNotFound
	noTagSet            = s3err.NoSuchTagSet
	noWebsite           = s3err.NoSuchWebsiteConfiguration
	noObjectLock        = s3err.ObjectLockConfigurationNotFoundError
	noPublicAccessBlock = "NoSuchPublicAccessBlockConfiguration"
)

// unset serves the read of a document that no bucket has: with the error that
// says so.
func unset(code string) handlerFunc { return unsetDocument("", code) }

// emptyDocument serves the read of a document that no bucket has, where AWS
// answers an empty one.
func emptyDocument(root string) handlerFunc { return unsetDocument(root, "") }

func unsetDocument(root, code string) handlerFunc {
	return func(h *handler, ctx context.Context, r *Request) (*Response, error) {
		if _, err := h.cfg.Backend.Bucket(ctx, r.Bucket); err != nil {
			return nil, err
		}
		return answerUnset(root, code)
	}
}

// answerUnset is the answer to the read of a document that was never set: the
// error of a code, or without one an empty document.
func answerUnset(root, code string) (*Response, error) {
	switch code {
	case "":
		doc := new(document)
		doc.root(root)
		doc.close(root)
		return &Response{doc: doc}, nil
	case noPublicAccessBlock:
		return nil, &s3err.Error{Code: code, Status: http.StatusNotFound, Message: "The public access block configuration was not found"}
	}
	return nil, s3err.Of(code)
}

// getBucketRequestPayment serves GetBucketRequestPayment: the owner pays.
func (h *handler) getBucketRequestPayment(ctx context.Context, r *Request) (*Response, error) {
	if _, err := h.cfg.Backend.Bucket(ctx, r.Bucket); err != nil {
		return nil, err
	}
	doc := new(document)
	doc.root("RequestPaymentConfiguration")
	doc.text("Payer", "BucketOwner")
	doc.close("RequestPaymentConfiguration")
	return &Response{doc: doc}, nil
}

// getBucketACL serves GetBucketAcl.
func (h *handler) getBucketACL(ctx context.Context, r *Request) (*Response, error) {
	b, err := h.cfg.Backend.Bucket(ctx, r.Bucket)
	if err != nil {
		return nil, err
	}
	return &Response{doc: privateACL(h.ownerOf(b.Owner))}, nil
}

// getObjectACL serves GetObjectAcl.
func (h *handler) getObjectACL(ctx context.Context, r *Request) (*Response, error) {
	obj, err := h.object(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := &Response{doc: privateACL(h.ownerOf(obj.Owner))}
	resp.setVersion(&obj)
	return resp, nil
}

// privateACL is the one ACL there is: the owner has full control.
func privateACL(owner Identity) *document {
	doc := new(document)
	doc.root("AccessControlPolicy")
	doc.owner("Owner", owner)
	doc.open("AccessControlList")
	doc.open("Grant")
	doc.b = append(doc.b, `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">`...)
	doc.text("ID", owner.UserID)
	doc.optional("DisplayName", owner.DisplayName)
	doc.close("Grantee")
	doc.text("Permission", "FULL_CONTROL")
	doc.close("Grant")
	doc.close("AccessControlList")
	doc.close("AccessControlPolicy")
	return doc
}

// ownerOf returns the identity of a recorded owner. What was made by other means
// than S3 may have none: it belongs to the store's owner.
func (h *handler) ownerOf(userID string) Identity {
	if userID == "" || userID == h.cfg.Owner.UserID {
		return h.cfg.Owner
	}
	return Identity{UserID: userID}
}

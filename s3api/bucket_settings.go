package s3api

import (
	"context"
	"strings"

	"tdkvs/s3api/s3err"
)

// Settings of a bucket of which this store keeps one choice, or which change
// nothing here: it gives back what it was told, and refuses what it could not
// keep.

// putBucketRequestPayment serves PutBucketRequestPayment: the owner pays, so
// there is nothing to keep.
func (h *handler) putBucketRequestPayment(ctx context.Context, r *Request) (*Response, error) {
	if _, err := h.cfg.Backend.Bucket(ctx, r.Bucket); err != nil {
		return nil, err
	}
	var payer string
	err := h.readDocument(r, digestOptional, "RequestPaymentConfiguration", func(x *reader) error {
		return x.only("Payer", func() error { return x.once(&payer) })
	})
	switch {
	case err != nil:
		return nil, err
	case payer == "Requester":
		return nil, notImplemented("RequestPaymentConfiguration/Payer", "")
	case payer != "BucketOwner":
		return nil, malformed(nil)
	}
	return new(Response), nil
}

// The settings of Object Ownership. Source: AWS "Controlling ownership of
// objects".
const (
	ownerEnforced  = "BucketOwnerEnforced"
	ownerPreferred = "BucketOwnerPreferred"
	objectWriter   = "ObjectWriter"
)

// ownershipControls is the OwnershipControls document: one rule.
func ownershipControls() bucketXML[string] {
	return bucketXML[string]{
		kind: "ownershipControls", root: "OwnershipControls", unset: noOwnershipControls,
		read: func(x *reader) (string, error) {
			var ownership string
			err := x.only("Rule", func() error {
				return x.only("ObjectOwnership", func() error { return x.once(&ownership) })
			})
			return ownership, err
		},
		check: func(ownership string) error {
			switch ownership {
			case ownerEnforced:
				return nil
			case ownerPreferred, objectWriter:
				return notImplemented("OwnershipControls/Rule/ObjectOwnership", "")
			}
			return malformed(nil)
		},
		write: func(doc *document, ownership string) {
			doc.open("Rule")
			doc.text("ObjectOwnership", ownership)
			doc.close("Rule")
		},
	}
}

// accessBlock is a PublicAccessBlockConfiguration. No ACL is public here, so the
// settings about ACLs hold as they are; the others bind bucket policies.
type accessBlock struct {
	given       bool // any of them
	acls        bool
	ignoredACLs bool
	policy      bool
	restrict    bool
}

// publicAccessBlock is the PublicAccessBlockConfiguration document. Settings
// that are left out are false.
func publicAccessBlock() bucketXML[accessBlock] {
	return bucketXML[accessBlock]{
		kind: "publicAccessBlock", root: "PublicAccessBlockConfiguration", unset: noPublicAccessBlock,
		read: func(x *reader) (accessBlock, error) {
			var b accessBlock
			settings := map[string]*bool{"BlockPublicAcls": &b.acls, "IgnorePublicAcls": &b.ignoredACLs,
				"BlockPublicPolicy": &b.policy, "RestrictPublicBuckets": &b.restrict}
			err := x.children(func(name string) error {
				setting := settings[name]
				if setting == nil {
					return unexpected(name)
				}
				delete(settings, name) // each stands once
				b.given = true
				var err error
				*setting, err = x.anyCaseBool()
				return err
			})
			return b, err
		},
		check: func(b accessBlock) error {
			if !b.given {
				return s3err.New(s3err.InvalidRequest, "Must specify at least one configuration.")
			}
			return nil
		},
		write: func(doc *document, b accessBlock) {
			doc.bool("BlockPublicAcls", b.acls)
			doc.bool("IgnorePublicAcls", b.ignoredACLs)
			doc.bool("BlockPublicPolicy", b.policy)
			doc.bool("RestrictPublicBuckets", b.restrict)
		},
	}
}

// anyCaseBool reads "true" or "false" as AWS's own documentation spells them,
// "TRUE" included.
func (x *reader) anyCaseBool() (bool, error) {
	s, err := x.text()
	switch {
	case err != nil:
		return false, err
	case strings.EqualFold(s, "true"):
		return true, nil
	case strings.EqualFold(s, "false"):
		return false, nil
	}
	return false, malformed(nil)
}

// acceleration is the AccelerateConfiguration document. There is nothing to
// speed up, so that it can only be off.
func acceleration() bucketXML[string] {
	return bucketXML[string]{
		kind: "accelerate", root: "AccelerateConfiguration",
		read: func(x *reader) (string, error) {
			var status string
			err := x.only("Status", func() error { return x.once(&status) })
			return status, err
		},
		check: func(status string) error {
			switch status {
			case "Suspended":
				return nil
			case "Enabled":
				return notImplemented("AccelerateConfiguration/Status", "")
			}
			return malformed(nil)
		},
		write: func(doc *document, status string) { doc.text("Status", status) },
	}
}

// putAcceleration serves PutBucketAccelerateConfiguration.
func (h *handler) putAcceleration(ctx context.Context, r *Request) (*Response, error) {
	if strings.Contains(r.Bucket, ".") {
		return nil, s3err.New(s3err.InvalidRequest, "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names")
	}
	return acceleration().put(h, ctx, r)
}

package s3api

import (
	"context"
	"strings"

	"tdkvs/s3api/s3err"
)

// putBucketACL serves PutBucketAcl.
func (h *handler) putBucketACL(ctx context.Context, r *Request) (*Response, error) {
	b, err := h.cfg.Backend.Bucket(ctx, r.Bucket)
	if err != nil {
		return nil, err
	}
	return new(Response), h.checkPrivate(ctx, r, h.ownerOf(b.Owner))
}

// putObjectACL serves PutObjectAcl.
func (h *handler) putObjectACL(ctx context.Context, r *Request) (*Response, error) {
	obj, err := h.object(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := new(Response)
	resp.setVersion(&obj)
	return resp, h.checkPrivate(ctx, r, h.ownerOf(obj.Owner))
}

// grant is one grant of an ACL. The grantee is the one of the three that is set.
type grant struct {
	id, email, uri string
	permission     string
	header         string // where it was given; empty: in the body
}

// onlyOwner reports whether grants are those of the one ACL that this store
// keeps: the owner has full control, nobody else has anything.
func onlyOwner(grants []grant, owner string) bool {
	return len(grants) == 1 && grants[0].id == owner && grants[0].permission == "FULL_CONTROL"
}

// checkPrivate reads the ACL that a request asks for, in one of the three ways
// that there are, and refuses any but the one that this store keeps.
func (h *handler) checkPrivate(ctx context.Context, r *Request, owner Identity) error {
	canned, grants, err := r.headerACL()
	if err != nil {
		return err
	}
	hasBody := r.auth.Size != 0
	switch {
	case (canned != "" || grants != nil) && hasBody:
		return s3err.Of(s3err.UnexpectedContent)
	case canned != "":
		if !cannedPrivate(r, canned) {
			return h.refuseACL(ctx, r)
		}
		return nil
	case grants == nil && !hasBody:
		return s3err.Of(s3err.MissingSecurityHeader).With("MissingHeaderName", "x-amz-acl")
	case grants == nil:
		if grants, err = h.readACL(r, owner); err != nil {
			return err
		}
	}
	if !onlyOwner(grants, owner.UserID) {
		return h.refuseACL(ctx, r)
	}
	return nil
}

// cannedPrivate reports whether a canned ACL grants nothing to others. For an
// object of the bucket's owner, what is granted to the owner of the bucket
// changes nothing.
func cannedPrivate(r *Request, canned string) bool {
	return canned == "private" || r.Key != "" && (canned == "bucket-owner-read" || canned == "bucket-owner-full-control")
}

// refuseACL is the answer to an ACL that grants to others: that the bucket's
// owner wants none, where that was said, and that there are none yet elsewhere.
func (h *handler) refuseACL(ctx context.Context, r *Request) error {
	if err := h.checkOwnership(ctx, r.Bucket); err != nil {
		return err
	}
	return notImplemented("x-amz-acl", "Only private ACLs are offered")
}

// checkOwnership refuses ACLs for a bucket whose ownership controls say that
// they do not count. Source: AWS "Controlling ownership of objects".
func (h *handler) checkOwnership(ctx context.Context, bucket string) error {
	ownership, ok, err := ownershipControls().load(ctx, h, bucket)
	if err == nil && ok && ownership == ownerEnforced {
		return s3err.Of(s3err.AccessControlListNotSupported)
	}
	return err
}

// checkCanned checks the canned ACL of what a request writes against the
// ownership controls of the bucket.
func (h *handler) checkCanned(ctx context.Context, r *Request) error {
	if acl := r.header("X-Amz-Acl"); acl == "" || cannedPrivate(r, acl) {
		return nil
	}
	return h.checkOwnership(ctx, r.Bucket)
}

// validCannedACL reports whether AWS knows a canned ACL; only buckets can be
// written to by the log delivery.
func validCannedACL(acl, key string) bool {
	switch acl {
	case "private", "public-read", "public-read-write", "authenticated-read",
		"aws-exec-read", "bucket-owner-read", "bucket-owner-full-control":
		return true
	case "log-delivery-write":
		return key == ""
	}
	return false
}

// headerACL reads x-amz-acl and x-amz-grant-*, of which there may be one kind.
func (r *Request) headerACL() (canned string, grants []grant, err error) {
	canned = r.header("X-Amz-Acl")
	if canned != "" && !validCannedACL(canned, r.Key) {
		return "", nil, s3err.Argument("The canned ACL that you specified is not valid here.", "x-amz-acl", canned)
	}
	for _, h := range [...]struct{ header, permission string }{
		{"Read", "READ"}, {"Write", "WRITE"}, {"Read-Acp", "READ_ACP"}, {"Write-Acp", "WRITE_ACP"}, {"Full-Control", "FULL_CONTROL"},
	} {
		for _, line := range r.http.Header["X-Amz-Grant-"+h.header] {
			name := strings.ToLower("x-amz-grant-" + h.header)
			for grantee := range strings.SplitSeq(line, ",") {
				g, ok := parseGrantee(grantee)
				if !ok {
					return "", nil, s3err.Argument("Argument format not recognized", name, line)
				}
				g.permission, g.header = h.permission, name
				grants = append(grants, g)
			}
		}
	}
	if canned != "" && grants != nil {
		return "", nil, s3err.New(s3err.InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed")
	}
	return canned, grants, nil
}

// parseGrantee reads one grantee of a header: id="...", emailAddress="..." or
// uri="...".
func parseGrantee(s string) (grant, bool) {
	kind, value, ok := strings.Cut(strings.TrimSpace(s), "=")
	value = strings.Trim(strings.TrimSpace(value), `"`)
	if !ok || value == "" {
		return grant{}, false
	}
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "id":
		return grant{id: value}, true
	case "emailaddress":
		return grant{email: value}, true
	case "uri":
		return grant{uri: value}, true
	}
	return grant{}, false
}

// readACL reads the AccessControlPolicy in the body, whose Owner must be the
// owner.
func (h *handler) readACL(r *Request, owner Identity) ([]grant, error) {
	var id string
	grants := []grant{}
	lists, owners := 0, 0
	_, err := h.readXML(r, digestOptional, "AccessControlPolicy", func(x *reader) error {
		return x.children(func(name string) error {
			switch name {
			case "Owner":
				owners++
				return readPrincipal(x, map[string]*string{"ID": &id, "DisplayName": nil})
			case "AccessControlList":
				lists++
				return x.children(func(name string) error {
					if name != "Grant" {
						return unexpected(name)
					}
					g, err := readGrant(x)
					grants = append(grants, g)
					return err
				})
			}
			return unexpected(name)
		})
	})
	switch {
	case s3err.CodeOf(err) == s3err.MalformedXML, err == nil && (lists != 1 || owners != 1 || id == ""):
		return nil, s3err.Of(s3err.MalformedACLError)
	case err == nil && id != owner.UserID:
		return nil, s3err.Argument("Invalid id", "CanonicalUser/ID", id)
	}
	return grants, err
}

// readGrant decodes one Grant element.
func readGrant(x *reader) (grant, error) {
	var g grant
	err := x.children(func(name string) error {
		switch name {
		case "Grantee":
			return readPrincipal(x, map[string]*string{"ID": &g.id, "EmailAddress": &g.email, "URI": &g.uri, "DisplayName": nil})
		case "Permission":
			return x.once(&g.permission)
		}
		return unexpected(name)
	})
	if err != nil {
		return g, err
	}
	named := 0
	for _, s := range [...]string{g.id, g.email, g.uri} {
		if s != "" {
			named++
		}
	}
	switch g.permission {
	case "FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP":
	default:
		named = 0
	}
	if named != 1 {
		return g, malformed(nil)
	}
	return g, nil
}

// readPrincipal decodes the children that name somebody; those of a nil are read
// over.
func readPrincipal(x *reader, into map[string]*string) error {
	return x.children(func(name string) error {
		s, known := into[name]
		switch {
		case !known:
			return unexpected(name)
		case s == nil:
			_, err := x.text()
			return err
		}
		return x.once(s)
	})
}

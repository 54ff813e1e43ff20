package s3api

import (
	"context"
	"strconv"
	"strings"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api/checksum"
	"tdkvs/s3api/s3err"
)

// The headers of a version's lock, as they are sent. Source: AWS PutObject.
const (
	lockModeHeader  = "x-amz-object-lock-mode"
	lockUntilHeader = "x-amz-object-lock-retain-until-date"
	lockHoldHeader  = "x-amz-object-lock-legal-hold"
)

const pastRetention = "The retain until date must be in the future!"

// lockHeaders reads the lock that a request gives to the version it writes.
// Whether the bucket has object lock is the engine's to say.
func (r *Request) lockHeaders(now time.Time) (meta.Lock, error) {
	var lock meta.Lock
	mode, until := r.header("X-Amz-Object-Lock-Mode"), r.header("X-Amz-Object-Lock-Retain-Until-Date")
	const both = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied."
	switch {
	case mode == "" && until == "":
	case mode == "":
		return lock, s3err.Argument(both, lockModeHeader, "")
	case until == "":
		return lock, s3err.Argument(both, lockUntilHeader, "")
	case !validMode(mode):
		return lock, s3err.Argument("Unknown wormMode directive.", lockModeHeader, mode)
	default:
		t, ok := parseRetainUntil(until)
		if !ok {
			return lock, s3err.Argument("The retain until date must be provided in ISO 8601 format", lockUntilHeader, until)
		}
		if !t.After(now) {
			return lock, s3err.Argument(pastRetention, lockUntilHeader, until)
		}
		lock.Retention = meta.Retention{Mode: meta.LockMode(mode), Until: t}
	}
	if r.has("X-Amz-Object-Lock-Legal-Hold") {
		hold := r.header("X-Amz-Object-Lock-Legal-Hold")
		if !validHold(hold) {
			return lock, s3err.Argument("Legal Hold must be either of 'ON' or 'OFF'", lockHoldHeader, hold)
		}
		lock.LegalHold = meta.LegalHold(hold)
	}
	return lock, nil
}

func validMode(s string) bool {
	return s == string(meta.Governance) || s == string(meta.Compliance)
}

func validHold(s string) bool {
	return s == string(meta.LegalHoldOn) || s == string(meta.LegalHoldOff)
}

// parseRetainUntil reads a date in ISO 8601, in its extended or basic form. What
// is finer than a millisecond is cut off, as it could not be shown.
func parseRetainUntil(s string) (time.Time, bool) {
	for _, layout := range [...]string{time.RFC3339Nano, "20060102T150405Z"} {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			return t.UTC().Truncate(time.Millisecond), true
		}
	}
	return time.Time{}, false
}

// checkLockDigest demands a digest of the body where a PutObject names a lock:
// what can not be removed must be what was meant. Source: AWS PutObject,
// Content-MD5.
func checkLockDigest(lock meta.Lock, spec checksum.Spec) error {
	if lock != (meta.Lock{}) && spec.Required() != nil {
		return s3err.New(s3err.InvalidRequest,
			"Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
	}
	return nil
}

// authorizeAttributes asks for the permissions that parts of what a request
// writes need of their own. Source: AWS "Required permissions for Amazon S3 API
// operations", PutObject.
func (h *handler) authorizeAttributes(ctx context.Context, r *Request, a meta.Attributes) error {
	for _, need := range [...]struct {
		asked      bool
		permission string
	}{
		{len(a.Tags) > 0, "s3:PutObjectTagging"},
		{a.Lock.Retention != (meta.Retention{}), "s3:PutObjectRetention"},
		{a.Lock.LegalHold != "", "s3:PutObjectLegalHold"},
	} {
		if !need.asked {
			continue
		}
		if err := h.authorize(ctx, r, Access{Permission: need.permission, Bucket: r.Bucket, Key: r.Key}); err != nil {
			return err
		}
	}
	return nil
}

// bypassGovernance reports whether a request may, and wants to, end GOVERNANCE
// retentions of a version. Whoever wants it without the permission is refused.
func (h *handler) bypassGovernance(ctx context.Context, r *Request, key, version string) (bool, error) {
	if !strings.EqualFold(r.header("X-Amz-Bypass-Governance-Retention"), "true") {
		return false, nil
	}
	err := h.authorize(ctx, r, Access{Permission: "s3:BypassGovernanceRetention", Bucket: r.Bucket, Key: key, VersionID: version})
	return err == nil, err
}

// setPrivileged sends the headers of a read that need a permission of their own:
// the lock and the number of tags. Source: AWS GetObject, response headers.
func (h *handler) setPrivileged(ctx context.Context, r *Request, resp *Response, obj *meta.Object) error {
	lock, tags := obj.Lock, len(obj.Tags) // not obj itself: what the functions below keep moves to the heap
	if tags == 0 && lock == (meta.Lock{}) {
		return nil
	}
	for _, part := range [...]struct {
		there      bool
		permission string
		show       func()
	}{
		{tags > 0, tagPermission(r.param("versionId")), func() { resp.set("x-amz-tagging-count", strconv.Itoa(tags)) }},
		{lock.Retention != (meta.Retention{}), "s3:GetObjectRetention", func() {
			resp.set(lockModeHeader, string(lock.Retention.Mode))
			resp.set(lockUntilHeader, string(appendTime(nil, lock.Retention.Until)))
		}},
		{lock.LegalHold != "", "s3:GetObjectLegalHold", func() { resp.set(lockHoldHeader, string(lock.LegalHold)) }},
	} {
		if !part.there {
			continue
		}
		err := h.authorize(ctx, r, Access{Permission: part.permission, Bucket: r.Bucket, Key: r.Key, VersionID: r.param("versionId")})
		switch {
		case err == nil:
			part.show()
		case s3err.CodeOf(err) != s3err.AccessDenied:
			return err
		}
	}
	return nil
}

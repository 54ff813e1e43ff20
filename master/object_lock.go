package master

import (
	"context"
	"time"

	"tdkvs/master/meta"
)

// bypass is whether a request may end GOVERNANCE retentions.
type bypass bool

const (
	noBypass         bypass = false
	bypassGovernance bypass = true
)

// running reports that a retention still holds.
func running(r meta.Retention, now time.Time) bool {
	return r.Mode != "" && now.Before(r.Until)
}

// protects refuses, with KindObjectLocked, that a version is deleted. Source:
// AWS "Locking objects with Object Lock". A mode that is not known protects like
// COMPLIANCE.
func protects(o *meta.Object, now time.Time, by bypass) error {
	r := o.Lock.Retention
	switch {
	case o.Lock.LegalHold == meta.LegalHoldOn:
		return &meta.Error{Kind: meta.KindObjectLocked, Message: "a legal hold is on"}
	case !running(r, now), r.Mode == meta.Governance && by == bypassGovernance:
		return nil
	}
	return &meta.Error{Kind: meta.KindObjectLocked, Message: "retained until " + r.Until.Format(time.RFC3339)}
}

// lockable refuses, with KindNoObjectLock, a lock that a bucket can not hold.
func lockable(b meta.Bucket, l meta.Lock) error {
	if l == (meta.Lock{}) {
		return nil
	}
	return hasLock(b)
}

// hasLock refuses, with KindNoObjectLock, a bucket without object lock.
func hasLock(b meta.Bucket) error {
	if !b.Lock.Enabled {
		return refuse(meta.KindNoObjectLock)
	}
	return nil
}

// lockFor is the lock of a version that is written with asked at a time: where
// that has no retention, the bucket's default one, in days or years of the
// calendar of UTC. KindNoObjectLock as lockable.
func lockFor(b meta.Bucket, asked meta.Lock, written time.Time) (meta.Lock, error) {
	if err := lockable(b, asked); err != nil {
		return meta.Lock{}, err
	}
	l := asked
	l.Retention = wholeMillis(l.Retention)
	if l.Retention == (meta.Retention{}) && b.Lock.Mode != "" {
		l.Retention = meta.Retention{Mode: b.Lock.Mode, Until: written.AddDate(b.Lock.Years, 0, b.Lock.Days)}
	}
	return l, nil
}

// wholeMillis is a retention as records keep it.
func wholeMillis(r meta.Retention) meta.Retention {
	if !r.Until.IsZero() {
		r.Until = r.Until.UTC().Truncate(time.Millisecond)
	}
	return r
}

// SetObjectRetention replaces the retention of a version; the zero value removes
// it. KindNoObjectLock unless the bucket has object lock. KindObjectLocked where
// that would weaken a COMPLIANCE retention still running, or, without bypass, a
// GOVERNANCE one.
func (e *Engine) SetObjectRetention(ctx context.Context, bucket, key, versionID string, r meta.Retention, bypassing bool) (meta.Object, error) {
	o, err := e.amend(ctx, bucket, key, versionID, hasLock, func(x *edit, o *meta.Object) error {
		next := wholeMillis(r)
		if weakens(o.Lock.Retention, next, x.now, bypass(bypassing)) {
			return refuse(meta.KindObjectLocked)
		}
		o.Lock.Retention = next
		return nil
	})
	if err != nil {
		return meta.Object{}, fault("set object retention", bucket, key, err)
	}
	return o, nil
}

// weakens reports that a retention still running does not allow another in its
// place: in its own mode it may only be prolonged.
func weakens(was, next meta.Retention, now time.Time, by bypass) bool {
	switch {
	case !running(was, now), next.Mode == was.Mode && !next.Until.Before(was.Until):
		return false
	}
	return was.Mode != meta.Governance || by == noBypass
}

// SetObjectLegalHold sets a version's legal hold on or off. KindNoObjectLock
// unless the bucket has object lock.
func (e *Engine) SetObjectLegalHold(ctx context.Context, bucket, key, versionID string, hold meta.LegalHold) (meta.Object, error) {
	o, err := e.amend(ctx, bucket, key, versionID, hasLock, func(_ *edit, o *meta.Object) error {
		o.Lock.LegalHold = hold
		return nil
	})
	if err != nil {
		return meta.Object{}, fault("set object legal hold", bucket, key, err)
	}
	return o, nil
}

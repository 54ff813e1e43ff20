package s3api

import (
	"context"
	"strconv"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// The longest default retention. Source: AWS "Locking objects with Object Lock".
const (
	maxRetentionDays  = 36500
	maxRetentionYears = 100
)

// needsVersioning is the answer where object lock is asked of a bucket that may
// lose versions.
func needsVersioning() *s3err.Error {
	return s3err.New(s3err.InvalidBucketState, "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
}

// putObjectLockConfiguration serves PutObjectLockConfiguration. The token that
// AWS once wanted for an existing bucket, x-amz-bucket-object-lock-token, is
// neither needed nor looked at.
func (h *handler) putObjectLockConfiguration(ctx context.Context, r *Request) (*Response, error) {
	if _, err := h.cfg.Backend.Bucket(ctx, r.Bucket); err != nil {
		return nil, err
	}
	var lock lockDocument
	err := h.readLockXML(r, "ObjectLockConfiguration", func(x *reader) error {
		var err error
		lock, err = readLockDocument(x)
		return err
	})
	if err != nil {
		return nil, err
	}
	config, err := lock.config()
	if err != nil {
		return nil, err
	}
	err = h.cfg.Backend.SetBucketLock(ctx, r.Bucket, config)
	if isKind(err, meta.KindInvalidBucketState) {
		return nil, needsVersioning().Wrap(err)
	}
	return new(Response), err
}

// getObjectLockConfiguration serves GetObjectLockConfiguration.
func (h *handler) getObjectLockConfiguration(ctx context.Context, r *Request) (*Response, error) {
	b, err := h.cfg.Backend.Bucket(ctx, r.Bucket)
	if err != nil {
		return nil, err
	}
	if !b.Lock.Enabled {
		return nil, s3err.Of(s3err.ObjectLockConfigurationNotFoundError)
	}
	doc := new(document)
	doc.root("ObjectLockConfiguration")
	doc.text("ObjectLockEnabled", "Enabled")
	if b.Lock.Mode != "" {
		doc.open("Rule")
		doc.open("DefaultRetention")
		doc.text("Mode", string(b.Lock.Mode))
		if b.Lock.Days > 0 {
			doc.int("Days", int64(b.Lock.Days))
		}
		if b.Lock.Years > 0 {
			doc.int("Years", int64(b.Lock.Years))
		}
		doc.close("DefaultRetention")
		doc.close("Rule")
	}
	doc.close("ObjectLockConfiguration")
	return &Response{doc: doc}, nil
}

// lockDocument is an ObjectLockConfiguration as it was sent.
type lockDocument struct {
	enabled string
	rule    bool
	mode    string
	days    *int64
	years   *int64
}

// readLockDocument decodes the children of an ObjectLockConfiguration.
func readLockDocument(x *reader) (lockDocument, error) {
	var d lockDocument
	err := x.children(func(name string) error {
		var err error
		switch {
		case name == "ObjectLockEnabled" && d.enabled == "":
			d.enabled, err = x.text()
		case name == "Rule" && !d.rule:
			d.rule = true
			err = x.only("DefaultRetention", func() error { return d.readRetention(x) })
		default:
			err = unexpected(name)
		}
		return err
	})
	return d, err
}

// readRetention decodes the children of a DefaultRetention.
func (d *lockDocument) readRetention(x *reader) error {
	return x.children(func(name string) error {
		var err error
		switch {
		case name == "Mode" && d.mode == "":
			d.mode, err = x.text()
		case name == "Days" && d.days == nil:
			d.days = new(int64)
			*d.days, err = x.int()
		case name == "Years" && d.years == nil:
			d.years = new(int64)
			*d.years, err = x.int()
		default:
			err = unexpected(name)
		}
		return err
	})
}

// config checks the document and returns what it asks for.
func (d *lockDocument) config() (meta.BucketLock, error) {
	lock := meta.BucketLock{Enabled: true}
	if d.enabled != "Enabled" {
		return lock, malformed(nil)
	}
	if !d.rule {
		return lock, nil
	}
	if !validMode(d.mode) || (d.days == nil) == (d.years == nil) {
		return lock, malformed(nil)
	}
	lock.Mode = meta.LockMode(d.mode)
	var err error
	if d.days != nil {
		lock.Days, err = retentionPeriod("Days", *d.days, maxRetentionDays)
	} else {
		lock.Years, err = retentionPeriod("Years", *d.years, maxRetentionYears)
	}
	return lock, err
}

// retentionPeriod checks a number of days or years.
func retentionPeriod(name string, n, most int64) (int, error) {
	switch {
	case n <= 0:
		return 0, s3err.Argument("Default retention period must be a positive integer value.", name, strconv.FormatInt(n, 10))
	case n > most:
		return 0, s3err.Argument("Default retention period too large.", name, strconv.FormatInt(n, 10))
	}
	return int(n), nil
}

// wantsLock reads x-amz-bucket-object-lock-enabled of CreateBucket, and asks for
// the permissions that object lock needs besides. Source: AWS CreateBucket.
func (h *handler) wantsLock(ctx context.Context, r *Request) (bool, error) {
	v := r.header("X-Amz-Bucket-Object-Lock-Enabled")
	switch strings.ToLower(v) {
	case "", "false":
		return false, nil
	case "true":
	default:
		return false, s3err.Argument("Invalid value for x-amz-bucket-object-lock-enabled. It must be true or false.", "x-amz-bucket-object-lock-enabled", v)
	}
	for _, permission := range [...]string{"s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning"} {
		if err := h.authorize(ctx, r, Access{Permission: permission, Bucket: r.Bucket}); err != nil {
			return false, err
		}
	}
	return true, nil
}

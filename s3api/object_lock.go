package s3api

import (
	"context"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// missingLock is the answer where object lock is asked of a bucket that has none.
func missingLock() *s3err.Error {
	return s3err.New(s3err.InvalidRequest, "Bucket is missing Object Lock Configuration")
}

// requireLock refuses a bucket without object lock.
func (h *handler) requireLock(ctx context.Context, r *Request) error {
	b, err := h.cfg.Backend.Bucket(ctx, r.Bucket)
	if err == nil && !b.Lock.Enabled {
		return missingLock()
	}
	return err
}

// readLockXML reads a document about locks, which must prove its integrity. AWS
// is seen to call a missing one malformed.
func (h *handler) readLockXML(r *Request, root string, decode func(x *reader) error) error {
	empty, err := h.readXML(r, digestRequired, root, decode)
	if err == nil && empty {
		return malformed(nil)
	}
	return err
}

// putObjectRetention serves PutObjectRetention. An empty Retention removes the
// one that there is.
func (h *handler) putObjectRetention(ctx context.Context, r *Request) (*Response, error) {
	version, err := r.versionID()
	if err != nil {
		return nil, err
	}
	var mode, until string
	err = h.readLockXML(r, "Retention", func(x *reader) error {
		return x.children(func(name string) error {
			switch name {
			case "Mode":
				return x.once(&mode)
			case "RetainUntilDate":
				return x.once(&until)
			}
			return unexpected(name)
		})
	})
	if err != nil {
		return nil, err
	}
	retention, err := parseRetention(mode, until)
	if err != nil {
		return nil, err
	}
	if err := h.requireLock(ctx, r); err != nil {
		return nil, err
	}
	if mode != "" && !retention.Until.After(h.cfg.Now()) {
		return nil, s3err.Argument(pastRetention, "RetainUntilDate", until)
	}
	bypass, err := h.bypassGovernance(ctx, r, r.Key, version)
	if err != nil {
		return nil, err
	}
	_, err = h.cfg.Backend.SetObjectRetention(ctx, r.Bucket, r.Key, version, retention, bypass)
	return new(Response), err
}

// parseRetention reads the two elements of a Retention, of which there are both
// or none.
func parseRetention(mode, until string) (meta.Retention, error) {
	if mode == "" && until == "" {
		return meta.Retention{}, nil
	}
	t, ok := parseRetainUntil(until)
	if !ok || !validMode(mode) {
		return meta.Retention{}, malformed(nil)
	}
	return meta.Retention{Mode: meta.LockMode(mode), Until: t}, nil
}

// getObjectRetention serves GetObjectRetention.
func (h *handler) getObjectRetention(ctx context.Context, r *Request) (*Response, error) {
	obj, err := h.lockedObject(ctx, r)
	if err != nil {
		return nil, err
	}
	retention := obj.Lock.Retention
	if retention == (meta.Retention{}) {
		return nil, s3err.Of(s3err.NoSuchObjectLockConfiguration)
	}
	doc := new(document)
	doc.root("Retention")
	doc.text("Mode", string(retention.Mode))
	doc.time("RetainUntilDate", retention.Until)
	doc.close("Retention")
	return &Response{doc: doc}, nil
}

// lockedObject returns the record that a request names, in a bucket with object
// lock.
func (h *handler) lockedObject(ctx context.Context, r *Request) (meta.Object, error) {
	if err := h.requireLock(ctx, r); err != nil {
		return meta.Object{}, err
	}
	return h.object(ctx, r)
}

// putObjectLegalHold serves PutObjectLegalHold.
func (h *handler) putObjectLegalHold(ctx context.Context, r *Request) (*Response, error) {
	version, err := r.versionID()
	if err != nil {
		return nil, err
	}
	var status string
	err = h.readLockXML(r, "LegalHold", func(x *reader) error {
		return x.only("Status", func() error { return x.once(&status) })
	})
	if err != nil {
		return nil, err
	}
	if !validHold(status) {
		return nil, malformed(nil)
	}
	_, err = h.cfg.Backend.SetObjectLegalHold(ctx, r.Bucket, r.Key, version, meta.LegalHold(status))
	return new(Response), err
}

// getObjectLegalHold serves GetObjectLegalHold.
func (h *handler) getObjectLegalHold(ctx context.Context, r *Request) (*Response, error) {
	obj, err := h.lockedObject(ctx, r)
	if err != nil {
		return nil, err
	}
	if obj.Lock.LegalHold == "" {
		return nil, s3err.Of(s3err.NoSuchObjectLockConfiguration)
	}
	doc := new(document)
	doc.root("LegalHold")
	doc.text("Status", string(obj.Lock.LegalHold))
	doc.close("LegalHold")
	return &Response{doc: doc}, nil
}

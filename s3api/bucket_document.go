package s3api

import (
	"bytes"
	"context"
	"fmt"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// bucketXML is an XML document that a bucket carries and whose content this
// package alone understands: put reads it strictly, checks it and has the engine
// keep it in canonical form under kind; get sends that; del removes it.
//
// T is the document as read. The canonical form is what write makes of it, in
// the root element and the namespace of S3; read must understand it again.
type bucketXML[T any] struct {
	kind string // the engine's name of it, such as "cors"; never changes
	root string // root element
	// unset is the code of get's answer where the bucket has none; empty: an
	// empty document.
	unset string
	// digest is what put demands of the body's integrity.
	digest digest
	// read decodes the children of the root element.
	read func(x *reader) (T, error)
	// check refuses what is well-formed and still wrong. May be nil.
	check func(T) error
	// empty reports whether a document says as much as none, and is not kept. May
	// be nil.
	empty func(T) bool
	// write appends the children of the root element.
	write func(doc *document, v T)
}

// put serves the operation that sets the document.
func (d bucketXML[T]) put(h *handler, ctx context.Context, r *Request) (*Response, error) {
	if _, err := h.cfg.Backend.Bucket(ctx, r.Bucket); err != nil {
		return nil, err
	}
	var v T
	err := h.readDocument(r, d.digest, d.root, func(x *reader) error {
		var err error
		v, err = d.read(x)
		return err
	})
	if err != nil {
		return nil, err
	}
	return new(Response), d.store(ctx, h, r.Bucket, v)
}

// store checks a document and keeps it.
func (d bucketXML[T]) store(ctx context.Context, h *handler, bucket string, v T) error {
	if d.check != nil {
		if err := d.check(v); err != nil {
			return err
		}
	}
	return d.keep(ctx, h, bucket, v)
}

// keep has the engine keep a document that was checked.
func (d bucketXML[T]) keep(ctx context.Context, h *handler, bucket string, v T) error {
	if d.empty != nil && d.empty(v) {
		return h.cfg.Backend.SetBucketConfig(ctx, bucket, d.kind, nil)
	}
	doc := new(document)
	doc.root(d.root)
	d.write(doc, v)
	doc.close(d.root)
	if len(doc.b) > meta.MaxRecordPayload {
		return tooLong()
	}
	return h.cfg.Backend.SetBucketConfig(ctx, bucket, d.kind, doc.b)
}

// get serves the operation that reads the document.
func (d bucketXML[T]) get(h *handler, ctx context.Context, r *Request) (*Response, error) {
	stored, err := h.cfg.Backend.BucketConfig(ctx, r.Bucket, d.kind)
	switch {
	case err != nil:
		return nil, err
	case stored == nil:
		return answerUnset(d.root, d.unset)
	}
	return &Response{doc: &document{b: stored}}, nil
}

// del serves the operation that removes the document, also when there is none.
func (d bucketXML[T]) del(h *handler, ctx context.Context, r *Request) (*Response, error) {
	return new(Response), h.cfg.Backend.SetBucketConfig(ctx, r.Bucket, d.kind, nil)
}

// load returns a bucket's document for use by this package; ok is false where it
// has none.
func (d bucketXML[T]) load(ctx context.Context, h *handler, bucket string) (v T, ok bool, err error) {
	stored, err := h.cfg.Backend.BucketConfig(ctx, bucket, d.kind)
	if err != nil || stored == nil {
		return v, false, err
	}
	x := newReader(bytes.NewReader(stored))
	_, err = x.document(d.root, func() error {
		v, err = d.read(x)
		return err
	})
	if err != nil { // not of the request that needs it
		return v, false, s3err.Internal(fmt.Errorf("stored %s of bucket %s: %w", d.kind, bucket, err))
	}
	return v, true, nil
}

// handlers returns the three operations on the document; putStatus is the status
// of a put that succeeds.
func (d bucketXML[T]) handlers(putStatus int) documentHandlers {
	return documentHandlers{get: d.get, put: d.put, del: d.del, putStatus: putStatus}
}

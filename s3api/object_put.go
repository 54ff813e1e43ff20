package s3api

import (
	"context"

	"tdkvs/master/meta"
	"tdkvs/s3api/checksum"
	"tdkvs/s3api/s3err"
)

// putObject serves PutObject.
func (h *handler) putObject(ctx context.Context, r *Request) (*Response, error) {
	obj, err := h.storeObject(ctx, r)
	if err != nil {
		return nil, err
	}
	return writtenResponse(&obj), nil
}

// storeObject stores the body of a request under its key, with all that its
// headers say of it.
func (h *handler) storeObject(ctx context.Context, r *Request) (meta.Object, error) {
	var none meta.Object
	put, err := h.writeRequest(ctx, r)
	if err != nil {
		return none, err
	}
	spec, err := checksum.ParseHeader(r.http.Header)
	if err != nil {
		return none, err
	}
	if err := checkLockDigest(put.Lock, spec); err != nil {
		return none, err
	}
	if err := r.checkLength(); err != nil {
		return none, err
	}
	put.Size = r.auth.Size
	p := r.openPayload(spec, checksum.None, meta.MaxPutSize)
	defer p.Close()
	obj, err := h.cfg.Backend.PutObject(ctx, put, p)
	return obj, conflict(err, put.Precondition)
}

// writtenResponse says in headers what was stored.
func writtenResponse(obj *meta.Object) *Response {
	resp := new(Response)
	resp.set("ETag", quoted(obj.ETag))
	resp.setChecksum(obj.Checksum)
	resp.setWritten(obj)
	return resp
}

// writeRequest reads what a request says of the object that it writes: PutObject,
// CopyObject or a form. Its size is the caller's to set.
func (h *handler) writeRequest(ctx context.Context, r *Request) (meta.PutRequest, error) {
	put := meta.PutRequest{Bucket: r.Bucket, Key: r.Key, Owner: r.Identity.UserID}
	var err error
	if put.Attributes, err = h.attributes(ctx, r); err != nil {
		return put, err
	}
	put.Precondition, err = r.writePrecondition()
	return put, err
}

// setChecksum sends a checksum in the header of its algorithm, with its type.
func (r *Response) setChecksum(c meta.Checksum) {
	a, ok := checksum.ParseAlgorithm(c.Algorithm)
	if !ok || c.Value == "" {
		return
	}
	r.set(a.Header(), c.Value)
	r.setOptional("x-amz-checksum-type", c.Type)
}

// conflict names a lost race of a conditional write as AWS does.
func conflict(err error, p meta.Precondition) error {
	if hasCondition(p) && isKind(err, meta.KindConflict) {
		return s3err.Of(s3err.ConditionalRequestConflict).Wrap(err)
	}
	return err
}

package s3api

import (
	"context"
)

// putObjectTagging serves PutObjectTagging.
func (h *handler) putObjectTagging(ctx context.Context, r *Request) (*Response, error) {
	version, err := r.versionID()
	if err != nil {
		return nil, err
	}
	var tags []tag
	err = h.readDocument(r, digestOptional, "Tagging", func(x *reader) error {
		var err error
		tags, err = readTagSet(x)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := checkObjectTags(tags); err != nil {
		return nil, err
	}
	return h.setTags(ctx, r, version, tagMap(tags))
}

// deleteObjectTagging serves DeleteObjectTagging.
func (h *handler) deleteObjectTagging(ctx context.Context, r *Request) (*Response, error) {
	version, err := r.versionID()
	if err != nil {
		return nil, err
	}
	return h.setTags(ctx, r, version, nil)
}

func (h *handler) setTags(ctx context.Context, r *Request, version string, tags map[string]string) (*Response, error) {
	obj, err := h.cfg.Backend.SetObjectTags(ctx, r.Bucket, r.Key, version, tags)
	if err != nil {
		return nil, err
	}
	resp := new(Response)
	resp.setVersion(&obj)
	return resp, nil
}

// getObjectTagging serves GetObjectTagging. The tags come in the order of their
// keys; AWS promises none.
func (h *handler) getObjectTagging(ctx context.Context, r *Request) (*Response, error) {
	obj, err := h.object(ctx, r)
	if err != nil {
		return nil, err
	}
	doc := new(document)
	doc.root("Tagging")
	writeTagSet(doc, sortedTags(obj.Tags))
	doc.close("Tagging")
	resp := &Response{doc: doc}
	resp.setVersion(&obj)
	return resp, nil
}

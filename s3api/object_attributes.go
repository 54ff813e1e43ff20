package s3api

import (
	"context"
	"math"
	"strconv"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// attributeSet is what x-amz-object-attributes asks for.
type attributeSet struct{ etag, checksum, parts, class, size bool }

// attributeSet reads x-amz-object-attributes: names with commas between, in one
// header or several.
func (r *Request) attributeSet() (attributeSet, error) {
	var set attributeSet
	const header = "x-amz-object-attributes"
	found := false
	for _, line := range r.http.Header["X-Amz-Object-Attributes"] {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.TrimSpace(name)
			switch name {
			case "":
				continue
			case "ETag":
				set.etag = true
			case "Checksum":
				set.checksum = true
			case "ObjectParts":
				set.parts = true
			case "StorageClass":
				set.class = true
			case "ObjectSize":
				set.size = true
			default:
				return set, s3err.Argument("Invalid attribute name specified.", header, name)
			}
			found = true
		}
	}
	if !found {
		return set, s3err.New(s3err.InvalidRequest,
			"The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	return set, nil
}

// partPage is which parts GetObjectAttributes is to show.
type partPage struct{ limit, marker int }

// partPage reads x-amz-max-parts and x-amz-part-number-marker.
func (r *Request) partPage() (partPage, error) {
	p := partPage{limit: maxKeys}
	for _, n := range [...]struct {
		canonical, name string
		value           *int
	}{
		{"X-Amz-Max-Parts", "x-amz-max-parts", &p.limit},
		{"X-Amz-Part-Number-Marker", "x-amz-part-number-marker", &p.marker},
	} {
		s := r.header(n.canonical)
		if s == "" {
			continue
		}
		v, err := strconv.ParseInt(s, 10, 64)
		switch {
		case err != nil || v > math.MaxInt32:
			return p, s3err.Argument("Provided "+n.name+" not an integer or within integer range", n.name, s)
		case v < 0:
			return p, s3err.Argument("Argument "+n.name+" must be an integer between 0 and 2147483647", n.name, s)
		}
		*n.value = int(v)
	}
	p.limit = min(p.limit, maxKeys)
	return p, nil
}

// getObjectAttributes serves GetObjectAttributes. Conditions do not apply.
func (h *handler) getObjectAttributes(ctx context.Context, r *Request) (*Response, error) {
	set, err := r.attributeSet()
	if err != nil {
		return nil, err
	}
	page, err := r.partPage()
	if err != nil {
		return nil, err
	}
	// Source: AWS GetObjectAttributes, permissions.
	version := r.param("versionId")
	if err := h.authorize(ctx, r, Access{Permission: readPermission(version), Bucket: r.Bucket, Key: r.Key, VersionID: version}); err != nil {
		return nil, err
	}
	obj, err := h.object(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := r.refuseCustomerKey(); err != nil {
		return nil, err
	}
	doc := new(document)
	doc.root("GetObjectAttributesResponse")
	if set.etag {
		doc.text("ETag", obj.ETag)
	}
	if set.checksum {
		doc.checksumElement(obj.Checksum)
	}
	if set.parts && obj.Parts > 0 {
		if err := h.writeObjectParts(ctx, doc, &obj, page); err != nil {
			return nil, err
		}
	}
	if set.class {
		doc.text("StorageClass", storageClass(obj.Headers))
	}
	if set.size {
		doc.int("ObjectSize", obj.Size)
	}
	doc.close("GetObjectAttributesResponse")
	resp := &Response{doc: doc}
	resp.set("Last-Modified", httpTime(obj.Modified))
	resp.setVersion(&obj)
	return resp, nil
}

// checksumElement writes the Checksum of an object. Unlike everywhere else, AWS
// is seen to leave out the number of parts behind a composite value.
func (d *document) checksumElement(c meta.Checksum) {
	if c.Algorithm == "" || c.Value == "" {
		return
	}
	c.Value, _, _ = strings.Cut(c.Value, "-")
	d.open("Checksum")
	d.checksum(c)
	d.optional("ChecksumType", c.Type)
	d.close("Checksum")
}

// writeObjectParts writes ObjectParts of an assembled object: a page of parts
// with their checksums. Where the parts have none there is only their number.
func (h *handler) writeObjectParts(ctx context.Context, doc *document, obj *meta.Object, page partPage) error {
	// One more than asked for tells whether there are more.
	parts, err := h.cfg.Backend.ObjectParts(ctx, *obj, page.marker, page.limit+1)
	if err != nil {
		return err
	}
	truncated := page.limit > 0 && len(parts) > page.limit
	parts = parts[:min(page.limit, len(parts))]
	next := 0
	if len(parts) > 0 {
		next = parts[len(parts)-1].Number
	}
	doc.open("ObjectParts")
	doc.bool("IsTruncated", truncated)
	doc.int("MaxParts", int64(page.limit))
	doc.int("NextPartNumberMarker", int64(next))
	doc.int("PartNumberMarker", int64(page.marker))
	for i := range parts {
		if parts[i].Checksum.Value == "" {
			continue
		}
		doc.open("Part")
		doc.int("PartNumber", int64(parts[i].Number))
		doc.int("Size", parts[i].Size)
		doc.checksum(parts[i].Checksum)
		doc.close("Part")
	}
	doc.int("PartsCount", int64(obj.Parts))
	doc.close("ObjectParts")
	return nil
}

package gateway

import (
	"context"
	"encoding/hex"
	"fmt"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/meta"
)

// Buckets on one page of GET /buckets.
const (
	adminBucketsDefault = 100
	adminBucketsMost    = 1000
)

// objectName reads which version of which object is meant.
func (r *adminRequest) objectName() (bucket, key, version string, err error) {
	bucket, key, version = r.query.Get("bucket"), r.query.Get("key"), r.query.Get("versionId")
	switch {
	case bucket == "":
		err = badAdmin("InvalidArgument", "the parameter bucket is missing")
	case key == "":
		err = badAdmin("InvalidArgument", "the parameter key is missing")
	default:
		err = r.empty()
	}
	return bucket, key, version, err
}

func (g *gateway) adminLocate(r *adminRequest) (any, error) {
	bucket, key, version, err := r.objectName()
	if err != nil {
		return nil, err
	}
	l, err := g.cfg.Admin.Operator.Locate(r.Context(), bucket, key, version)
	if err != nil {
		return nil, err
	}
	out := adminapi.Location{
		Bucket: bucket, Key: key, VersionID: l.Object.VersionID, Size: l.Object.Size,
		Hash: hashText(l.Hash), Slots: list(l.Slots), Volumes: volumeNumbers(l.Volumes),
		InPlace: true, Extents: make([]adminapi.Extent, 0, len(l.Extents)),
	}
	for _, x := range l.Extents {
		out.Extents = append(out.Extents, adminExtent(x))
		out.InPlace = out.InPlace && x.Settled()
	}
	return out, nil
}

func adminExtent(x master.ExtentLocation) adminapi.Extent {
	out := adminapi.Extent{
		Part: x.Part, Offset: x.Offset, Size: x.Size, Hash: hashText(x.Hash), Slots: list(x.Slots),
		Volumes: volumeNumbers(x.Volumes), InPlace: x.Settled(), Pieces: make([]adminapi.Piece, 0, len(x.Pieces)),
	}
	if x.Code != (meta.Code{}) {
		out.Code = &adminapi.Code{Data: x.Code.Data, Parity: x.Code.Parity}
	}
	for _, p := range x.Pieces {
		piece := adminapi.Piece{Volume: uint32(p.Volume), InPlace: x.InPlace(p)}
		if !p.Missing() {
			piece.Blob = hex.EncodeToString(p.Blob[:])
		}
		out.Pieces = append(out.Pieces, piece)
	}
	return out
}

func hashText(hash uint64) string { return fmt.Sprintf("%016x", hash) }

func volumeNumbers(ids []meta.VolumeID) []uint32 {
	out := make([]uint32, len(ids))
	for i, id := range ids {
		out[i] = uint32(id)
	}
	return out
}

// list is a list that JSON writes as such also where there is nothing in it.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (g *gateway) adminBuckets(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	limit, err := r.limit(adminBucketsDefault, adminBucketsMost)
	if err != nil {
		return nil, err
	}
	req := meta.BucketsRequest{Prefix: r.query.Get("prefix"), After: r.query.Get("after"), Limit: limit}
	page, err := g.cfg.Admin.Operator.ListBuckets(r.Context(), req)
	if err != nil {
		return nil, err
	}
	out := adminapi.Buckets{Buckets: make([]adminapi.Bucket, 0, len(page.Buckets))}
	for _, b := range page.Buckets {
		doc, err := g.adminBucketOf(r.Context(), b)
		if meta.KindOf(err) == meta.KindNoSuchBucket && err != nil {
			continue // it was deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		out.Buckets = append(out.Buckets, doc)
	}
	if page.Truncated {
		out.Next = page.Buckets[len(page.Buckets)-1].Name
	}
	return out, nil
}

func (g *gateway) adminBucket(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	b, err := g.cfg.Admin.Operator.Bucket(r.Context(), r.name)
	if err != nil {
		return nil, err
	}
	return g.adminBucketOf(r.Context(), b)
}

func (g *gateway) adminBucketOf(ctx context.Context, b meta.Bucket) (adminapi.Bucket, error) {
	u, err := g.cfg.Admin.Operator.Usage(ctx, b.Name)
	return adminapi.Bucket{
		Name: b.Name, Created: b.Created, Owner: b.Owner, Region: b.Region, Versioning: string(b.Versioning), Replicas: b.Replicas,
		Lock:    adminapi.Lock{Enabled: b.Lock.Enabled, Mode: string(b.Lock.Mode), Days: b.Lock.Days, Years: b.Lock.Years},
		Objects: u.Objects, Bytes: u.Bytes, Noncurrent: u.Noncurrent, NoncurrentBytes: u.NoncurrentBytes, DeleteMarkers: u.DeleteMarkers,
	}, err
}

func (g *gateway) adminObject(r *adminRequest) (any, error) {
	bucket, key, version, err := r.objectName()
	if err != nil {
		return nil, err
	}
	o, err := g.cfg.Admin.Operator.Object(r.Context(), bucket, key, version)
	if err != nil {
		return nil, err
	}
	out := adminapi.Object{
		Bucket: bucket, Key: key, VersionID: o.VersionID, Modified: o.Modified, Size: o.Size, ETag: o.ETag,
		Headers: namedHeaders(o.Headers), UserMetadata: table(o.UserMeta), Tags: table(o.Tags),
		LegalHold: string(o.Lock.LegalHold), Owner: o.Owner, UploadID: o.UploadID, Parts: o.Parts,
	}
	if o.Checksum != (meta.Checksum{}) {
		out.Checksum = &adminapi.Checksum{Algorithm: o.Checksum.Algorithm, Type: o.Checksum.Type, Value: o.Checksum.Value}
	}
	if held := o.Lock.Retention; held != (meta.Retention{}) {
		out.Retention = &adminapi.Retention{Mode: string(held.Mode), Until: held.Until}
	}
	return out, nil
}

// table is a map that JSON writes as such also where there is nothing in it.
func table(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// namedHeaders are the headers that were given, by their names in HTTP.
func namedHeaders(h meta.Headers) map[string]string {
	out := map[string]string{}
	for _, f := range [...][2]string{
		{"Content-Type", h.ContentType},
		{"Cache-Control", h.CacheControl},
		{"Content-Disposition", h.ContentDisposition},
		{"Content-Encoding", h.ContentEncoding},
		{"Content-Language", h.ContentLanguage},
		{"Expires", h.Expires},
		{"x-amz-website-redirect-location", h.WebsiteRedirect},
		{"x-amz-storage-class", h.StorageClass},
	} {
		if f[1] != "" {
			out[f[0]] = f[1]
		}
	}
	return out
}

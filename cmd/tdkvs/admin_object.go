package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tdkvs/gateway/adminapi"
)

// objectQuery names the object of the argument, which is bucket/key.
func (a *adminSession) objectQuery() (url.Values, error) {
	bucket, key, ok := strings.Cut(strings.TrimPrefix(a.argument, "s3://"), "/")
	if !ok || bucket == "" || key == "" {
		return nil, misusef("admin: an object is named as bucket/key, not %q", a.argument)
	}
	q := url.Values{"bucket": {bucket}, "key": {key}}
	if a.version != "" {
		q.Set("versionId", a.version)
	}
	return q, nil
}

func adminLocate(ctx context.Context, a *adminSession) error {
	q, err := a.objectQuery()
	if err != nil {
		return err
	}
	var l adminapi.Location
	if err := a.client.call(ctx, http.MethodGet, "/locate", q, nil, &l); err != nil {
		return err
	}
	return a.print(l, func(w io.Writer) {
		rows := []string{
			row("object", l.Bucket+"/"+l.Key),
			row("size", humanInt(l.Size)),
			row("hash", l.Hash),
			row("slots", numbers(l.Slots)),
			row("volumes", numbers(l.Volumes)),
			row("in place", yesNo(l.InPlace)),
		}
		if l.VersionID != "" {
			rows = slices.Insert(rows, 1, row("version", l.VersionID))
		}
		columns(w, rows...)
		_, _ = fmt.Fprintln(w)
		rows = []string{row("PART", "OFFSET", "SIZE", "PIECE", "WANTED ON", "IS ON", "BLOB", "IN PLACE")}
		for _, x := range l.Extents {
			rows = append(rows, extentRows(x)...)
		}
		columns(w, rows...)
	})
}

// extentRows has a row for each copy or shard, and for the copies that there
// should be and are not.
func extentRows(x adminapi.Extent) []string {
	part := ""
	if x.Part > 0 {
		part = fmt.Sprint(x.Part)
	}
	var rows []string
	for i, p := range x.Pieces {
		piece := fmt.Sprintf("copy %d of %d", i+1, max(len(x.Pieces), len(x.Volumes)))
		if x.Code != nil {
			piece = fmt.Sprintf("shard %d of %d+%d", i+1, x.Code.Data, x.Code.Parity)
		}
		at, blob := fmt.Sprint(p.Volume), p.Blob
		if p.Volume == 0 {
			at = "missing"
		}
		rows = append(rows, row(part, x.Offset, x.Size, piece, numbers(x.Volumes), at, blob, yesNo(p.InPlace)))
	}
	if x.Code != nil {
		return rows
	}
	for i := len(x.Pieces); i < len(x.Volumes); i++ {
		rows = append(rows, row(part, x.Offset, x.Size, fmt.Sprintf("copy %d of %d", i+1, len(x.Volumes)), numbers(x.Volumes), "missing", "", "no"))
	}
	return rows
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// numbers joins a list with commas.
func numbers[T int | uint32](list []T) string {
	text := make([]string, len(list))
	for i, n := range list {
		text[i] = fmt.Sprint(n)
	}
	return strings.Join(text, ",")
}

// adminBucketList goes over all pages.
func adminBucketList(ctx context.Context, a *adminSession) error {
	all := adminapi.Buckets{Buckets: []adminapi.Bucket{}}
	q := url.Values{"limit": {"1000"}}
	for {
		var page adminapi.Buckets
		if err := a.client.call(ctx, http.MethodGet, "/buckets", q, nil, &page); err != nil {
			return err
		}
		all.Buckets = append(all.Buckets, page.Buckets...)
		if page.Next == "" {
			break
		}
		q.Set("after", page.Next)
	}
	return a.print(all, func(w io.Writer) {
		rows := []string{row("BUCKET", "OBJECTS", "BYTES", "NONCURRENT", "BYTES", "MARKERS", "COPIES", "VERSIONING", "LOCK", "CREATED")}
		for _, b := range all.Buckets {
			rows = append(rows, row(b.Name, grouped(b.Objects), humanInt(b.Bytes), grouped(b.Noncurrent), humanInt(b.NoncurrentBytes),
				grouped(b.DeleteMarkers), copiesOf(b), b.Versioning, lockText(b.Lock), moment(b.Created)))
		}
		columns(w, rows...)
	})
}

func adminBucketUsage(ctx context.Context, a *adminSession) error {
	var b adminapi.Bucket
	if err := a.client.call(ctx, http.MethodGet, "/buckets/"+url.PathEscape(a.argument), nil, nil, &b); err != nil {
		return err
	}
	return a.print(b, func(w io.Writer) {
		columns(w,
			row("bucket", b.Name),
			row("created", moment(b.Created)),
			row("owner", b.Owner),
			row("region", b.Region),
			row("objects", fmt.Sprintf("%s, %s", grouped(b.Objects), humanInt(b.Bytes))),
			row("noncurrent", fmt.Sprintf("%s versions, %s", grouped(b.Noncurrent), humanInt(b.NoncurrentBytes))),
			row("delete markers", grouped(b.DeleteMarkers)),
			row("copies", copiesText(b.Replicas)),
			row("versioning", b.Versioning),
			row("object lock", lockText(b.Lock)),
		)
	})
}

// copiesOf is the number of copies that a bucket asks for; empty: the store's.
func copiesOf(b adminapi.Bucket) string {
	if b.Replicas == 0 {
		return ""
	}
	return fmt.Sprint(b.Replicas)
}

func lockText(l adminapi.Lock) string {
	switch {
	case !l.Enabled:
		return ""
	case l.Days > 0:
		return fmt.Sprintf("%s %d days", l.Mode, l.Days)
	case l.Years > 0:
		return fmt.Sprintf("%s %d years", l.Mode, l.Years)
	}
	return "enabled"
}

func adminObjectStat(ctx context.Context, a *adminSession) error {
	q, err := a.objectQuery()
	if err != nil {
		return err
	}
	var o adminapi.Object
	if err := a.client.call(ctx, http.MethodGet, "/objects", q, nil, &o); err != nil {
		return err
	}
	return a.print(o, func(w io.Writer) {
		rows := []string{
			row("object", o.Bucket+"/"+o.Key), row("version", o.VersionID), row("size", fmt.Sprintf("%s (%s bytes)", humanInt(o.Size), grouped(o.Size))),
			row("modified", moment(o.Modified)), row("etag", o.ETag), row("owner", o.Owner),
		}
		if o.Checksum != nil {
			rows = append(rows, row("checksum", fmt.Sprintf("%s %s %s", o.Checksum.Algorithm, o.Checksum.Value, o.Checksum.Type)))
		}
		if o.UploadID != "" {
			rows = append(rows, row("upload", fmt.Sprintf("%s, %d parts", o.UploadID, o.Parts)))
		}
		if o.Retention != nil {
			rows = append(rows, row("retention", o.Retention.Mode+" until "+moment(o.Retention.Until)))
		}
		if o.LegalHold != "" {
			rows = append(rows, row("legal hold", o.LegalHold))
		}
		rows = append(rows, named("header", o.Headers)...)
		rows = append(rows, named("metadata", o.UserMetadata)...)
		columns(w, append(rows, named("tag", o.Tags)...)...)
	})
}

// named writes a row for each entry of a table, in order of name.
func named(what string, table map[string]string) []string {
	var rows []string
	for _, name := range slices.Sorted(maps.Keys(table)) {
		rows = append(rows, row(what, name+": "+table[name]))
	}
	return rows
}

package compattests

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// none is what is seen of something that is not there.
const none = "none"

// cell is something that clients can see as a whole, and what they were told of it: an operation that was acknowledged
// has changed it, one that was cut off has changed it or has not, and one that was refused has not.
type cell struct {
	name  string
	seen  func(context.Context) (string, error)
	known string   // acknowledged, or seen after a crash
	maybe []string // what operations that were cut off would have made of it
}

// change is an operation that makes one of these of the cell; which one it was is seen.
func (c *cell) change(do func() error, to ...string) error {
	err := do()
	switch status := statusOf(err); {
	case err == nil && len(to) == 1:
		c.known = to[0]
	case err == nil: // one of them
		c.maybe, c.known = to[1:], to[0]
	case status >= 400 && status < 500:
		return &refused{fmt.Errorf("%s: %w", c.name, err)}
	default:
		c.maybe = append(c.maybe, to...)
		return err
	}
	return nil
}

// refused blames the request, which no crash excuses.
type refused struct{ error }

func (r *refused) Unwrap() error { return r.error }

// check compares what there is with what there may be. From then on it is known.
func (c *cell) check(ctx context.Context) error {
	got, err := c.seen(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	if got != c.known && !slices.Contains(c.maybe, got) {
		return fmt.Errorf("%s: there is\n%s\nand should be\n%s\nor one of\n%s", c.name, got, c.known, strings.Join(c.maybe, "\n"))
	}
	c.known, c.maybe = got, nil
	return nil
}

// objectCell is an object of a bucket without versions.
func objectCell(c *s3.Client, bucket, key string) *cell {
	return &cell{name: bucket + "/" + key, known: none, seen: func(ctx context.Context) (string, error) { return objectNow(ctx, c, bucket, key) }}
}

func objectNow(ctx context.Context, c *s3.Client, bucket, key string) (string, error) {
	out, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	switch {
	case statusOf(err) == http.StatusNotFound:
		return none, nil
	case err != nil:
		return "", err
	}
	return aws.ToString(out.ETag), nil
}

// versionsCell is all that a key of a versioned bucket holds: a line for each version, the newest first.
func versionsCell(c *s3.Client, bucket, key string) *cell {
	return &cell{name: bucket + "/" + key, seen: func(ctx context.Context) (string, error) { return versionsNow(ctx, c, bucket, key) }}
}

const markerLine = "marker"

// versionLine is a version as it is seen.
func versionLine(etag, tag string, hold bool) string {
	return fmt.Sprintf("%s tag=%s hold=%v", etag, tag, hold)
}

func versionsNow(ctx context.Context, c *s3.Client, bucket, key string) (string, error) {
	ids, err := versionIDs(ctx, c, bucket, key)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, id := range ids {
		head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, VersionId: &id})
		if statusOf(err) == http.StatusMethodNotAllowed {
			lines = append(lines, markerLine)
			continue
		}
		if err != nil {
			return "", err
		}
		tags, err := c.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &bucket, Key: &key, VersionId: &id})
		if err != nil {
			return "", err
		}
		tag := ""
		for _, x := range tags.TagSet {
			tag = aws.ToString(x.Value)
		}
		lines = append(lines, versionLine(aws.ToString(head.ETag), tag, head.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn))
	}
	return strings.Join(lines, "\n"), nil
}

// versionIDs returns the ids of all versions of a key, markers included, the newest first.
func versionIDs(ctx context.Context, c *s3.Client, bucket, key string) ([]string, error) {
	out, err := c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &bucket, Prefix: &key})
	if err != nil {
		return nil, err
	}
	type version struct {
		id     string
		latest bool
		at     int64
	}
	var all []version
	for _, v := range out.Versions {
		all = append(all, version{aws.ToString(v.VersionId), aws.ToBool(v.IsLatest), v.LastModified.UnixMilli()})
	}
	for _, v := range out.DeleteMarkers {
		all = append(all, version{aws.ToString(v.VersionId), aws.ToBool(v.IsLatest), v.LastModified.UnixMilli()})
	}
	slices.SortStableFunc(all, func(a, b version) int { return int(b.at - a.at) }) // no two of the same time: each waits for the one before
	ids := make([]string, len(all))
	for i, v := range all {
		ids[i] = v.id
		if v.latest != (i == 0) {
			return nil, errors.New("the latest version is not the newest")
		}
	}
	return ids, nil
}

// uploadCell is a key to which parts are uploaded: the parts of the upload and the object, which change in one step.
func uploadCell(c *s3.Client, bucket, key, id string) *cell {
	return &cell{name: bucket + "/" + key, known: uploadLine(none, none), seen: func(ctx context.Context) (string, error) {
		object, err := objectNow(ctx, c, bucket, key)
		if err != nil {
			return "", err
		}
		out, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: &id})
		switch {
		case statusOf(err) == http.StatusNotFound:
			return uploadLine(none, object), nil
		case err != nil:
			return "", err
		}
		var parts []string
		for _, p := range out.Parts {
			parts = append(parts, fmt.Sprint(aws.ToInt32(p.PartNumber), aws.ToString(p.ETag)))
		}
		return uploadLine(fmt.Sprint(parts), object), nil
	}}
}

func uploadLine(parts, object string) string { return "parts " + parts + ", object " + object }

// bucketCell is a bucket: whether it is there, versioned, and has rules for other origins.
func bucketCell(c *s3.Client, name string) *cell {
	return &cell{name: name, known: none, seen: func(ctx context.Context) (string, error) {
		v, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &name})
		switch {
		case statusOf(err) == http.StatusNotFound:
			return none, nil
		case err != nil:
			return "", err
		}
		cors, err := c.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: &name})
		if err != nil && statusOf(err) != http.StatusNotFound {
			return "", err
		}
		return bucketLine(err == nil && len(cors.CORSRules) > 0, string(v.Status)), nil
	}}
}

func bucketLine(cors bool, versioning string) string {
	return fmt.Sprintf("cors %v, versioning %s", cors, versioning)
}

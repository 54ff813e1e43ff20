package s3api

import (
	"context"
	"math"
	"strconv"
	"strings"

	"tdkvs/s3api/s3err"
)

// maxKeys is how many entries one page of a listing has at most.
const maxKeys = 1000

// listing are the parameters that ListObjects, ListObjectsV2 and
// ListObjectVersions share.
type listing struct {
	prefix, delimiter string
	limit             int
	keys              keyEncoder
}

// foreign is a parameter of another listing, and how AWS refuses it here.
type foreign struct{ param, message string }

// count reads a parameter that bounds a page, as AWS does: digits with at most a
// minus sign before them, 1,000 where there are none. It may be negative.
func (r *Request) count(param string) (int, error) {
	s := r.param(param)
	if s == "" {
		return maxKeys, nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || s[0] == '+' {
		return 0, s3err.Argument("Provided "+param+" not an integer or within integer range", param, s)
	}
	return int(n), nil
}

// limit reads a parameter that bounds a page, at most 1,000. name is what AWS
// calls a negative argument.
func (r *Request) limit(param, name string) (int, error) {
	n, err := r.count(param)
	if err == nil && n < 0 {
		err = s3err.Argument("Argument "+name+" must be an integer between 0 and "+strconv.Itoa(math.MaxInt32), name, strconv.Itoa(n))
	}
	return min(n, maxKeys), err
}

// keyEncoder reads encoding-type. AWS takes it in any case and shows it as sent.
func (r *Request) keyEncoder() (keyEncoder, error) {
	v, sent := r.query["encoding-type"]
	switch {
	case !sent:
		return keyEncoder{}, nil
	case strings.EqualFold(v[0], "url"):
		return keyEncoder{kind: v[0]}, nil
	default:
		return keyEncoder{}, s3err.Argument("Invalid Encoding Method specified in Request", "encoding-type", v[0])
	}
}

// pageOf reads what pages of objects have in common. Arguments are judged in
// AWS's order: what is no number and what belongs to other listings comes before
// the look for the bucket, the rest after it.
func (h *handler) pageOf(ctx context.Context, r *Request, refused ...foreign) (listing, error) {
	l := listing{prefix: r.param("prefix"), delimiter: r.param("delimiter")}
	if _, err := r.count("max-keys"); err != nil {
		return l, err
	}
	for _, f := range refused {
		if _, sent := r.query[f.param]; sent {
			return l, s3err.New(s3err.InvalidArgument, f.message).With("ArgumentName", f.param)
		}
	}
	var err error
	if l.keys, err = r.keyEncoder(); err == nil {
		l.limit, err = r.limit("max-keys", "maxKeys")
	}
	return l, h.behindBucket(ctx, r, err)
}

// behindBucket returns the error of an argument, unless the bucket is missing,
// which AWS says first.
func (h *handler) behindBucket(ctx context.Context, r *Request, err error) error {
	if err == nil {
		return nil
	}
	if _, missing := h.cfg.Backend.Bucket(ctx, r.Bucket); missing != nil {
		return missing
	}
	return err
}

// bounds writes what stands between the markers and the entries of a page.
func (l listing) bounds(doc *document, truncated bool) {
	doc.int("MaxKeys", int64(l.limit))
	l.keys.optional(doc, "Delimiter", l.delimiter)
	l.keys.echo(doc)
	doc.bool("IsTruncated", truncated)
}

// appendStored appends what listings say of the bytes of an object.
func appendStored(b []byte, etag, algorithm, sumType string, size int64) []byte {
	b = appendText(append(b, "<ETag>&quot;"...), etag)
	b = append(b, "&quot;</ETag>"...)
	if algorithm != "" {
		b = appendText(append(b, "<ChecksumAlgorithm>"...), algorithm)
		b = append(b, "</ChecksumAlgorithm>"...)
		if sumType != "" {
			b = appendText(append(b, "<ChecksumType>"...), sumType)
			b = append(b, "</ChecksumType>"...)
		}
	}
	b = strconv.AppendInt(append(b, "<Size>"...), size, 10)
	return append(b, "</Size>"...)
}

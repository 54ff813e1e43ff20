package compattests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// chores is a client that does one of everything, over and over: versions and markers, tags and holds, copies, deletions of
// many, contests, uploads that are completed and given up, and buckets. It belongs to one goroutine.
type chores struct {
	s3      *s3.Client
	round   int
	cells   []*cell // what must hold; those that no operation touches any more are dropped once they were checked
	lasting []*cell // the versioned keys
	acks    int
}

const (
	choreBucket = "chores"
	lockBucket  = "chores-locked"
	lockedKeys  = 2
	mostKept    = 6 // versions of a key
)

func newChores(c *s3.Client) *chores {
	h := &chores{s3: c}
	for i := range lockedKeys {
		h.lasting = append(h.lasting, versionsCell(c, lockBucket, fmt.Sprint("versions", i)))
	}
	return h
}

// prepare makes the buckets.
func (h *chores) prepare(ctx context.Context) error {
	_, err := h.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(choreBucket)})
	_, locked := h.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(lockBucket), ObjectLockEnabledForBucket: aws.Bool(true)})
	return errors.Join(err, locked)
}

// check compares everything with what it may be.
func (h *chores) check(ctx context.Context) error {
	var errs []error
	for _, c := range append(h.cells, h.lasting...) {
		errs = append(errs, c.check(ctx))
	}
	h.cells = nil
	return errors.Join(errs...)
}

// all does one of everything; an error ends it.
func (h *chores) all(ctx context.Context) error {
	h.round++
	for _, chore := range []func(context.Context) error{h.versions, h.many, h.contest, h.upload, h.overtaken, h.buckets} {
		if err := chore(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (h *chores) cell(c *cell) *cell {
	h.cells = append(h.cells, c)
	return c
}

// do makes a change of a cell, and counts it.
func (h *chores) do(c *cell, do func() error, to ...string) error {
	err := c.change(do, to...)
	if err == nil {
		h.acks++
	}
	return err
}

// versions makes versions of a key, changes them, and deletes them by key and by id.
func (h *chores) versions(ctx context.Context) error {
	i := h.round % lockedKeys
	c, key := h.lasting[i], fmt.Sprint("versions", i)
	body := content(fmt.Sprint(key, h.round), 1000+h.round%3*30_000)
	lines := linesOf(c.known)
	if err := h.do(c, func() error {
		_, err := h.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(lockBucket), Key: &key, Body: bytes.NewReader(body)})
		return err
	}, above(versionLine(etagOf(body), "", false), lines)); err != nil {
		return err
	}
	if err := h.amend(ctx, c, key, body); err != nil {
		return err
	}
	if err := h.copyTo(ctx, h.lasting[(i+1)%lockedKeys], key, fmt.Sprint("versions", (i+1)%lockedKeys), etagOf(body)); err != nil {
		return err
	}
	if err := h.do(c, func() error {
		_, err := h.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(lockBucket), Key: &key})
		return err
	}, above(markerLine, linesOf(c.known))); err != nil {
		return err
	}
	return h.thin(ctx, c, key)
}

func linesOf(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func above(line string, lines []string) string {
	return strings.Join(append([]string{line}, lines...), "\n")
}

// amend sets tags and a legal hold of the current version, which is not deleted meanwhile.
func (h *chores) amend(ctx context.Context, c *cell, key string, body []byte) error {
	b, etag, rest := aws.String(lockBucket), etagOf(body), linesOf(c.known)[1:]
	ids, err := versionIDs(ctx, h.s3, lockBucket, key)
	if err != nil {
		return err
	}
	tag := fmt.Sprint(h.round)
	if err := h.do(c, func() error {
		_, err := h.s3.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: b, Key: &key, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("tag"), Value: &tag}}}})
		return err
	}, above(versionLine(etag, tag, false), rest)); err != nil {
		return err
	}
	if err := h.do(c, h.hold(ctx, key, ids[0], types.ObjectLockLegalHoldStatusOn), above(versionLine(etag, tag, true), rest)); err != nil {
		return err
	}
	_, err = h.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: &key, VersionId: &ids[0]})
	switch status := statusOf(err); {
	case err == nil:
		return &refused{fmt.Errorf("%s: a version was deleted in spite of its legal hold", key)}
	case status != http.StatusForbidden:
		return err
	}
	return h.do(c, h.hold(ctx, key, ids[0], types.ObjectLockLegalHoldStatusOff), above(versionLine(etag, tag, false), rest))
}

// hold sets the legal hold of a version.
func (h *chores) hold(ctx context.Context, key, id string, to types.ObjectLockLegalHoldStatus) func() error {
	return func() error {
		_, err := h.s3.PutObjectLegalHold(ctx, &s3.PutObjectLegalHoldInput{Bucket: aws.String(lockBucket), Key: &key, VersionId: &id,
			LegalHold: &types.ObjectLockLegalHold{Status: to}})
		return err
	}
}

// copyTo copies an object over another.
func (h *chores) copyTo(ctx context.Context, to *cell, from, key, etag string) error {
	tag := fmt.Sprint(h.round)
	return h.do(to, func() error {
		_, err := h.s3.CopyObject(ctx, &s3.CopyObjectInput{Bucket: aws.String(lockBucket), Key: &key, CopySource: aws.String(lockBucket + "/" + from)})
		return err
	}, above(versionLine(etag, tag, false), linesOf(to.known)))
}

// thin deletes the oldest versions of a key, and the newest, in one request.
func (h *chores) thin(ctx context.Context, c *cell, key string) error {
	lines := linesOf(c.known)
	if len(lines) <= mostKept {
		return nil
	}
	ids, err := versionIDs(ctx, h.s3, lockBucket, key)
	if err != nil {
		return err
	}
	if len(ids) != len(lines) {
		return &refused{fmt.Errorf("%s has %d versions, not %d", key, len(ids), len(lines))}
	}
	for i, line := range lines { // a hold that was not taken off any more
		if free := strings.Replace(line, "hold=true", "hold=false", 1); free != line {
			lines[i] = free
			if err := h.do(c, h.hold(ctx, key, ids[i], types.ObjectLockLegalHoldStatusOff), strings.Join(lines, "\n")); err != nil {
				return err
			}
		}
	}
	var doomed []types.ObjectIdentifier
	for _, id := range append([]string{ids[0]}, ids[mostKept-1:]...) {
		doomed = append(doomed, types.ObjectIdentifier{Key: &key, VersionId: &id})
	}
	return h.do(c, func() error { return h.deleteAll(ctx, lockBucket, doomed) }, strings.Join(lines[1:mostKept-1], "\n"))
}

// deleteAll deletes several objects in one request.
func (h *chores) deleteAll(ctx context.Context, bucket string, doomed []types.ObjectIdentifier) error {
	out, err := h.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: doomed}})
	if err == nil && len(out.Errors) > 0 {
		err = fmt.Errorf("%d of %d could not be deleted, the first: %s", len(out.Errors), len(doomed), aws.ToString(out.Errors[0].Message))
	}
	return err
}

const (
	manyObjects = 6
	manyNames   = 150 // of which most were never there: more than one transaction takes
)

// many writes some objects and deletes them, and names that are none, in one request: that takes two commits, so some may
// be gone and others not.
func (h *chores) many(ctx context.Context) error {
	var doomed []types.ObjectIdentifier
	var cells []*cell
	for i := range manyNames {
		key := fmt.Sprintf("many %d/%d", h.round, i)
		doomed = append(doomed, types.ObjectIdentifier{Key: &key})
		if i%(manyNames/manyObjects) != 0 {
			continue
		}
		c, body := h.cell(objectCell(h.s3, choreBucket, key)), content(key, 100*i)
		cells = append(cells, c)
		if err := h.do(c, func() error { return h.put(ctx, key, body, false) }, etagOf(body)); err != nil {
			return err
		}
	}
	err := h.deleteAll(ctx, choreBucket, doomed)
	for _, c := range cells {
		if c.change(func() error { return err }, none) == nil {
			h.acks++
		}
	}
	return err
}

func (h *chores) put(ctx context.Context, key string, body []byte, fresh bool) error {
	in := &s3.PutObjectInput{Bucket: aws.String(choreBucket), Key: &key, Body: bytes.NewReader(body)}
	if fresh {
		in.IfNoneMatch = aws.String("*")
	}
	_, err := h.s3.PutObject(ctx, in)
	return err
}

const contestants = 3

// contest has several write the same key where there is none: one of them must win, and the others hear that they have not.
func (h *chores) contest(ctx context.Context) error {
	key := fmt.Sprint("contest ", h.round)
	c := h.cell(objectCell(h.s3, choreBucket, key))
	var errs [contestants]error
	var etags [contestants]string
	var wg sync.WaitGroup
	for i := range contestants {
		body := content(fmt.Sprint(key, i), 20_000*i)
		etags[i] = etagOf(body)
		wg.Go(func() { errs[i] = h.put(ctx, key, body, true) })
	}
	wg.Wait()
	won, cut := 0, error(nil)
	for i, err := range errs {
		switch status := statusOf(err); {
		case err == nil:
			won++
			c.known = etags[i]
		case status != http.StatusPreconditionFailed && status != http.StatusConflict:
			cut = err
			c.maybe = append(c.maybe, etags[i])
		}
	}
	switch {
	case won > 1 || won == 0 && cut == nil:
		return &refused{fmt.Errorf("%s: %d have won: %v", key, won, errs)}
	case won == 1:
		h.acks++
		c.maybe = nil // whoever was cut off comes too late
	}
	return cut
}

// upload writes a part of an upload twice, and completes the upload or gives it up.
func (h *chores) upload(ctx context.Context) error {
	key := fmt.Sprint("upload ", h.round)
	u, c, err := h.begin(ctx, key)
	if err != nil {
		return err
	}
	var body []byte
	for i := range 2 {
		body = content(fmt.Sprint(key, i), 50_000*(i+1))
		if err := h.part(ctx, u, c, body); err != nil {
			return err
		}
	}
	if h.round%2 == 0 {
		return h.do(c, func() error {
			_, err := h.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.bucket, Key: &key, UploadId: &u.id})
			return err
		}, uploadLine(none, none))
	}
	return h.do(c, func() error {
		_, err := u.complete(ctx, u.parts)
		return err
	}, uploadLine(none, partsETag(body)))
}

// begin begins an upload. One whose beginning was cut off is never heard of again.
func (h *chores) begin(ctx context.Context, key string) (*upload, *cell, error) {
	u := &upload{c: h.s3, bucket: choreBucket, key: key}
	out, err := h.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &u.bucket, Key: &key})
	if err != nil {
		return nil, nil, err
	}
	h.acks++
	u.id = aws.ToString(out.UploadId)
	c := h.cell(uploadCell(h.s3, u.bucket, key, u.id))
	c.known = uploadLine("[]", none)
	return u, c, nil
}

// part writes the first part.
func (h *chores) part(ctx context.Context, u *upload, c *cell, body []byte) error {
	number := int32(1)
	etag := etagOf(body)
	return h.do(c, func() error {
		out, err := u.c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, PartNumber: &number, Body: bytes.NewReader(body)})
		if err == nil {
			u.parts = []types.CompletedPart{{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32}}
		}
		return err
	}, uploadLine(fmt.Sprint([]string{fmt.Sprint(number, etag)}), none))
}

// overtaken completes an upload of two parts while one of them is written again, from time to time: the completion may
// have to be refused, in the middle of it.
func (h *chores) overtaken(ctx context.Context) error {
	if h.round%4 != 1 {
		return nil
	}
	key := fmt.Sprint("overtaken ", h.round)
	u, _, err := h.begin(ctx, key)
	if err != nil {
		return err
	}
	h.cells = h.cells[:len(h.cells)-1] // the two together are no operation that a cell knows
	first, second := content(key, minPart), []byte("second")
	var parts []types.CompletedPart
	for i, body := range [][]byte{first, second} {
		number := int32(i + 1)
		out, err := h.s3.UploadPart(ctx, &s3.UploadPartInput{Bucket: &u.bucket, Key: &key, UploadId: &u.id, PartNumber: &number, Body: bytes.NewReader(body)})
		if err != nil {
			return err
		}
		parts = append(parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		number := int32(2) // what it comes to is of no matter, only that it is under way
		_, _ = h.s3.UploadPart(ctx, &s3.UploadPartInput{Bucket: &u.bucket, Key: &key, UploadId: &u.id, PartNumber: &number, Body: bytes.NewReader(second)})
	})
	_, err = u.complete(ctx, parts)
	wg.Wait()
	want := []string{none, partsETag(first, second)}
	if err == nil {
		want = want[1:]
		h.acks++
	}
	object := h.cell(objectCell(h.s3, u.bucket, key))
	object.known, object.maybe = want[0], want[1:]
	if status := statusOf(err); status >= 400 && status < 500 {
		return nil // it was overtaken
	}
	return err
}

// buckets makes a bucket, configures it, begins an upload in it, and deletes it with that.
func (h *chores) buckets(ctx context.Context) error {
	name := fmt.Sprint("chores-", h.round)
	c, b := h.cell(bucketCell(h.s3, name)), &name
	for _, step := range []struct {
		to string
		do func() error
	}{
		{bucketLine(false, ""), func() error {
			_, err := h.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: b})
			return err
		}},
		{bucketLine(true, ""), func() error {
			_, err := h.s3.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: b, CORSConfiguration: &types.CORSConfiguration{
				CORSRules: []types.CORSRule{{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}}}}})
			return err
		}},
		{bucketLine(true, "Enabled"), func() error {
			_, err := h.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
			return err
		}},
		{bucketLine(true, "Enabled"), func() error {
			_, err := h.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: b, Key: aws.String("begun")})
			return err
		}},
		{none, func() error {
			_, err := h.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: b})
			return err
		}},
	} {
		if err := h.do(c, step.do, step.to); err != nil {
			return err
		}
	}
	return nil
}

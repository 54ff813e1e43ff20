package compattests

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// openEnd is the time at which an operation without an answer ends: never.
const openEnd = math.MaxInt64

// answerLimit is how long a client waits for an answer; then the answer is lost.
const answerLimit = 20 * time.Second

// contest is one round: clients that contend for a few keys of one bucket, and what they saw.
type contest struct {
	shape
	s3     *s3.Client
	bucket string
	mode   mode
	began  time.Time
	writes *writes
	first  map[string]state // what each key held before the round
	// outage is held while the store is down, so that clients wait for it after an error.
	outage sync.RWMutex

	mu      sync.Mutex
	history map[string][]porcupine.Operation // by key
	seen    map[string][]version             // versions of a key that some answer named
	wrong   []error                          // answers that no history excuses
}

// writes numbers all writes of a test, and knows which body each ETag belongs to.
type writes struct {
	seed   uint64
	next   atomic.Int64
	byETag sync.Map // ETag to number
	etags  sync.Map // number to ETag
}

// make returns a new write's number and body. Most are small; some get a file of their own.
func (w *writes) make(choices *rand.Rand) (int, []byte) {
	n := int(w.next.Add(1))
	size := 1 + choices.IntN(2000)
	if choices.IntN(40) == 0 {
		size = 1<<20 + choices.IntN(100_000)
	}
	return n, content(fmt.Sprint("linear", w.seed, "/", n), size)
}

func (w *writes) know(n int, etag string) {
	w.byETag.Store(etag, n)
	w.etags.Store(n, etag)
}

func (w *writes) etag(n int) *string {
	etag, _ := w.etags.Load(n)
	return aws.String(etag.(string))
}

// find returns the write that an answer shows; an ETag that nobody made is -1.
func (w *writes) find(etag *string) int {
	if n, ok := w.byETag.Load(aws.ToString(etag)); ok {
		return n.(int)
	}
	return -1
}

// contender is one client.
type contender struct {
	*contest
	choices *rand.Rand
}

// step makes one random request for a key.
func (c *contender) step(key string) {
	switch dice := c.choices.IntN(100); {
	case dice < 45:
		c.write(key)
	case dice < 57:
		in := asked{action: doDelete, write: int(c.writes.next.Add(1))}
		if c.choices.IntN(2) == 0 {
			in.ifMatch = c.guess(key)
		}
		c.run(key, in, c.remove)
	case dice < 82 || c.mode == unversioned:
		c.run(key, asked{action: doRead}, c.read)
	case dice < 87:
		c.run(key, asked{action: doList}, c.list)
	default:
		id := c.someVersion(key)
		switch {
		case id == "":
			c.run(key, asked{action: doRead}, c.read)
		case c.choices.IntN(3) == 0:
			c.run(key, asked{action: doDeleteVersion, version: id}, c.removeVersion)
		default:
			c.run(key, asked{action: doReadVersion, version: id}, c.read)
		}
	}
}

// write puts an object in one of three ways, with a condition or without.
func (c *contender) write(key string) {
	n, body := c.writes.make(c.choices)
	in := asked{action: doPut, write: n}
	switch c.choices.IntN(3) {
	case 0:
		in.ifNone = true
	case 1:
		in.ifMatch = c.guess(key)
	}
	send, ok := c.put(body), true
	switch c.choices.IntN(5) {
	case 0:
		send, ok = c.copy(n, body)
	case 1:
		send, ok = c.complete(key, n, body)
	default:
		c.writes.know(n, etagOf(body))
	}
	if ok {
		c.run(key, in, send)
	}
}

// guess returns a write whose ETag may be the key's: mostly the last one that anybody saw.
func (c *contender) guess(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	var known []int
	for _, v := range c.seen[key] {
		if v.write > 0 {
			known = append(known, v.write)
		}
	}
	switch {
	case len(known) == 0:
		return 0
	case c.choices.IntN(4) == 0:
		return known[c.choices.IntN(len(known))]
	}
	return known[len(known)-1]
}

// someVersion returns the id of a version that was seen; "" where none was.
func (c *contender) someVersion(key string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen[key]) == 0 {
		return ""
	}
	return c.seen[key][c.choices.IntN(len(c.seen[key]))].id
}

// sender makes the request and returns what the answer says where it is 2xx.
type sender func(ctx context.Context, key string, in asked) (answered, error)

// run makes a request and records it.
func (c *contest) run(key string, in asked, send sender) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	o := porcupine.Operation{Input: in, Call: int64(time.Since(c.began))}
	out, err := send(ctx, key, in)
	o.Return = int64(time.Since(c.began))
	if err != nil {
		out = c.refused(key, in, err)
	}
	o.Output = out
	isRead := in.action == doRead || in.action == doReadVersion || in.action == doList
	if out.result == lost {
		o.Return = openEnd
		c.outage.RLock()
		defer c.outage.RUnlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if out.result == lost && isRead {
		return // it says nothing
	}
	c.history[key] = append(c.history[key], o)
	if n := out.write; n < 0 {
		c.wrong = append(c.wrong, fmt.Errorf("%s: %+v found what nobody wrote", key, in))
	}
	if in.action == doPut {
		out.write = in.write
	}
	if c.mode == suspended && out.write > 0 && out.version == "" {
		out.version = nullVersion
	}
	if out.result == done && (out.write > 0 || out.version != "") {
		c.seen[key] = append(c.seen[key], version{out.version, out.write})
	}
}

// refused turns an error into an answer.
func (c *contest) refused(key string, in asked, err error) answered {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return answered{result: lost}
	}
	conditional := in.ifNone || in.ifMatch != 0
	switch status, code := statusOf(err), api.ErrorCode(); {
	case status >= 500:
		return answered{result: lost}
	case code == "PreconditionFailed":
		return answered{result: failed}
	case code == "ConditionalRequestConflict" && conditional:
		return answered{result: conflicted}
	case status == http.StatusMethodNotAllowed:
		return answered{result: isMarker}
	case status == http.StatusNotFound && code != "NoSuchBucket" && code != "NoSuchUpload":
		out := answered{result: absent}
		var resp *smithyhttp.ResponseError
		if errors.As(err, &resp) && in.action == doRead {
			out.version, out.marker = resp.Response.Header.Get("X-Amz-Version-Id"), resp.Response.Header.Get("X-Amz-Delete-Marker") == "true"
		}
		return out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong = append(c.wrong, fmt.Errorf("%s: %+v: %w", key, in, err))
	return answered{result: lost}
}

// conditions are the headers of an operation; nil where there is none.
func (c *contest) conditions(in asked) (match, noneMatch *string) {
	if in.ifMatch != 0 {
		match = c.writes.etag(in.ifMatch)
	}
	if in.ifNone {
		noneMatch = aws.String("*")
	}
	return match, noneMatch
}

func (c *contest) put(body []byte) sender {
	return func(ctx context.Context, key string, in asked) (answered, error) {
		match, none := c.conditions(in)
		out, err := c.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.bucket, Key: &key, Body: bytes.NewReader(body), IfMatch: match, IfNoneMatch: none})
		if err != nil {
			return answered{}, err
		}
		return answered{result: done, version: aws.ToString(out.VersionId)}, nil
	}
}

// copy stores the body under a key of its own and returns a copy of that; ok is false when the store went down before.
func (c *contest) copy(n int, body []byte) (send sender, ok bool) {
	source := fmt.Sprint("source/", n)
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	if _, err := c.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.bucket, Key: &source, Body: bytes.NewReader(body)}); err != nil {
		return nil, false
	}
	c.writes.know(n, etagOf(body))
	return func(ctx context.Context, key string, in asked) (answered, error) {
		match, none := c.conditions(in)
		out, err := c.s3.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &c.bucket, Key: &key, CopySource: aws.String(c.bucket + "/" + source), IfMatch: match, IfNoneMatch: none})
		if err != nil {
			return answered{}, err
		}
		return answered{result: done, version: aws.ToString(out.VersionId)}, nil
	}, true
}

// complete stores the body as the part of an upload and returns its completion; ok as for copy.
func (c *contest) complete(key string, n int, body []byte) (send sender, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	up, err := c.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &c.bucket, Key: &key})
	if err != nil {
		return nil, false
	}
	part, err := c.s3.UploadPart(ctx, &s3.UploadPartInput{Bucket: &c.bucket, Key: &key, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(body)})
	if err != nil {
		return nil, false
	}
	c.writes.know(n, partsETag(body))
	return func(ctx context.Context, key string, in asked) (answered, error) {
		match, none := c.conditions(in)
		out, err := c.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &c.bucket, Key: &key, UploadId: up.UploadId, IfMatch: match, IfNoneMatch: none,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32}}}})
		if err != nil {
			return answered{}, err
		}
		return answered{result: done, version: aws.ToString(out.VersionId)}, nil
	}, true
}

func (c *contest) remove(ctx context.Context, key string, in asked) (answered, error) {
	match, _ := c.conditions(in)
	out, err := c.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &c.bucket, Key: &key, IfMatch: match})
	if err != nil {
		return answered{}, err
	}
	return answered{result: done, version: aws.ToString(out.VersionId), marker: aws.ToBool(out.DeleteMarker)}, nil
}

func (c *contest) removeVersion(ctx context.Context, key string, in asked) (answered, error) {
	out, err := c.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &c.bucket, Key: &key, VersionId: &in.version})
	if err != nil {
		return answered{}, err
	}
	return answered{result: done, version: aws.ToString(out.VersionId), marker: aws.ToBool(out.DeleteMarker)}, nil
}

// read gets an object, or in one of three cases asks for its head only. The bytes must be those of the ETag.
func (c *contender) read(ctx context.Context, key string, in asked) (answered, error) {
	var id *string
	if in.version != "" {
		id = &in.version
	}
	if c.choices.IntN(3) == 0 {
		out, err := c.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &c.bucket, Key: &key, VersionId: id})
		if err != nil {
			return answered{}, err
		}
		return answered{result: done, write: c.writes.find(out.ETag), version: aws.ToString(out.VersionId)}, nil
	}
	out, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.bucket, Key: &key, VersionId: id})
	if err != nil {
		return answered{}, err
	}
	var body bytes.Buffer
	_, err = body.ReadFrom(out.Body)
	if err := errors.Join(err, out.Body.Close()); err != nil {
		return answered{}, err
	}
	etag := aws.ToString(out.ETag)
	if etag != etagOf(body.Bytes()) && etag != partsETag(body.Bytes()) {
		return answered{result: done, write: -1}, nil
	}
	return answered{result: done, write: c.writes.find(out.ETag), version: aws.ToString(out.VersionId)}, nil
}

// list lists the versions of one key, of which there are no more than fit one page. It reads the document itself: the
// SDK keeps versions and delete markers apart, and their order is what matters.
func (c *contest) list(ctx context.Context, key string, _ asked) (answered, error) {
	var page struct {
		IsTruncated bool
		Entries     []struct {
			XMLName   xml.Name
			ETag      string
			VersionId string
		} `xml:",any"`
	}
	capture := func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Deserialize.Add(documentOf(&page), middleware.After)
		})
	}
	if _, err := c.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &c.bucket, Prefix: &key}, capture); err != nil {
		return answered{}, err
	}
	if page.IsTruncated {
		return answered{}, errors.New("more versions than one page holds")
	}
	out := answered{result: done}
	for _, e := range page.Entries {
		switch e.XMLName.Local {
		case "Version":
			out.listed = append(out.listed, version{e.VersionId, c.writes.find(&e.ETag)})
		case "DeleteMarker":
			out.listed = append(out.listed, version{id: e.VersionId})
		}
	}
	return out, nil
}

// documentOf decodes the XML of an answer into doc, beside what the SDK makes of it.
func documentOf(doc any) middleware.DeserializeMiddleware {
	return middleware.DeserializeMiddlewareFunc("document", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		if resp, ok := out.RawResponse.(*smithyhttp.Response); ok && err == nil {
			body, rerr := io.ReadAll(resp.Body)
			err = errors.Join(rerr, resp.Body.Close(), xml.Unmarshal(body, doc))
			resp.Body = io.NopCloser(bytes.NewReader(body))
		}
		return out, metadata, err
	})
}

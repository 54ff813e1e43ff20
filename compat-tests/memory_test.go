package compattests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	mostParts     = 10_000 // that an upload may have
	crowd         = 32     // clients at once
	mostDeletions = 1000   // keys of one DeleteObjects
)

// together calls each for every number below count, from as many goroutines as there are clients.
func together(clients, count int, each func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				each(i)
			}
		})
	}
	wg.Wait()
}

// mustTogether is together for what may fail the test: then no more of it is begun, and the test ends.
func mustTogether(t testing.TB, clients, count int, each func(i int)) {
	t.Helper()
	together(clients, count, func(i int) {
		if !t.Failed() {
			each(i)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
}

// TestMemoryOfManyParts sends an upload of 10,000 parts, lists them and lets several clients try to complete it at once.
// The parts are as small as can be, which nobody may complete: what counts is the work up to the answer, which reads and
// checks all of them. Then it completes an object of as many legal parts as there is time for.
//
// Covers: UploadPart, UploadPartCopy, ListParts, CompleteMultipartUpload.
func TestMemoryOfManyParts(t *testing.T) {
	legal := sizeFromEnv(t, "TDKVS_MEMORY_PARTS", 20)
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		u := beginUpload(t, c, bucket(t, c, "parts"), "of many parts")
		u.parts = d.uploadTinyParts(t, u)
		listed := 0
		for pages := s3.NewListPartsPaginator(c, &s3.ListPartsInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			listed += len(page.Parts)
		}
		if listed != mostParts {
			t.Errorf("listed %d parts", listed)
		}
		together(crowd, 2*crowd, func(int) {
			_, err := u.complete(ctx, u.parts)
			wantCode(t, "complete tiny parts", err, "EntityTooSmall", http.StatusBadRequest)
		})
		d.checkMemory(t, memoryBar)
		d.completeLegalParts(t, c, u.bucket, legal)
		d.checkMemory(t, memoryBar)
	})
}

// uploadTinyParts uploads parts 1 to 10,000, of one byte each.
func (d *deployment) uploadTinyParts(t *testing.T, u *upload) []types.CompletedPart {
	t.Helper()
	parts := make([]types.CompletedPart, mostParts)
	web, signer := d.httpClient(t, crowd), s3.NewPresignClient(u.c)
	began := time.Now()
	together(crowd, mostParts, func(i int) {
		number, body := int32(i+1), []byte{byte(i)}
		signed, err := signer.PresignUploadPart(t.Context(), &s3.UploadPartInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, PartNumber: &number})
		if err == nil {
			err = request(web, http.MethodPut, signed.URL, body)
		}
		if err != nil {
			t.Errorf("part %d: %v", number, err)
		}
		parts[i] = types.CompletedPart{PartNumber: &number, ETag: aws.String(etagOf(body))}
	})
	t.Logf("%d parts in %v", mostParts, time.Since(began).Round(time.Millisecond))
	if t.Failed() {
		t.FailNow()
	}
	return parts
}

// completeLegalParts makes an object of parts of 5 MiB, each a copy of one source, and reads all of it.
func (d *deployment) completeLegalParts(t *testing.T, c *s3.Client, b string, count int) {
	t.Helper()
	ctx, source := t.Context(), content("source", minPart)
	put(t, c, b, "source", source)
	u := beginUpload(t, c, b, "of legal parts")
	u.parts = make([]types.CompletedPart, count)
	together(8, count, func(i int) {
		number := int32(i + 1)
		out, err := c.UploadPartCopy(ctx, &s3.UploadPartCopyInput{Bucket: &b, Key: &u.key, UploadId: &u.id, PartNumber: &number, CopySource: aws.String(b + "/source")})
		if err != nil {
			t.Errorf("part %d: %v", number, err)
			return
		}
		u.parts[i] = types.CompletedPart{PartNumber: &number, ETag: out.CopyPartResult.ETag, ChecksumCRC32: out.CopyPartResult.ChecksumCRC32}
	})
	if _, err := u.complete(ctx, u.parts); err != nil {
		t.Fatal(err)
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &u.key})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Body.Close() }() // read to its end
	got := make([]byte, minPart)
	for i := range count {
		if _, err := io.ReadFull(out.Body, got); err != nil || !bytes.Equal(got, source) {
			t.Fatalf("part %d of the object: %v, the source's bytes: %v", i+1, err, bytes.Equal(got, source))
		}
	}
	if n, err := io.Copy(io.Discard, out.Body); n != 0 || err != nil {
		t.Errorf("%d bytes behind the last part, %v", n, err)
	}
}

// TestMemoryOfManyDeletions lets 32 clients delete up to 1,000 objects each in one request, all at the same time.
//
// Covers: DeleteObjects.
func TestMemoryOfManyDeletions(t *testing.T) {
	each := min(mostDeletions, sizeFromEnv(t, "TDKVS_MEMORY_DELETIONS", 200))
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c := d.sdk(t)
		d.deleteMany(t, c, bucket(t, c, "deletions"), each)
		d.checkMemory(t, memoryBar)
	})
}

// deleteMany makes the objects, with long keys, and deletes them.
func (d *deployment) deleteMany(t *testing.T, c *s3.Client, b string, each int) {
	t.Helper()
	key := func(i int) string { return fmt.Sprintf("%0900d", i) }
	web, signer := d.httpClient(t, crowd), s3.NewPresignClient(c)
	together(crowd, crowd*each, func(i int) {
		signed, err := signer.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: aws.String(key(i))})
		if err == nil {
			err = request(web, http.MethodPut, signed.URL, []byte("x"))
		}
		if err != nil {
			t.Error(err)
		}
	})
	began := time.Now()
	together(crowd, crowd, func(client int) {
		del := &types.Delete{}
		for i := range each {
			del.Objects = append(del.Objects, types.ObjectIdentifier{Key: aws.String(key(client*each + i))})
		}
		out, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: &b, Delete: del})
		if err != nil || len(out.Deleted) != each || len(out.Errors) != 0 {
			t.Errorf("client %d: %+v, %v", client, out, err)
		}
	})
	t.Logf("%d clients deleted %d objects each in %v", crowd, each, time.Since(began).Round(time.Millisecond))
	if left := listAll(t, c, b); len(left) != 0 {
		t.Errorf("%d objects are left", len(left))
	}
}

// TestMemoryOfManyBodies lets many clients send objects of 1 MiB at the same time, which all stop before the last byte
// and then go on; and lets as many ask for such objects and not read them. However slow clients are, the store must not
// hold their bodies for them.
//
// Covers: PutObject, GetObject.
func TestMemoryOfManyBodies(t *testing.T) {
	clients := sizeFromEnv(t, "TDKVS_MEMORY_CLIENTS", 256)
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, body := d.sdk(t), content("body", 1<<20)
		b, signer, web := bucket(t, c, "bodies"), s3.NewPresignClient(c), d.httpClient(t, clients)
		key := func(i int) *string { return aws.String(fmt.Sprint("body ", i)) }
		goOn := make(chan struct{})
		var arrived, finished sync.WaitGroup
		for i := range clients {
			signed, err := signer.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: key(i)})
			if err != nil {
				t.Fatal(err)
			}
			arrived.Add(1)
			finished.Go(func() {
				slow := &pausingReader{rest: body, pause: len(body) - 1, paused: arrived.Done, goOn: goOn}
				if err := putSlowly(web, signed.URL, slow, len(body)); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			})
		}
		arrived.Wait()
		d.checkMemory(t, memoryBar)
		close(goOn)
		finished.Wait()
		d.checkMemory(t, memoryBar)
		open := make([]io.ReadCloser, clients)
		for i := range open {
			out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: key(i)})
			if err != nil {
				t.Fatal(err)
			}
			open[i] = out.Body
		}
		d.checkMemory(t, memoryBar)
		for i, one := range open {
			sameBytes(t, *key(i), drain(t, one), body)
		}
	})
}

// pausingReader is a body that waits before one of its bytes.
type pausingReader struct {
	rest   []byte
	pause  int // bytes until then
	paused func()
	goOn   <-chan struct{}
}

func (r *pausingReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	if r.pause == 0 {
		r.paused()
		<-r.goOn
		r.pause = len(r.rest)
	}
	n := copy(p, r.rest[:r.pause])
	r.rest, r.pause = r.rest[n:], r.pause-n
	return n, nil
}

// putSlowly sends a body of this many bytes.
func putSlowly(web *http.Client, url string, body io.Reader, size int) error {
	req, err := http.NewRequest(http.MethodPut, url, body)
	if err != nil {
		return err
	}
	req.ContentLength = int64(size)
	resp, err := web.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // says nothing more
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusServiceUnavailable:
		return errBusy
	}
	return errors.New(resp.Status)
}

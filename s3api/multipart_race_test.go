package s3api_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// partInFlight starts a part whose body is sent when release is called, which
// returns its answer.
func (u *upload) partInFlight(number, body string) (release func() *result) {
	u.s.t.Helper()
	reader, writer := io.Pipe()
	r := u.s.new(request{method: "PUT", path: u.path + "?partNumber=" + number + "&uploadId=" + u.id, reader: reader})
	done := make(chan *result, 1)
	started := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := u.s.client.Do(r)
		if err != nil {
			u.s.t.Error(err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		done <- &result{t: u.s.t, status: resp.StatusCode, header: resp.Header, body: string(text), err: err}
	}()
	go func() { // the first half: whoever took it is at work on the part
		defer close(started)
		_, _ = io.WriteString(writer, body[:len(body)/2])
	}()
	<-started
	return func() *result {
		_, _ = io.WriteString(writer, body[len(body)/2:]) // a server that has answered need not read
		_ = writer.Close()
		if res := <-done; res != nil {
			return res
		}
		u.s.t.FailNow()
		return nil
	}
}

// TestPartAcrossAnEnd: a part that is on its way when its upload ends is refused, and
// is not seen anywhere.
//
// Covers: UploadPart, AbortMultipartUpload, CompleteMultipartUpload.
func TestPartAcrossAnEnd(t *testing.T) {
	t.Parallel()
	for _, complete := range []bool{false, true} {
		s := newServer(t)
		s.bucket("bkt")
		u := s.upload("/bkt/key")
		u.part(1, "one").want(200)
		release := u.partInFlight("1", strings.Repeat("late", 1<<20))
		if complete {
			u.complete(completeDoc(1, etagOf("one"))).want(200)
		} else {
			s.delete("/bkt/key?uploadId=" + u.id).want(204)
		}
		release().wantError(404, "NoSuchUpload", "", "UploadId", u.id)
		u.part(2, "after").wantError(404, "NoSuchUpload", "")
		s.delete("/bkt/key?uploadId="+u.id).wantError(404, "NoSuchUpload", "")
		if complete {
			s.get("/bkt/key").want(200).wantBody("one")
			s.delete("/bkt/key").want(204)
		}
		s.get("/bkt?uploads").want(200).wantXML("<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>")
		s.delete("/bkt").want(204) // nothing is left that would hold it
	}
}

// TestCompleteAgainstAbort: one of them wins, and the other says so.
//
// Covers: CompleteMultipartUpload, AbortMultipartUpload.
func TestCompleteAgainstAbort(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	for range 20 {
		u := s.upload("/bkt/key")
		u.part(1, "one").want(200)
		requests := []*http.Request{
			s.new(request{method: "POST", path: "/bkt/key?uploadId=" + u.id, body: completeDoc(1, etagOf("one"))}),
			s.new(request{method: "DELETE", path: "/bkt/key?uploadId=" + u.id}),
		}
		status := make([]int, len(requests))
		var wg sync.WaitGroup
		for i, r := range requests {
			wg.Go(func() {
				resp, err := s.client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				status[i] = resp.StatusCode
			})
		}
		wg.Wait()
		switch {
		case status[0] == 200 && status[1] == 404:
			s.get("/bkt/key").want(200).wantBody("one")
			s.delete("/bkt/key").want(204)
		case status[0] == 404 && status[1] == 204:
			s.get("/bkt/key").wantError(404, "NoSuchKey", "")
		default:
			t.Errorf("complete %d, abort %d", status[0], status[1])
		}
	}
	s.delete("/bkt").want(204)
}

// TestPartAgain: the last part of a number counts, and only it.
//
// Covers: UploadPart, CompleteMultipartUpload, ListParts.
func TestPartAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	u := s.upload("/bkt/key")
	for _, body := range []string{"first", "second"} {
		u.part(1, body).want(200).wantHeader("ETag", etagOf(body))
	}
	s.get("/bkt/key?uploadId="+u.id).want(200).wantXML("<Part><PartNumber>1</PartNumber>", "<Size>6</Size></Part></ListPartsResult>")
	u.complete(completeDoc(1, etagOf("first"))).wantError(400, "InvalidPart", "", "PartNumber", "1", "ETag", strings.Trim(etagOf("first"), `"`))
	u.complete(completeDoc(1, strings.ToUpper(etagOf("second")))).want(200)
	s.get("/bkt/key").want(200).wantBody("second").wantHeader("ETag", multipartETag("second"))
}

// TestTwoUploadsOfAKey: of two uploads of a key each makes its own object, the later
// completion the current one.
//
// Covers: CreateMultipartUpload, CompleteMultipartUpload.
func TestTwoUploadsOfAKey(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	first, second := s.upload("/bkt/key"), s.upload("/bkt/key")
	first.part(1, "first").want(200)
	second.part(1, "second").want(200)
	second.complete(completeDoc(1, etagOf("first"))).wantError(400, "InvalidPart", "")
	second.complete(completeDoc(1, etagOf("second"))).want(200)
	s.get("/bkt/key").want(200).wantBody("second")
	first.complete(completeDoc(1, etagOf("first"))).want(200)
	s.get("/bkt/key").want(200).wantBody("first")
	// The object of the other is gone; its completion is told again nonetheless, or
	// a client that did not see the answer would take it for failed.
	second.complete(completeDoc(1, etagOf("second"))).want(200).wantXML(strings.Trim(multipartETag("second"), `"`))
	s.get("/bkt/key").want(200).wantBody("first")
}

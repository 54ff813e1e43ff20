package s3api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
)

// TestPostObjectTail: what follows the file is ignored.
func TestPostObjectTail(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	field := func(name, value string) string {
		return "--" + formBoundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	end := "--" + formBoundary + "--"
	for i, tail := range []string{
		end, end + "\r\n", end + " \t\r\n", end + "\r\nand more\r\n" + field("file", "x"), end + "garbage",
		field("submit", "Upload") + end + "\r\n", field("acl", "public-read") + field("x", strings.Repeat("y", 1<<20)) + end,
		field("x", "never ends"), "--" + formBoundary + "\r\n", "--" + formBoundary + "\r\nno header\r\n\r\n",
		"--" + formBoundary + "\r\nX: " + strings.Repeat("y", 100<<10) + "\r\n\r\nz" + end,
	} {
		u := s.form("bkt", "key", "k")
		u.file, u.tail = fmt.Sprintf("content %d\r\n--%s", i, formBoundary[:4]), tail
		if r := u.send(); r.status != 204 {
			t.Errorf("%d: %d %s", i, r.status, r.body)
			continue
		}
		s.get("/bkt/k").want(200).wantBody(u.file)
	}
}

// TestPostObjectPreface: what stands before the file is bounded, however it is
// spread over names, values and headers.
func TestPostObjectPreface(t *testing.T) {
	t.Parallel()
	const tooLong = "Your POST request fields preceding the upload file were too large."
	s := newServer(t)
	s.bucket("bkt")
	long := func(n int) string { return strings.Repeat("x", n) }
	u := s.form("bkt", "key", "k")
	u.fields = append(u.fields, [2]string{"x-ignore-a", long(18 << 10)})
	u.send().want(204)
	for name, fields := range map[string][][2]string{
		"value": {{"x-ignore-a", long(20 << 10)}}, "name": {{"x-ignore-" + long(20<<10), ""}}, "huge": {{"x-ignore-a", long(2 << 20)}},
		"many": slices.Repeat([][2]string{{"x-ignore-a", ""}}, 400), "spread": {{"x-ignore-a", long(10 << 10)}, {"x-ignore-b", long(10 << 10)}},
		"header": {{"x-ignore-a\"\r\nX-Long: " + long(30<<10) + "\r\nX-Quote: \"", ""}},
	} {
		u := s.form("bkt", "key", "k")
		u.fields = append(u.fields, fields...)
		if r := u.send(); r.status != 400 || !strings.Contains(r.body, "MaxPostPreDataLengthExceededError") {
			t.Errorf("%s: %d %.300s", name, r.status, r.body)
		} else {
			r.wantError(400, "MaxPostPreDataLengthExceededError", tooLong, "MaxPostPreDataLengthBytes", "20480")
		}
	}
	// A file under another name is a field like any other.
	u = s.form("bkt", "key", "k")
	u.fields, u.noFile = append(u.fields, [2]string{"upload", long(30 << 10)}), true
	u.send().wantError(400, "MaxPostPreDataLengthExceededError", tooLong)
	u = s.form("bkt", "key", "k")
	u.fields = append(u.fields, [2]string{"", long(30 << 10)})
	u.send().wantError(400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
}

// TestPostObjectStreams: the file goes on to the store while the client is still
// sending it, in HTTP chunks, and a client that goes away leaves nothing.
func TestPostObjectStreams(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.bucket("bkt")
	seen := make(chan struct{})
	put := s.hooks.Backend.PutObject
	s.hooks.putObject = func(ctx context.Context, rq meta.PutRequest, p meta.Payload) (meta.Object, error) {
		first := make([]byte, 1<<20)
		if _, err := io.ReadFull(p, first); err != nil {
			return meta.Object{}, err
		}
		close(seen)
		return put(ctx, rq, rest{p, io.MultiReader(bytes.NewReader(first), p)})
	}
	head, tail, _ := strings.Cut(s.form("bkt", "key", "big").body(), "content")
	post := func(body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.http.URL+"/bkt", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary="+formBoundary)
		return r
	}
	block := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	wait := func(string) error {
		select {
		case <-seen:
			return nil
		case <-time.After(20 * time.Second):
			return errors.New("the store has not seen the beginning of the file")
		}
	}
	s.send(post(&steps{text: []string{head, block, block, block[:7] + tail}, before: map[int]func(string) error{3: wait}})).want(204)
	s.hooks.putObject = nil
	s.get("/bkt/big").want(200).wantBody(block + block + block[:7])

	gone := errors.New("gone")
	resp, err := s.client.Do(post(&steps{text: []string{head, block, tail}, before: map[int]func(string) error{2: func(string) error { return gone }}}))
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("a request without its end was answered")
	}
	s.lastInfo()
	s.get("/bkt/big").want(200).wantBody(block + block + block[:7])
}

// rest is a payload whose beginning was read.
type rest struct {
	meta.Payload
	r io.Reader
}

func (r rest) Read(b []byte) (int, error) { return r.r.Read(b) }

// steps reads several texts, and does something before some of them.
type steps struct {
	text   []string
	before map[int]func(string) error
	n      int
}

func (s *steps) Read(b []byte) (int, error) {
	if s.n == len(s.text) {
		return 0, io.EOF
	}
	if f := s.before[s.n]; f != nil {
		if err := f(s.text[s.n]); err != nil {
			return 0, err
		}
		delete(s.before, s.n)
	}
	n := copy(b, s.text[s.n])
	if s.text[s.n] = s.text[s.n][n:]; s.text[s.n] == "" {
		s.n++
	}
	return n, nil
}

// TestPostObjectMemory: a form never holds a large file. It does not run beside
// others, for it counts what is allocated.
func TestPostObjectMemory(t *testing.T) {
	s := newServer(t)
	s.bucket("bkt")
	s.hooks.putObject = func(_ context.Context, rq meta.PutRequest, p meta.Payload) (meta.Object, error) {
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{p}, make([]byte, 256<<10))
		return meta.Object{Bucket: rq.Bucket, Key: rq.Key, Size: n, Digests: p.Digests()}, err
	}
	head, tail, _ := strings.Cut(s.form("bkt", "key", "big").body(), "content")
	allocated := func(size int64) uint64 {
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.http.URL+"/bkt",
			io.MultiReader(strings.NewReader(head), io.LimitReader(zeros{}, size), strings.NewReader(tail)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary="+formBoundary)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.send(r).want(204)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1 << 20) // warms the pools, which the race detector makes leak
	if n := allocated(128 << 20); n > 64<<20 {
		t.Errorf("a file of 128 MiB takes %d bytes of memory", n)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

package backup

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tdkvs/s3api/sigv4"
)

// fakeBucket serves one bucket, "b", in pages of 3.
type fakeBucket struct {
	mu    sync.Mutex
	files map[string][]byte
	fail  func(r *http.Request) (status int, code string) // 0: serve it
	asked int
}

func newFakeBucket(t *testing.T) (*fakeBucket, *S3) {
	t.Helper()
	f := &fakeBucket{files: map[string][]byte{"other/x": nil}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	s, err := NewS3(S3Config{
		Endpoint: server.URL, Bucket: "b", Prefix: "some/prefix", Region: "r", Credentials: sigv4.Credentials{AccessKey: "a", SecretKey: "s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.pause = time.Microsecond
	return f, s
}

func (f *fakeBucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	body, _ := io.ReadAll(r.Body)
	if f.fail != nil {
		if status, code := f.fail(r); status != 0 {
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
			return
		}
	}
	key, ok := strings.CutPrefix(r.URL.Path, "/b/")
	content, there := f.files[key]
	switch {
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=a/"):
		w.WriteHeader(http.StatusForbidden)
	case !ok && r.URL.Path == "/b" && r.URL.Query().Get("list-type") == "2":
		f.list(w, r)
	case r.Method == http.MethodPut:
		f.files[key] = body
	case r.Method == http.MethodDelete:
		delete(f.files, key)
		w.WriteHeader(http.StatusNoContent)
	case !there:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
	default:
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(content)))
	}
}

func (f *fakeBucket) list(w http.ResponseWriter, r *http.Request) {
	type object struct {
		Key          string
		Size         int
		LastModified time.Time
	}
	var page struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Contents              []object
		IsTruncated           bool
		NextContinuationToken string
	}
	for _, k := range slices.Sorted(maps.Keys(f.files)) {
		if !strings.HasPrefix(k, r.URL.Query().Get("prefix")) || k <= r.URL.Query().Get("continuation-token") {
			continue
		}
		if len(page.Contents) == 3 {
			page.IsTruncated, page.NextContinuationToken = true, page.Contents[2].Key
			break
		}
		page.Contents = append(page.Contents, object{k, len(f.files[k]), time.Unix(1e9, 0).UTC()})
	}
	_ = xml.NewEncoder(w).Encode(page)
}

// TestBucket: backups in a bucket, through an endpoint that is busy now and then.
func TestBucket(t *testing.T) {
	t.Parallel()
	b, s := newFakeBucket(t)
	f, at := newFakeStore(), newClock()
	f.fill()
	b.fail = func(*http.Request) (int, string) {
		if b.asked%3 == 0 {
			return http.StatusServiceUnavailable, "SlowDown"
		}
		return 0, ""
	}
	first, _ := mustCreate(t, s, f, Options{Clock: at.now})
	f.add("more", random(7, 100))
	second, _ := mustCreate(t, s, f, Options{Clock: at.now})
	if second.NewBytes != 100 {
		t.Errorf("%d bytes are new", second.NewBytes)
	}
	wantBackup(t, s, nil, "", f.want())
	wantVerified(t, s, nil)
	done, err := Prune(t.Context(), s, 1)
	if err != nil || len(done.Removed) != 1 || done.Removed[0] != first.ID {
		t.Errorf("%+v, %v", done, err)
	}
	wantBackup(t, s, nil, "", f.want())
	for name := range b.files {
		if strings.Contains(name, "locks/") {
			t.Errorf("%s is left", name)
		}
	}
	if _, ok := b.files["other/x"]; !ok {
		t.Error("something outside of the prefix was removed")
	}
}

// TestBucketRefuses: what an endpoint refuses is said at once, in its words; what
// is no listing or too much is noticed.
func TestBucketRefuses(t *testing.T) {
	t.Parallel()
	b, s := newFakeBucket(t)
	for _, refusal := range []struct {
		status int
		code   string
		asked  int
	}{{403, "AccessDenied", 1}, {404, "NoSuchBucket", 1}, {500, "InternalError", s3Attempts}} {
		b.asked = 0
		b.fail = func(*http.Request) (int, string) { return refusal.status, refusal.code }
		_, _, err := Create(t.Context(), s, newFakeStore(), Options{})
		if err == nil || !strings.Contains(err.Error(), refusal.code) || b.asked != refusal.asked {
			t.Errorf("%s: %v, asked %d times", refusal.code, err, b.asked)
		}
	}
	b.fail = nil
	if err := s.Put(t.Context(), "x", []byte("four")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "x", 3); !errors.Is(err, ErrDamaged) {
		t.Errorf("longer than it may be: %v", err)
	}
	if _, err := s.GetRange(t.Context(), "x", 2, 3); !errors.Is(err, ErrDamaged) {
		t.Errorf("shorter than it should be: %v", err)
	}
	if _, err := s.Get(t.Context(), "y", 3); !absent(err) {
		t.Errorf("what is not there: %v", err)
	}
	for _, endpoint := range []string{"", "example.com", "ftp://example.com", "http://"} {
		if _, err := NewS3(S3Config{Endpoint: endpoint}); err == nil {
			t.Errorf("endpoint %q", endpoint)
		}
	}
}

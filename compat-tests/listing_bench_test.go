package compattests

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestListingSpeed lists many small objects under a thousand prefixes, flat and by prefix, checks that every key is
// there once and in order, and logs how long that took. TDKVS_LIST_KEYS says how many objects; TDKVS_LIST_DIR names a
// directory that keeps them for the next run, for loading a million takes minutes.
func TestListingSpeed(t *testing.T) {
	count := sizeFromEnv(t, "TDKVS_LIST_KEYS", 4000)
	d := startDeployment(t, serverKind, settings{dir: os.Getenv("TDKVS_LIST_DIR")})
	d.loadListed(t, count)
	l := &lister{d: d, t: t, web: d.httpClient(t, 1), bucket: "kv"}
	for range 3 {
		began := time.Now()
		pages := l.flat(count)
		took := time.Since(began)
		t.Logf("%d keys in %d pages in %v: %.0f keys/s", count, pages, took.Round(time.Millisecond), float64(count)/took.Seconds())
	}
	l.prefixes(min(count, listedPrefixes))
	d.checkMemory(t, 512<<20)
}

const listedPrefixes = 1000

// listedKey is the i-th key in order.
func listedKey(i, count int) string {
	under := (count + listedPrefixes - 1) / listedPrefixes
	return fmt.Sprintf("prefix-%04d/object-%07d", i/under, i)
}

// loadListed stores the objects, of one byte each, unless an earlier run did.
func (d *deployment) loadListed(t testing.TB, count int) {
	t.Helper()
	done := filepath.Join(d.dir, fmt.Sprint("loaded-", count))
	if _, err := os.Stat(done); err == nil {
		return
	}
	l := &lister{d: d, t: t, web: d.httpClient(t, benchClients)}
	began := time.Now()
	l.together(count, func(i int) {
		if err := d.nativePut(l.web, listedKey(i, count), []byte{'x'}); err != nil {
			t.Errorf("object %d: %v", i, err)
		}
	})
	t.Logf("loaded %d objects, %.0f/s", count, float64(count)/time.Since(began).Seconds())
	d.writeFile(t, filepath.Base(done), "")
}

// TestManyVersionsSpeed compares what requests cost beside a key of many versions with what they cost beside a key of
// one: a page of either listing, and a GET. TDKVS_LIST_VERSIONS says how many.
func TestManyVersionsSpeed(t *testing.T) {
	count := sizeFromEnv(t, "TDKVS_LIST_VERSIONS", 1200)
	d := startDeployment(t, serverKind, settings{})
	c := d.sdk(t)
	for _, name := range []string{"one", "many"} {
		b := bucket(t, c, name)
		if _, err := c.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &b, VersioningConfiguration: &types.VersioningConfiguration{
			Status: types.BucketVersioningStatusEnabled,
		}}); err != nil {
			t.Fatal(err)
		}
		l := &lister{d: d, t: t, web: d.httpClient(t, benchClients), bucket: b}
		began := time.Now()
		l.together(1000, func(i int) { l.put(fmt.Sprintf("key-%04d", i)) })
		if name == "many" {
			l.together(count-1, func(int) { l.put("key-0500") })
		}
		t.Logf("%s: loaded in %v", name, time.Since(began).Round(time.Millisecond))
		l.timeVersions(name, count)
	}
}

// timeVersions times the requests, several of each, and checks what they answer.
func (l *lister) timeVersions(name string, count int) {
	l.t.Helper()
	for what, request := range map[string]struct {
		path  string
		query url.Values
		want  int // keys
	}{
		"a page of 1,000 objects":    {"", url.Values{"list-type": {"2"}}, 1000},
		"a page of that object":      {"", url.Values{"list-type": {"2"}, "prefix": {"key-0500"}}, 1},
		"a page of ten objects":      {"", url.Values{"list-type": {"2"}, "start-after": {"key-0494"}, "max-keys": {"10"}}, 10},
		"a page of 1,000 versions":   {"", url.Values{"versions": {""}}, 1000},
		"a page from that object on": {"", url.Values{"versions": {""}, "key-marker": {"key-0499"}, "max-keys": {"500"}}, 500},
		"a GET of that object":       {"/key-0500", nil, 0},
	} {
		var took []time.Duration
		for range 30 {
			began := time.Now()
			doc := l.get(request.path, request.query)
			took = append(took, time.Since(began))
			if got := bytes.Count(doc, []byte("<Key>")); got != request.want {
				l.t.Fatalf("%s: %s has %d keys, not %d", name, what, got, request.want)
			}
		}
		slices.Sort(took)
		l.t.Logf("%s: %s: median %v", name, what, took[len(took)/2].Round(time.Microsecond))
	}
	if name == "many" {
		l.walkVersions(count)
	}
}

// walkVersions lists all versions of the key that has many.
func (l *lister) walkVersions(count int) {
	l.t.Helper()
	query, seen := url.Values{"versions": {""}, "prefix": {"key-0500"}}, map[string]bool{}
	began := time.Now()
	for more := true; more; {
		doc := l.page(query)
		var next []byte
		if next, _, more = element(doc, "<NextVersionIdMarker>", "</NextVersionIdMarker>"); more {
			query.Set("key-marker", "key-0500")
			query.Set("version-id-marker", string(next))
		}
		for id, rest, ok := element(doc, "<VersionId>", "</VersionId>"); ok; id, rest, ok = element(rest, "<VersionId>", "</VersionId>") {
			seen[string(id)] = true
		}
	}
	if len(seen) != count {
		l.t.Errorf("%d versions of %d", len(seen), count)
	}
	l.t.Logf("%d versions listed: %.0f/s", count, float64(count)/time.Since(began).Seconds())
}

// together calls work for 0 to count-1, from all clients at once.
func (l *lister) together(count int, work func(i int)) {
	l.t.Helper()
	mustTogether(l.t, benchClients, count, work)
}

// put stores an object of one byte.
func (l *lister) put(key string) {
	resp, err := l.do(http.MethodPut, "/"+key, nil, "x")
	if err != nil {
		l.t.Errorf("put %s: %v", key, err)
		return
	}
	_ = resp.Body.Close() // nothing of interest
	if resp.StatusCode != http.StatusOK {
		l.t.Errorf("put %s: %s", key, resp.Status)
	}
}

// lister is a client that costs little: it signs, reads, and looks for elements by their tags.
type lister struct {
	d      *deployment
	t      testing.TB
	web    *http.Client
	bucket string
	buf    bytes.Buffer // the body of the last page
}

// do sends a signed request.
func (l *lister) do(method, path string, query url.Values, body string) (*http.Response, error) {
	req, err := http.NewRequest(method, l.d.url()+"/"+l.bucket+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	const unsigned = "UNSIGNED-PAYLOAD"
	req.Header.Set("X-Amz-Content-Sha256", unsigned)
	by := aws.Credentials{AccessKeyID: l.d.accessKey, SecretAccessKey: l.d.secretKey}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(context.Background(), by, req, unsigned, "s3", region, time.Now()); err != nil {
		return nil, err
	}
	return l.web.Do(req)
}

// get returns the body of an answer; it holds until the next call.
func (l *lister) get(path string, query url.Values) []byte {
	l.t.Helper()
	resp, err := l.do(http.MethodGet, path, query, "")
	if err != nil {
		l.t.Fatal(err)
	}
	l.buf.Reset()
	_, err = io.Copy(&l.buf, resp.Body)
	_ = resp.Body.Close() // read to its end
	if err != nil || resp.StatusCode != http.StatusOK {
		l.t.Fatalf("%s: %v: %.300s", resp.Status, err, l.buf.Bytes())
	}
	return l.buf.Bytes()
}

// page returns a page of a listing.
func (l *lister) page(query url.Values) []byte { l.t.Helper(); return l.get("", query) }

// element cuts the next element of this name out of a document.
func element(doc []byte, begin, end string) (text, rest []byte, ok bool) {
	_, after, ok := bytes.Cut(doc, []byte(begin))
	if !ok {
		return nil, doc, false
	}
	return bytes.Cut(after, []byte(end))
}

// flat lists everything, a thousand a page, and returns how many pages that took.
func (l *lister) flat(count int) (pages int) {
	l.t.Helper()
	i, token := 0, ""
	for {
		query := url.Values{"list-type": {"2"}}
		if token != "" {
			query.Set("continuation-token", token)
		}
		doc := l.page(query)
		pages++
		next, _, more := element(doc, "<NextContinuationToken>", "</NextContinuationToken>")
		token = string(next)
		for key, rest, ok := element(doc, "<Key>", "</Key>"); ok; key, rest, ok = element(rest, "<Key>", "</Key>") {
			if want := listedKey(i, count); string(key) != want {
				l.t.Fatalf("key %d is %s, not %s", i, key, want)
			}
			i++
		}
		if !more {
			break
		}
	}
	if i != count {
		l.t.Fatalf("%d keys of %d", i, count)
	}
	return pages
}

// prefixes lists the common prefixes, several times, and logs how long the page took.
func (l *lister) prefixes(count int) {
	l.t.Helper()
	var took []time.Duration
	for range 20 {
		began := time.Now()
		doc := l.page(url.Values{"list-type": {"2"}, "delimiter": {"/"}})
		took = append(took, time.Since(began))
		i := 0
		_, doc, _ = bytes.Cut(doc, []byte("</Prefix>")) // that of the request
		for prefix, rest, ok := element(doc, "<Prefix>", "</Prefix>"); ok; prefix, rest, ok = element(rest, "<Prefix>", "</Prefix>") {
			if want := fmt.Sprintf("prefix-%04d/", i); string(prefix) != want {
				l.t.Fatalf("prefix %d is %s, not %s", i, prefix, want)
			}
			i++
		}
		if i != count {
			l.t.Fatalf("%d prefixes of %d", i, count)
		}
	}
	slices.Sort(took)
	l.t.Logf("a page of %d prefixes: median %v, slowest %v", count, took[len(took)/2], took[len(took)-1])
}

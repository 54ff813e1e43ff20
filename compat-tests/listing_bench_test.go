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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
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
	web := d.httpClient(t, benchClients)
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range benchClients {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < count && !t.Failed(); i = int(next.Add(1)) - 1 {
				if err := d.nativePut(web, listedKey(i, count), []byte{'x'}); err != nil {
					t.Errorf("object %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Logf("loaded %d objects, %.0f/s", count, float64(count)/time.Since(began).Seconds())
	d.writeFile(t, filepath.Base(done), "")
}

// lister is a client that costs little: it signs, reads, and looks for elements by their tags.
type lister struct {
	d      *deployment
	t      testing.TB
	web    *http.Client
	bucket string
	signer v4.Signer
	buf    bytes.Buffer
}

// page returns the body of one answer; it holds until the next call.
func (l *lister) page(query url.Values) []byte {
	l.t.Helper()
	if l.signer == (v4.Signer{}) {
		l.signer = *v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	}
	req, err := http.NewRequest(http.MethodGet, l.d.url()+"/"+l.bucket+"?"+query.Encode(), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	const unsigned = "UNSIGNED-PAYLOAD"
	req.Header.Set("X-Amz-Content-Sha256", unsigned)
	by := aws.Credentials{AccessKeyID: l.d.accessKey, SecretAccessKey: l.d.secretKey}
	if err := l.signer.SignHTTP(context.Background(), by, req, unsigned, "s3", region, time.Now()); err != nil {
		l.t.Fatal(err)
	}
	resp, err := l.web.Do(req)
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

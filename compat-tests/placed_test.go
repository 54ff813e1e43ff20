package compattests

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/cespare/xxhash/v2"
)

// placedOn is where a key has to lie by what docs and comments say of placement, written anew: the first r slots of its
// preference list of n that are not gone. Slot i is that of volume i+1.
func placedOn(bucket, key string, n, r int, gone ...int) (volumes []int) {
	hash := xxhash.Sum64String(bucket + "/" + key)
	var before []int
	for k := 1; k <= n && len(volumes) < r; k++ {
		set := chosen(hash, k, n)
		for _, slot := range set {
			if !slices.Contains(before, slot) && !slices.Contains(gone, slot) {
				volumes = append(volumes, slot+1)
			}
		}
		before = set
	}
	return volumes
}

// chosen is the set of the first k of n slots by consistent choose-k, by its definition.
func chosen(hash uint64, k, n int) []int {
	if k == 0 {
		return nil
	}
	largest := 0
	for i := range k {
		largest = max(largest, i+jumpHash(mixed(hash+uint64(i)*0x9E3779B97F4A7C15), n-i))
	}
	return append(chosen(hash, k-1, largest), largest)
}

// mixed is the finalizer of SplitMix64.
func mixed(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// jumpHash is jump consistent hash.
func jumpHash(key uint64, buckets int) int {
	var b, j int64 = -1, 0
	for j < int64(buckets) {
		b = j
		key = key*2862933555777941757 + 1
		j = int64(float64(b+1) * (float64(int64(1)<<31) / float64((key>>33)+1)))
	}
	return int(b)
}

// piece is one stored copy, or shard, of an object.
type piece struct {
	Volume int
	Blob   string
}

// locationOf is what the admin API says of where an object lies.
type locationOf struct {
	InPlace bool `json:"in_place"`
	Extents []struct {
		Size   int64
		Pieces []piece
	}
}

func (l locationOf) pieces() (all []piece) {
	for _, x := range l.Extents {
		all = append(all, x.Pieces...)
	}
	return all
}

func (d *deployment) locate(c *http.Client, bucket, key string) (locationOf, error) {
	return adminGet[locationOf](d, c, "/locate?"+url.Values{"bucket": {bucket}, "key": {key}}.Encode())
}

// adminGet asks the admin API, signed as its documentation says.
func adminGet[T any](d *deployment, c *http.Client, path string) (doc T, err error) {
	req, err := http.NewRequest(http.MethodGet, d.url()+"/-/admin/v1"+path, nil)
	if err != nil {
		return doc, err
	}
	empty := sha256.Sum256(nil)
	sum := hex.EncodeToString(empty[:])
	req.Header.Set("X-Amz-Content-Sha256", sum)
	keys := aws.Credentials{AccessKeyID: d.accessKey, SecretAccessKey: d.secretKey}
	if err := v4.NewSigner().SignHTTP(context.Background(), keys, req, sum, "s3", region, time.Now()); err != nil {
		return doc, err
	}
	text, err := answerOf(c, req)
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil {
		return doc, fmt.Errorf("admin %s: %w", path, err)
	}
	return doc, nil
}

// answerOf sends a request and returns the body of its answer; one other than 200 is an error.
func answerOf(c *http.Client, req *http.Request) ([]byte, error) {
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end
	if resp.StatusCode != http.StatusOK {
		return nil, &refusal{resp.StatusCode, string(window(body, 0))}
	}
	return body, err
}

// mustAdminGet asks the admin API and wants an answer.
func mustAdminGet[T any](t *testing.T, d *deployment, path string) T {
	t.Helper()
	doc, err := adminGet[T](d, d.httpClient(t, 1), path)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

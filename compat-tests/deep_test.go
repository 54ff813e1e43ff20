package compattests

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// deepBar is how long a request for a key of many versions may take, where one for a key of a single version takes d. The
// metadata store keeps the rows that a key's current version had for a while, and a listing steps over them.
func deepBar(d time.Duration) time.Duration { return 5*d + 5*time.Millisecond }

// TestManyVersionsOfOneKey makes very many versions of one key and compares what requests for it take with what they take
// for a key of one version, side by side.
//
// Covers: PutObject, GetObject, HeadObject, DeleteObject, ListObjectVersions.
func TestManyVersionsOfOneKey(t *testing.T) {
	count := sizeFromEnv(t, "TDKVS_VERSIONS", 2000)
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c := d.sdk(t)
		b := bucket(t, c, "deep")
		_, err := c.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &b,
			VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
		if err != nil {
			t.Fatal(err)
		}
		put(t, c, b, "shallow", content("shallow", 4<<10))
		oldest := put(t, c, b, "deep", content("oldest", 4<<10)).VersionId
		signed, err := s3.NewPresignClient(c).PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: aws.String("deep")})
		if err != nil {
			t.Fatal(err)
		}
		web, body, began := d.httpClient(t, crowd), content("deep", 4<<10), time.Now()
		together(crowd, count-1, func(int) {
			if err := request(web, http.MethodPut, signed.URL, body); err != nil {
				t.Error(err)
			}
		})
		t.Logf("%d versions in %v", count, time.Since(began).Round(time.Millisecond))
		compareDepths(t, c, b)
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: aws.String("deep"), VersionId: oldest})
		if err != nil {
			t.Fatal(err)
		}
		sameBytes(t, "the oldest version", drain(t, out.Body), content("oldest", 4<<10))
	})
}

// deepStep is a request for a key of a bucket; id is a version that the steps before it have made. It returns the id of the
// one that it has made itself.
type deepStep struct {
	name string
	do   func(t *testing.T, c *s3.Client, b, key, id *string) (*string, error)
}

// deepSteps leave a key as they found it.
func deepSteps() []deepStep {
	return []deepStep{
		{"PutObject", func(t *testing.T, c *s3.Client, b, key, _ *string) (*string, error) {
			out, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: b, Key: key, Body: bytes.NewReader(content("again", 4<<10))})
			if err != nil {
				return nil, err
			}
			return out.VersionId, nil
		}},
		{"GetObject", func(t *testing.T, c *s3.Client, b, key, id *string) (*string, error) {
			return id, readAll(t, c, b, key, nil)
		}},
		{"GetObject of a version", func(t *testing.T, c *s3.Client, b, key, id *string) (*string, error) {
			return id, readAll(t, c, b, key, id)
		}},
		{"HeadObject", func(t *testing.T, c *s3.Client, b, key, id *string) (*string, error) {
			_, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: b, Key: key})
			return id, err
		}},
		{"ListObjectVersions", func(t *testing.T, c *s3.Client, b, key, id *string) (*string, error) {
			_, err := c.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: b, Prefix: key, MaxKeys: aws.Int32(1)})
			return id, err
		}},
		{"DeleteObject of a version", removeVersion},
		{"DeleteObject", func(t *testing.T, c *s3.Client, b, key, _ *string) (*string, error) {
			out, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: b, Key: key})
			if err != nil {
				return nil, err
			}
			return out.VersionId, nil
		}},
		{"DeleteObject of a marker", removeVersion},
	}
}

func removeVersion(t *testing.T, c *s3.Client, b, key, id *string) (*string, error) {
	_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: b, Key: key, VersionId: id})
	return nil, err
}

func readAll(t *testing.T, c *s3.Client, b, key, id *string) error {
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: b, Key: key, VersionId: id})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, out.Body)
	return errors.Join(err, out.Body.Close())
}

// compareDepths times each step for both keys in turn and compares the medians.
func compareDepths(t *testing.T, c *s3.Client, b string) {
	t.Helper()
	const rounds = 60
	took := map[string][]time.Duration{}
	for round := range rounds {
		keys := []string{"shallow", "deep"}
		if round%2 == 1 {
			slices.Reverse(keys)
		}
		ids := map[string]*string{}
		for _, step := range deepSteps() {
			for _, key := range keys {
				began := time.Now()
				id, err := step.do(t, c, &b, &key, ids[key])
				if err != nil {
					t.Fatalf("%s of %s: %v", step.name, key, err)
				}
				ids[key] = id
				took[step.name+key] = append(took[step.name+key], time.Since(began))
			}
		}
	}
	for _, step := range deepSteps() {
		shallow, deep := median(took[step.name+"shallow"]), median(took[step.name+"deep"])
		t.Logf("%-26s %8v for one version, %8v for many: %.2f times", step.name, shallow.Round(time.Microsecond), deep.Round(time.Microsecond),
			float64(deep)/float64(shallow))
		if deep > deepBar(shallow) {
			t.Errorf("%s takes %v for a key of many versions, %v for one", step.name, deep, shallow)
		}
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

package compattests

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestRaceOfConditionalWriters lets 32 writers create one key with If-None-Match: *, round after round. One must win, and
// its bytes must be there; all others must be told that they came too late.
//
// Covers: PutObject.
func TestRaceOfConditionalWriters(t *testing.T) {
	rounds := sizeFromEnv(t, "TDKVS_RACE_ROUNDS", 20)
	eachDeployment(t, func(t *testing.T, d *deployment) {
		const writers = 32
		c, b := d.sdk(t), "raced"
		bucket(t, c, b)
		for round := range rounds {
			key := fmt.Sprint("key ", round)
			var statuses [writers]int
			var wg sync.WaitGroup
			start := make(chan struct{})
			for w := range writers {
				wg.Go(func() {
					<-start
					_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: &key, Body: bytes.NewReader(racerBody(round, w)), IfNoneMatch: aws.String("*")})
					statuses[w] = statusOf(err)
				})
			}
			close(start)
			wg.Wait()
			winner, won, late := -1, 0, 0
			for w, status := range statuses {
				switch status {
				case http.StatusOK:
					winner, won = w, won+1
				case http.StatusPreconditionFailed:
					late++
				}
			}
			if won != 1 || late != writers-1 {
				t.Fatalf("round %d: %d writers won and %d got 412: %v", round, won, late, statuses)
			}
			sameBytes(t, fmt.Sprintf("round %d, writer %d", round, winner), get(t, c, b, key), racerBody(round, winner))
		}
	})
}

// racerBody is what a writer writes: in some rounds small, in some large enough for a file of its own.
func racerBody(round, writer int) []byte {
	return content(fmt.Sprint("race", round, writer), []int{100, 20_000, 1_200_000}[min(round%10, 2)])
}

// TestReadersDuringOverwrites reads a key while it is overwritten and deleted: each answer is one whole version or 404.
//
// Covers: PutObject, GetObject.
func TestReadersDuringOverwrites(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, b, key := d.sdk(t), "overwritten", "k"
		bucket(t, c, b)
		versions := map[string]bool{}
		var bodies [][]byte
		for i, size := range []int{10, 70_000, 1_500_000, 3 << 20} {
			bodies = append(bodies, content(fmt.Sprint("version", i), size))
			versions[sha(bodies[i])] = true
		}
		put(t, c, b, key, bodies[0])
		done := make(chan struct{})
		var readers sync.WaitGroup
		for range 6 {
			readers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: &key})
					if status := statusOf(err); status == http.StatusNotFound {
						continue
					}
					if err != nil {
						t.Errorf("read: %v", err)
						return
					}
					var got bytes.Buffer
					_, err = got.ReadFrom(out.Body)
					if err := errors.Join(err, out.Body.Close()); err != nil || !versions[sha(got.Bytes())] || aws.ToString(out.ETag) != etagOf(got.Bytes()) {
						t.Errorf("read %d bytes that are no version, ETag %s, %v", got.Len(), aws.ToString(out.ETag), err)
						return
					}
				}
			})
		}
		for i := range 60 {
			put(t, c, b, key, bodies[i%len(bodies)])
			if i%7 == 6 {
				if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: &key}); err != nil {
					t.Error(err)
				}
			}
		}
		close(done)
		readers.Wait()
	})
}

package compattests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	contenders = 16
	judgeLimit = 60 * time.Second // for the history of one round
)

// shape is how large a contest is.
type shape struct {
	keys  int
	steps int // of each contender
}

// TestLinearity lets 16 clients contend for a few keys with puts, copies, completed uploads, deletes and reads, with and
// without conditions, kills the store with SIGKILL in the midst of it, and lets a checker look for an order in which the
// requests may have taken effect, each between its call and its answer, so that every answer is explained: that of each
// winner, of each 412 and 404, and of each read. A request without an answer may have taken effect at any time after its
// call, or never.
//
// Covers: PutObject, CopyObject, CompleteMultipartUpload, DeleteObject, GetObject, HeadObject.
func TestLinearity(t *testing.T) {
	rounds := sizeFromEnv(t, "TDKVS_LINEAR_ROUNDS", 2)
	t.Parallel()
	for _, kind := range []string{serverKind, clusterKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := startDeployment(t, kind, settings{garbageGrace: 200 * time.Millisecond})
			w := &writes{seed: seed(t)}
			counts := map[string]int{}
			for round := range rounds {
				for i, m := range []mode{unversioned, versioned, suspended} {
					c := d.newContest(t, w, m, fmt.Sprintf("%s-%d", m, round), shape{keys: 4, steps: 40})
					c.hold(t, uint64(round*10+i)*100, func(choices *rand.Rand, _ <-chan struct{}) { c.killOnce(t, d, choices) })
					c.judge(t)
					c.count(counts)
					if t.Failed() {
						t.FailNow()
					}
				}
			}
			t.Logf("operations in %d rounds of each mode, and their answers: %v", rounds, counts)
		})
	}
}

// newContest makes the bucket of a round, in a mode. Where versioning is suspended, each key has a version from before.
func (d *deployment) newContest(t *testing.T, w *writes, m mode, name string, size shape) *contest {
	t.Helper()
	c := &contest{
		s3: d.sdk(t), mode: m, shape: size, writes: w, began: time.Now(), first: map[string]state{},
		history: map[string][]porcupine.Operation{}, seen: map[string][]version{},
	}
	c.bucket = bucket(t, c.s3, name)
	if m == unversioned {
		return c
	}
	c.setVersioning(t, types.BucketVersioningStatusEnabled)
	if m == suspended {
		choices := newRand(w.seed, 0)
		for i := range c.keys {
			n, body := w.make(choices)
			w.know(n, etagOf(body))
			out := put(t, c.s3, c.bucket, c.key(i), body)
			c.first[c.key(i)] = state{{aws.ToString(out.VersionId), n}}
		}
		c.setVersioning(t, types.BucketVersioningStatusSuspended)
	}
	return c
}

func (c *contest) setVersioning(t *testing.T, status types.BucketVersioningStatus) {
	t.Helper()
	_, err := c.s3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &c.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status}})
	if err != nil {
		t.Fatal(err)
	}
}

// key returns one of the keys; none is the beginning of another.
func (c *contest) key(i int) string { return fmt.Sprintf("key-%03d", i%c.keys) }

// recorded is the number of operations so far.
func (c *contest) recorded() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, history := range c.history {
		n += len(history)
	}
	return n
}

// count adds the operations to what is known of each kind.
func (c *contest) count(counts map[string]int) {
	for _, history := range c.history {
		counts["all"] += len(history)
		for _, o := range history {
			counts[string(o.Output.(answered).result)]++
		}
	}
}

// hold lets the contenders contend while disturb disturbs them, which is told when they are done. A last read of each key
// ends the history.
func (c *contest) hold(t *testing.T, stream uint64, disturb func(choices *rand.Rand, over <-chan struct{})) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range contenders {
		one := &contender{contest: c, choices: newRand(c.writes.seed, stream+1+uint64(i))}
		wg.Go(func() {
			for range c.steps {
				one.step(c.key(one.choices.IntN(c.keys)))
			}
		})
	}
	over := make(chan struct{})
	go func() {
		wg.Wait()
		close(over)
	}()
	choices := newRand(c.writes.seed, stream)
	disturb(choices, over)
	<-over
	last := &contender{contest: c, choices: choices}
	for i := range c.keys {
		if c.mode != unversioned {
			c.run(c.key(i), asked{action: doList}, c.list)
		}
		c.run(c.key(i), asked{action: doRead}, last.read)
	}
}

// killOnce kills the store once while the contenders contend.
func (c *contest) killOnce(t *testing.T, d *deployment, choices *rand.Rand) {
	t.Helper()
	steps := contenders * c.steps
	for moment := steps/10 + choices.IntN(steps*7/10); c.recorded() < moment; {
		time.Sleep(time.Millisecond)
	}
	c.outage.Lock()
	defer c.outage.Unlock()
	for _, p := range d.victims(choices) {
		p.kill(t)
	}
	time.Sleep(time.Duration(choices.IntN(100)) * time.Millisecond) // a front that lives on must not acknowledge what it can not do
	d.start(t)
}

// judge checks the history of each key, and that the checker refuses the same history with a lie in it.
func (c *contest) judge(t *testing.T) {
	t.Helper()
	for _, err := range c.wrong {
		t.Errorf("%s: %v", c.bucket, err)
	}
	lies, refused := 0, 0
	for key, history := range c.history {
		history = withoutGhosts(c.mode, history)
		model := modelOf(c.mode, c.first[key], history)
		began := time.Now()
		verdict, info := porcupine.CheckOperationsVerbose(model, history, judgeLimit)
		if verdict != porcupine.Ok {
			path := filepath.Join(os.TempDir(), fmt.Sprintf("tdkvs-%s-%s.html", c.bucket, key))
			t.Errorf("%s of %s, %d operations: %s; see %s (%v)", key, c.bucket, len(history), verdict, path, porcupine.VisualizePath(model, info, path))
			continue
		}
		if took := time.Since(began); took > time.Second {
			t.Logf("%s of %s, %d operations: judged in %v", key, c.bucket, len(history), took)
		}
		for lie, forged := range c.forge(history) {
			lies++
			switch porcupine.CheckOperationsTimeout(modelOf(c.mode, c.first[key], forged), forged, judgeLimit) {
			case porcupine.Illegal:
				refused++
			case porcupine.Ok:
				t.Errorf("%s of %s with %s is believed", key, c.bucket, lie)
			case porcupine.Unknown: // of many operations nobody knows whether they were done: too many orders to try them all
				t.Logf("%s of %s with %s: not decided in %v", key, c.bucket, lie, judgeLimit)
			}
		}
	}
	if lies > 0 && refused == 0 {
		t.Errorf("%s: none of %d lies is refused", c.bucket, lies)
	}
}

// forge returns the history with lies in it: a read that finds what is written only later, and, where nothing can bring an
// old version back, a last read that finds another acknowledged write than the one before it.
func (c *contest) forge(history []porcupine.Operation) map[string][]porcupine.Operation {
	lies := map[string][]porcupine.Operation{}
	last := history[len(history)-1]
	for _, o := range history {
		in, out := o.Input.(asked), o.Output.(answered)
		if in.action != doPut || out.result != done {
			continue
		}
		found := answered{result: done, write: in.write, version: out.version}
		if c.mode == suspended {
			found.version = nullVersion
		}
		if lies["a read of the future"] == nil {
			lies["a read of the future"] = append(slices.Clone(history), op(o.Call-2, o.Call-1, asked{action: doRead}, found))
		}
		if c.mode == unversioned && in.write != last.Output.(answered).write {
			lies["a stale read"] = append(slices.Clone(history), op(last.Return+1, last.Return+2, asked{action: doRead}, found))
			break
		}
	}
	return lies
}

package compattests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// ordeal is a store that is worked with, changed and killed at the same time.
type ordeal struct {
	d       *deployment
	crew    *crew
	c       *s3.Client
	choices *rand.Rand
	urls    map[*process]string // of the volumes
	resume  func()              // ends the load
	masters int                 // kills
	volumes int                 // the same
	leaving string              // the volume that is being deleted
	reads   int
}

// TestKilledWhileItChanges deletes one volume after the other, live, under a mixed load, and kills the master and volumes
// with SIGKILL at random moments of it; then it raises and lowers the number of copies and gives up a volume in the same way.
// It goes on by itself: nothing acknowledged is lost, and the store is whole after each. TDKVS_CHANGE_KILLS is how often the
// master is killed during the deletions, and how often a volume is.
//
// Covers: PutObject, GetObject, DeleteObject, CompleteMultipartUpload.
func TestKilledWhileItChanges(t *testing.T) {
	kills := sizeFromEnv(t, "TDKVS_CHANGE_KILLS", 2)
	t.Parallel()
	for name, s := range map[string]settings{
		"one copy":   {volumes: 4, garbageGrace: 200 * time.Millisecond},
		"two copies": {volumes: 4, garbageGrace: 200 * time.Millisecond, lines: "replicas: 2\nstorage_classes:\n  STANDARD_IA: {code: 2+1, min_size: 4KiB}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrdeal(t, s)
			for cycle := 0; o.masters < kills || o.volumes < kills; cycle++ {
				o.deleteOne(t, cycle, kills)
			}
			t.Logf("%d kills of the master and %d of volumes in deletions", o.masters, o.volumes)
			o.d.mustAdmin(t, "rebalance", "limit", "-rate", "none")
			for _, copies := range []string{"3", "2"} {
				o.work(t)
				o.d.mustAdmin(t, "replicas", copies)
				for range min(kills, 5) {
					o.killOne(t, o.masters+1, 0)
				}
				o.settle(t)
			}
			o.lose(t, min(kills, 5))
			t.Logf("%d kills of the master and %d of volumes; %d writes acknowledged, %d interrupted; %d ranges read", o.masters, o.volumes,
				o.crew.acknowledged(), o.crew.interrupted(), o.reads)
		})
	}
}

func newOrdeal(t *testing.T, s settings) *ordeal {
	t.Helper()
	n := seed(t)
	d := startDeployment(t, clusterKind, s)
	o := &ordeal{d: d, crew: newCrew(t, d, n), c: d.sdk(t), choices: newRand(n, 2000), urls: map[*process]string{}}
	for _, url := range d.listed(t) {
		o.urls[d.volumes[d.positionOf(t, url)]] = url
	}
	o.crew.prepare(t)
	if s.lines != "" {
		for i, w := range o.crew.writers {
			if i%4 == 3 {
				w.class = types.StorageClassStandardIa
			}
		}
	}
	bucket(t, o.c, growBucket)
	fillGrown(t, o.c)
	o.work(t)
	time.Sleep(time.Second) // something to move
	return o
}

// work puts the store under load, if it is not already.
func (o *ordeal) work(t *testing.T) {
	t.Helper()
	if o.resume != nil {
		return
	}
	stop := o.crew.work()
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { o.readRanges(t, over) })
	o.resume = func() {
		close(over)
		stop()
		wg.Wait()
		o.resume = nil
	}
}

// rest ends the load.
func (o *ordeal) rest() {
	if o.resume != nil {
		o.resume()
	}
}

// readRanges reads ranges of what does not change. A store that is killed may fail; what it sends must be right.
func (o *ordeal) readRanges(t *testing.T, over chan struct{}) {
	choices := newRand(uint64(o.reads), 3000)
	for {
		select {
		case <-over:
			return
		default:
		}
		i := 1 + choices.IntN(growObjects-1)
		from := choices.IntN(37 * i)
		to := from + choices.IntN(37*i-from)
		want := content(fmt.Sprint("grown", i), 37*i)[from : to+1]
		out, err := o.c.GetObject(context.Background(), &s3.GetObjectInput{
			Bucket: aws.String(growBucket), Key: aws.String(fmt.Sprint(i)), Range: aws.String(fmt.Sprintf("bytes=%d-%d", from, to)),
		})
		var got []byte
		if err == nil {
			got, err = io.ReadAll(out.Body)
			err = errors.Join(err, out.Body.Close())
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // it is down
			continue
		}
		o.reads++
		if sha(got) != sha(want) {
			t.Errorf("object %d, bytes %d to %d: %d bytes of SHA-256 %s, want %s", i, from, to, len(got), sha(got), sha(want))
		}
	}
}

// kill ends a process at a random moment, and starts it again when the load has met with that for a while.
func (o *ordeal) kill(t *testing.T, p *process) {
	t.Helper()
	o.work(t)
	time.Sleep(time.Duration(o.choices.IntN(500)) * time.Millisecond) // the moment is what varies
	p.kill(t)
	if p != o.d.front {
		o.volumes++
		time.Sleep(time.Duration(o.choices.IntN(300)) * time.Millisecond)
		o.rest()
		p.start(t)
	} else {
		o.masters++
		o.rest()
		o.startFront(t)
	}
	o.d.waitReady(t)
	o.work(t)
}

// killOne kills the master while it was killed less often than wanted, or a volume.
func (o *ordeal) killOne(t *testing.T, masters, volumes int) {
	t.Helper()
	switch {
	case o.masters < masters && (o.volumes >= volumes || o.choices.IntN(2) == 0):
		o.kill(t, o.d.front)
	case o.volumes < volumes:
		o.kill(t, o.d.volumes[o.choices.IntN(len(o.d.volumes))])
	default:
		time.Sleep(50 * time.Millisecond)
	}
}

// startFront starts the master. A volume that has left in the moment of the kill must not be in its list any more.
func (o *ordeal) startFront(t *testing.T) {
	t.Helper()
	if o.d.goesOn(t) {
		return
	}
	o.unlist(t, o.leaving)
	o.d.front.start(t)
}

// unlist takes a volume off the master's list, if it is there.
func (o *ordeal) unlist(t *testing.T, url string) {
	t.Helper()
	for i, listed := range o.d.listed(t) {
		if listed == url {
			o.d.dropVolume(t, i)
		}
	}
}

// member reports whether a volume is in the cluster.
func (o *ordeal) member(t *testing.T, url string) bool {
	t.Helper()
	for _, v := range mustAdminGet[struct{ Volumes []struct{ URL string } }](t, o.d, "/volumes").Volumes {
		if v.URL == url {
			return true
		}
	}
	return false
}

// deleteOne deletes a volume under kills, and adds another.
func (o *ordeal) deleteOne(t *testing.T, cycle, kills int) {
	t.Helper()
	where := o.choices.IntN(len(o.d.volumes))
	p := o.d.volumes[where]
	o.leaving = o.urls[p]
	o.work(t)
	o.d.mustAdmin(t, "rebalance", "limit", "-rate", "1536KiB") // so that it takes long enough to be killed
	o.d.mustAdmin(t, "volume", "delete", o.leaving)
	const most = 25 // kills of one deletion, which then comes to its end
	for killed := o.masters + o.volumes; o.member(t, o.leaving) && o.masters+o.volumes-killed < most && o.masters+o.volumes < 2*kills; {
		o.killOne(t, kills, kills)
	}
	o.d.mustAdmin(t, "rebalance", "limit", "-rate", "none")
	for end := time.Now().Add(growTime); o.member(t, o.leaving); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("cycle %d: %s does not leave: %s", cycle, o.leaving, o.d.mustAdmin(t, "rebalance", "status"))
		}
	}
	o.unlist(t, o.leaving)
	o.rest()
	p.stop(t)
	if n := lastBlobs(t, p); n != 0 {
		t.Fatalf("cycle %d: %d blobs are left on %s", cycle, n, p.name)
	}
	o.d.volumes = append(o.d.volumes[:where:where], o.d.volumes[where+1:]...)
	o.settle(t)
	o.add(t, fmt.Sprintf("another%d", cycle))
}

// add takes a new volume in.
func (o *ordeal) add(t *testing.T, name string) {
	t.Helper()
	before := o.d.listed(t)
	o.d.appendVolume(t, name)
	url := o.d.listed(t)[len(before)]
	p := o.d.volumes[len(o.d.volumes)-1]
	o.urls[p] = url
	p.start(t)
	o.d.waitUp(t, url)
	o.work(t)
	o.d.mustAdmin(t, "volume", "add", url)
}

// settle ends the load, waits for the end of all work, and wants nothing lost and the store whole.
func (o *ordeal) settle(t *testing.T) {
	t.Helper()
	o.rest()
	o.d.waitRebalanced(t)
	o.crew.check(t)
	checkGrown(t, o.c)
	o.d.wantWhole(t)
	if t.Failed() {
		t.FailNow()
	}
}

// lose ends a volume for good, and kills the master while what it held is made anew.
func (o *ordeal) lose(t *testing.T, kills int) {
	t.Helper()
	where := o.choices.IntN(len(o.d.volumes))
	p := o.d.volumes[where]
	o.work(t)
	p.kill(t)
	o.d.volumes = append(o.d.volumes[:where:where], o.d.volumes[where+1:]...)
	o.unlist(t, o.urls[p])
	if out := o.d.mustAdmin(t, "volume", "lost", o.urls[p], "-yes"); !strings.Contains(out, "is given up") {
		t.Errorf("volume lost: %s", out)
	}
	for range kills {
		o.killOne(t, o.masters+1, 0)
	}
	o.settle(t)
}

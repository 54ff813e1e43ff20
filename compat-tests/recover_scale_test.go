package compattests

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestRecoverAtScale measures a store of many small objects: the online fsck, a start after a kill, and a start that makes the
// metadata anew; their times, the memory of the process, and the space that the copies of the metadata take.
// TDKVS_RECOVER_OBJECTS is how many.
func TestRecoverAtScale(t *testing.T) {
	t.Parallel()
	objects := sizeFromEnv(t, "TDKVS_RECOVER_OBJECTS", 300)
	d := startDeployment(t, serverKind, settings{lines: "log: {level: warn}\n"})
	began := time.Now()
	d.fillSmall(t, objects)
	t.Logf("%d objects put in %v", objects, time.Since(began).Round(time.Second))
	d.front.kill(t)
	t.Logf("start after SIGKILL: %v", d.start(t).Round(10*time.Millisecond))
	d.waitLookedOver(t)
	d.stop(t)
	t.Logf("start: %v", d.start(t).Round(10*time.Millisecond))
	before := d.front.peakMemory(t)
	began = time.Now()
	r := d.wantWhole(t)
	t.Logf("fsck: %v for %d blobs; peak RSS %d MiB, %d MiB before", time.Since(began).Round(10*time.Millisecond), r.Report.Blobs, d.front.peakMemory(t)>>20, before>>20)
	d.front.kill(t)
	d.loseMetadata(t)
	began = time.Now()
	d.recovering(t)
	d.waitReady(t)
	t.Logf("recovered and ready: %v; peak RSS %d MiB", time.Since(began).Round(10*time.Millisecond), d.front.peakMemory(t)>>20)
	d.wantWhole(t)
	if got := len(listAll(t, d.sdk(t), crewBucket)); got != objects {
		t.Errorf("%d objects are listed, want %d", got, objects)
	}
	d.stop(t)
	d.loseMetadata(t)
	d.writeFile(t, "server.yaml", fmt.Sprintf("region: %s\n", region)) // says what it finds
	d.recover(t)
	var bytes int
	for _, found := range regexp.MustCompile(`a volume has answered.* bytes=(\d+)`).FindAllStringSubmatch(d.front.log(t), -1) {
		n, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		bytes += n
	}
	if bytes == 0 {
		t.Error("no copies of the metadata were found")
	}
	t.Logf("copies of the metadata: %d MiB on all volumes together", bytes>>20)
}

// fillSmall puts many small objects over the native API.
func (d *deployment) fillSmall(t *testing.T, objects int) {
	t.Helper()
	const clients = 64
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	body := content("small", 200)
	for range clients {
		wg.Go(func() {
			c := d.httpClient(t, 1)
			for failed.Load() == nil {
				i := next.Add(1) - 1
				if i >= int64(objects) {
					return
				}
				if err := d.nativePut(c, fmt.Sprintf("some/prefix/%03d/object-%07d", i%997, i), body); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
}

package compattests

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestGrowUnderLoad adds a fourth volume to three while clients do everything that clients do. No request fails, just those
// objects move whose placement has changed, the volumes are even afterwards, and each object reads back as it was.
// TDKVS_GROW_OBJECTS is how many there are beside those of the clients.
//
// Covers: PutObject, GetObject, DeleteObject, ListObjectsV2, CompleteMultipartUpload.
func TestGrowUnderLoad(t *testing.T) {
	t.Parallel()
	s := newScale(t, 3)
	before := s.places(t)
	s.wantPlaces(t, before, 3)
	added := s.d.addVolume(t, "volume4")
	s.d.waitUp(t, added)
	load := newTraffic(t, s.d, trafficClients, seed(t))
	stop := load.work()
	began := time.Now()
	s.d.mustAdmin(t, "volume", "add", added)
	r := s.d.waitRebalanced(t)
	took := time.Since(began)
	stop()
	after := s.places(t)
	s.wantPlaces(t, after, 4)
	moved := s.wantMoved(t, before, after)
	t.Logf("%d of %d objects have moved to the new volume (%.2f %%), in %v, %d pieces in all; %d requests meanwhile: %s", moved, s.objects,
		100*float64(moved)/float64(s.objects), took.Round(time.Millisecond), r.Moved, load.requests.Load(), describe(load.phase()))
	load.check()
	load.wantNoFailure(t)
	s.readBack(t)
	s.wantEven(t, load, 1, 2, 3, 4)
}

// TestShrinkUnderLoad deletes the third volume of five while clients do everything that clients do. No request fails, just
// the objects move that lay on it, and nothing is left on it.
//
// Covers: PutObject, GetObject, DeleteObject, ListObjectsV2, CompleteMultipartUpload.
func TestShrinkUnderLoad(t *testing.T) {
	t.Parallel()
	s := newScale(t, 5)
	before := s.places(t)
	s.wantPlaces(t, before, 5)
	load := newTraffic(t, s.d, trafficClients, seed(t))
	stop := load.work()
	time.Sleep(time.Second) // so that some of what the clients have lies on the volume
	began := time.Now()
	s.d.mustAdmin(t, "volume", "delete", "3")
	r := s.d.waitRebalanced(t)
	took := time.Since(began)
	stop()
	after := s.places(t)
	s.wantPlaces(t, after, 5, 2)
	moved := s.wantMoved(t, before, after)
	t.Logf("%d of %d objects have moved off the volume (%.2f %%), in %v, %d pieces in all; %d requests meanwhile: %s", moved, s.objects,
		100*float64(moved)/float64(s.objects), took.Round(time.Millisecond), r.Moved, load.requests.Load(), describe(load.phase()))
	load.check()
	load.wantNoFailure(t)
	s.readBack(t)
	s.wantEven(t, load, 1, 2, 4, 5)
	gone := s.d.volumes[2]
	for range 2 { // as the process knew it, and as it finds it on the disk
		gone.stop(t)
		if n := lastBlobs(t, gone); n != 0 {
			t.Errorf("%d blobs are left on the deleted volume", n)
		}
		gone.start(t)
		s.d.waitUp(t, s.d.listed(t)[2])
	}
}

// scale is a cluster with many objects.
type scale struct {
	d       *deployment
	web     *http.Client
	objects int
}

const (
	scaleBucket  = "kv" // the native API is quick
	scaleWorkers = 16
	scaleTime    = 10 * time.Minute // that a rebalance may take
)

// newScale starts a cluster and fills it.
func newScale(t *testing.T, volumes int) *scale {
	t.Helper()
	s := &scale{objects: sizeFromEnv(t, "TDKVS_GROW_OBJECTS", 2000)}
	s.d = startDeployment(t, clusterKind, settings{volumes: volumes, garbageGrace: time.Second})
	s.web = s.d.httpClient(t, scaleWorkers)
	s.each(t, func(i int) error { return s.d.nativePut(s.web, scaleKey(i), scaleBody(i)) })
	return s
}

func scaleKey(i int) string { return fmt.Sprintf("scale/%06d", i) }

// scaleSize is mostly small.
func scaleSize(i int) int {
	spread := int(mixed(uint64(i)) % (1 << 20))
	switch {
	case i%200 == 0:
		return 64<<10 + spread%(64<<10)
	case i%5 == 0:
		return spread % (16 << 10)
	}
	return spread % (4 << 10)
}

func scaleBody(i int) []byte { return content(scaleKey(i), scaleSize(i)) }

// each calls f for every object, from several goroutines, and fails the test at the first error.
func (s *scale) each(t *testing.T, f func(i int) error) {
	t.Helper()
	inParallel(t, s.objects, f)
}

// inParallel calls f for every number below n, from several goroutines, and fails the test at the first error.
func inParallel(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	together(scaleWorkers, n, func(i int) {
		if t.Failed() {
			return
		}
		if err := f(i); err != nil {
			t.Errorf("object %d: %v", i, err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
}

// places asks where each object lies.
func (s *scale) places(t *testing.T) []piece {
	t.Helper()
	places := make([]piece, s.objects)
	s.each(t, func(i int) error {
		l, err := s.d.locate(s.web, scaleBucket, scaleKey(i))
		if err != nil {
			return err
		}
		p := l.pieces()
		if len(p) != 1 || !l.InPlace {
			return fmt.Errorf("lies at %+v", l)
		}
		places[i] = p[0]
		return nil
	})
	return places
}

// wantPlaces compares where the objects lie with where they should, of n slots less those that are gone.
func (s *scale) wantPlaces(t *testing.T, places []piece, n int, gone ...int) {
	t.Helper()
	for i, p := range places {
		if want := placedOn(scaleBucket, scaleKey(i), n, 1, gone...); !slices.Equal(want, []int{p.Volume}) {
			t.Fatalf("object %d lies on volume %d, want %v", i, p.Volume, want)
		}
	}
}

// wantMoved returns how many objects lie on another volume. The others must be where they were, in the same blobs.
func (s *scale) wantMoved(t *testing.T, before, after []piece) (moved int) {
	t.Helper()
	for i := range before {
		switch {
		case before[i].Volume != after[i].Volume:
			moved++
		case before[i] != after[i]:
			t.Errorf("object %d was copied for nothing: %v, %v", i, before[i], after[i])
		}
	}
	return moved
}

// readBack reads every object and compares its SHA-256.
func (s *scale) readBack(t *testing.T) {
	t.Helper()
	s.each(t, func(i int) error {
		body, err := s.d.nativeGet(s.web, scaleKey(i))
		if err == nil && sha(body) != sha(scaleBody(i)) {
			err = fmt.Errorf("%d bytes of SHA-256 %s, want %d of %s", len(body), sha(body), scaleSize(i), sha(scaleBody(i)))
		}
		return err
	})
}

// nativeGet reads a value through the native API.
func (d *deployment) nativeGet(c *http.Client, key string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, d.url()+"/get/"+key, nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(d.accessKey, d.secretKey)
	return answerOf(c, req)
}

// wantEven deletes what the clients have, waits until it is gone, and wants just these volumes, each with its even share of the
// objects and of their bytes, within 5 %, or what chance makes of few objects.
func (s *scale) wantEven(t *testing.T, load *traffic, numbers ...int) {
	t.Helper()
	load.clear()
	list := s.waitBlobs(t, s.objects)
	bytes := 0.0
	for _, v := range list {
		bytes += float64(v.Bytes)
	}
	// A few objects lie as unevenly as dice fall; bytes twice so, for their sizes differ.
	chance := 4 * math.Sqrt(float64(len(numbers))/float64(s.objects))
	mostCount, mostBytes := max(0.05, chance), max(0.05, 2*chance)
	for i, v := range list {
		if i >= len(numbers) || v.Number != numbers[i] {
			t.Fatalf("the volumes are %+v, want %v", list, numbers)
		}
		byCount := float64(v.Blobs)*float64(len(list))/float64(s.objects) - 1
		byBytes := float64(v.Bytes)*float64(len(list))/bytes - 1
		t.Logf("volume %d: %d objects (%+.2f %%), %d bytes (%+.2f %%)", v.Number, v.Blobs, 100*byCount, v.Bytes, 100*byBytes)
		if math.Abs(byCount) > mostCount || math.Abs(byBytes) > mostBytes {
			t.Errorf("volume %d is off by more than %.1f %% of the objects or %.1f %% of the bytes", v.Number, 100*mostCount, 100*mostBytes)
		}
	}
}

// listedVolume is what the admin API says of a volume.
type listedVolume struct {
	Number        int
	State, Health string
	Blobs         int
	Bytes         int64
}

func (d *deployment) volumeList(t *testing.T) []listedVolume {
	t.Helper()
	return mustAdminGet[struct{ Volumes []listedVolume }](t, d, "/volumes").Volumes
}

// waitBlobs waits until the volumes hold a number of blobs: garbage is collected after a grace. What a volume may yet be
// writing for a call that was broken off stays in the queue for 10 minutes: such blobs may be there beside.
func (s *scale) waitBlobs(t *testing.T, want int) (list []listedVolume) {
	t.Helper()
	held := 0
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		list, held = s.d.volumeList(t), 0
		for _, v := range list {
			held += v.Blobs
		}
		if held == want {
			return list
		}
	}
	if _, r := s.d.fsck(t); held > want && r.Report.Clean && r.Report.Pieces == want { // the queue names the rest
		return list
	}
	t.Fatalf("the volumes hold %d blobs of %d objects", held, want)
	return nil
}

// waitRebalanced waits until the rebalance has come to its end.
func (d *deployment) waitRebalanced(t *testing.T) adminRebalance {
	t.Helper()
	for end := time.Now().Add(scaleTime); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if r := mustAdminGet[adminRebalance](t, d, "/rebalance"); !r.Active {
			return r
		}
	}
	t.Fatalf("the rebalance has not come to its end\n%s", d.front.logTail())
	return adminRebalance{}
}

package compattests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestHealUnderLoad keeps three copies on five volumes, wipes one volume and freezes another while clients do everything that
// clients do. No request fails; when the wiped one is declared lost and the other goes on, everything has its three copies
// again, on four volumes and then on five. TDKVS_HEAL_OBJECTS is how many there are beside those of the clients.
//
// Covers: PutObject, GetObject, DeleteObject, ListObjectsV2, CompleteMultipartUpload.
func TestHealUnderLoad(t *testing.T) {
	t.Parallel()
	h := newHealed(t, settings{volumes: 5, lines: "replicas: 3\n"}, sizeFromEnv(t, "TDKVS_HEAL_OBJECTS", 150), healSize)
	h.waitWhole(t, 3)
	load := newTraffic(t, h.d, trafficClients, seed(t))
	stop := load.work()
	time.Sleep(time.Second)
	wiped := h.d.wipe(t, 1)
	h.d.volumes[3].freeze(t)
	began := time.Now()
	h.readBack(t, "with one volume wiped and one frozen")
	time.Sleep(max(0, 5*time.Second-time.Since(began)))
	h.d.mustAdmin(t, "volume", "lost", "2", "-yes")
	h.readBack(t, "while the lost one is restored")
	h.d.volumes[3].thaw(t)
	h.waitWhole(t, 3)
	took := time.Since(began)
	load.phase()
	stop()
	load.check()
	load.wantNoFailure(t)
	t.Logf("%d requests meanwhile; whole again %v after the failure", load.requests.Load(), took.Round(time.Millisecond))
	h.d.mustAdmin(t, "volume", "add", wiped)
	h.d.waitRebalanced(t)
	h.waitWhole(t, 3)
	h.readBack(t, "after the wiped volume has come back as a new one")
	load.check()
	load.wantNoFailure(t)
}

// TestFlippedCopies changes bytes of every object in the data files of one volume after another, while they are in use. No
// client sees any of it, and each copy is made anew before the next volume's turn: at the end no first copy of anything is left.
//
// Covers: PutObject, GetObject.
func TestFlippedCopies(t *testing.T) {
	t.Parallel()
	h := newHealed(t, settings{lines: "replicas: 3\n"}, max(40, sizeFromEnv(t, "TDKVS_HEAL_OBJECTS", 40)/4), healSize)
	h.waitWhole(t, 3)
	choices := newRand(seed(t), 0)
	for i, dir := range h.d.dataDirs {
		before := h.blobsOn(t, i+1)
		flips := h.flipIn(t, choices.IntN, dir)
		began := time.Now()
		h.waitReplaced(t, i+1, before, func() { h.readBack(t, fmt.Sprintf("with flipped bytes on volume %d", i+1)) })
		t.Logf("volume %d: %d bytes flipped, all copies new after %v", i+1, flips, time.Since(began).Round(time.Millisecond))
	}
	h.readBack(t, "after every copy was flipped once")
}

// TestFlippedCopiesThatNobodyReads changes bytes of every object in the data files of one volume after another, kills that
// volume or the master, and reads nothing: the volumes find by themselves what is bad, and each copy is made anew.
//
// Covers: PutObject, GetObject.
func TestFlippedCopiesThatNobodyReads(t *testing.T) {
	t.Parallel()
	h := newHealed(t, settings{lines: "replicas: 3\n", volumeLines: "scrub_rate: 20MiB\n"}, 40, healSize)
	h.waitWhole(t, 3)
	choices := newRand(seed(t), 0)
	for i, dir := range h.d.dataDirs {
		before := h.blobsOn(t, i+1)
		flips := h.flipIn(t, choices.IntN, dir)
		began := time.Now()
		if struck := []*process{nil, h.d.volumes[i], h.d.front}[i%3]; struck != nil {
			time.Sleep(time.Duration(choices.IntN(3000)) * time.Millisecond)
			struck.kill(t)
			h.d.start(t)
		}
		h.waitReplaced(t, i+1, before, func() {})
		t.Logf("volume %d: %d bytes flipped, all copies new after %v", i+1, flips, time.Since(began).Round(time.Millisecond))
	}
	h.waitSound(t)
	h.readBack(t, "after every copy was flipped once")
}

// TestWornLog damages what a volume's log of small objects says of itself, so that the volume, when it is started again, can
// not tell which objects it has lost. The master finds out, and what is missing is made anew.
//
// Covers: PutObject, GetObject.
func TestWornLog(t *testing.T) {
	t.Parallel()
	h := newHealed(t, settings{lines: "replicas: 2\n", volumeLines: "scrub_rate: 0\n"}, 60, func(i int) int { return 2000 + 31*i })
	h.waitWhole(t, 2)
	h.d.leave("segment") // the log stays as worn as it is
	volume := h.d.volumes[1]
	volume.stop(t)
	before := h.blobsOn(t, 2)
	segment := filepath.Join(h.d.dataDirs[1], "segments", "00000001.seg")
	raw, err := os.ReadFile(filepath.Clean(segment))
	if err != nil {
		t.Fatal(err)
	}
	worn := 0
	for at := 0; worn < 5; at++ {
		next := bytes.Index(raw[at:], []byte("tdkR"))
		if next < 0 {
			t.Fatalf("%d records were found in %s", worn, segment)
		}
		at += next
		if bytes.HasPrefix(raw[at+8:], []byte("\xff\xff\xff\xff\xff")) {
			continue // of the journal of the metadata
		}
		if worn++; worn > 1 { // the first few, but one: they lie in the middle
			flip{file: segment, offset: int64(at + 12), mask: 1}.apply(t)
		}
	}
	volume.start(t)
	h.waitAnew(t, 2, before, worn-1)
	h.waitWhole(t, 2)
	h.waitSound(t)
	h.readBack(t, "after the log was worn")
}

// waitSound waits until every byte on the volumes is sound: the garbage, too, has to be removed for that.
func (h *healed) waitSound(t *testing.T) {
	t.Helper()
	var r checkReport
	for end := time.Now().Add(healTime); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		var code int
		if code, r = h.d.fsck(t, "-deep", "-rate", "none"); code == 0 && r.Report.Clean && len(r.Report.Pending) == 0 {
			return
		}
	}
	t.Fatalf("the store is not sound: %+v", r)
}

// waitAnew waits until so many objects have another blob on a volume than they had.
func (h *healed) waitAnew(t *testing.T, volume int, old [][]string, want int) {
	t.Helper()
	anew := 0
	for end := time.Now().Add(healTime); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		anew = 0
		for i, now := range h.blobsOn(t, volume) {
			if len(now) > 0 && !slices.Equal(now, old[i]) {
				anew++
			}
		}
		if anew >= want {
			return
		}
	}
	t.Fatalf("%d objects have new copies on volume %d, want %d\n%s", anew, volume, want, h.d.front.logTail())
}

// healed is a cluster with objects in several pieces.
type healed struct {
	d       *deployment
	web     *http.Client
	s3      *s3.Client
	objects int
	size    func(i int) int
}

const healBucket = "healed"

func newHealed(t *testing.T, s settings, objects int, size func(i int) int) *healed {
	t.Helper()
	s.garbageGrace = time.Second
	h := &healed{objects: objects, size: size, d: startDeployment(t, clusterKind, s)}
	h.web, h.s3 = h.d.httpClient(t, scaleWorkers), h.d.sdk(t)
	bucket(t, h.s3, healBucket)
	inParallel(t, objects, func(i int) error {
		_, err := h.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(healBucket), Key: aws.String(h.key(i)), Body: bytes.NewReader(h.body(i))})
		return err
	})
	return h
}

// healSize is mostly small; some objects have files of their own.
func healSize(i int) int {
	if i%10 == 0 {
		return 1<<20 + 100_000*(i/10%20) + 1
	}
	return 200 + 977*i%60_000
}

func (h *healed) key(i int) string  { return fmt.Sprintf("object %d", i) }
func (h *healed) body(i int) []byte { return content(h.key(i), h.size(i)) }

// read returns a part of an object: of all of it where the range is "".
func (h *healed) read(t *testing.T, i int, byteRange string) ([]byte, error) {
	in := &s3.GetObjectInput{Bucket: aws.String(healBucket), Key: aws.String(h.key(i))}
	if byteRange != "" {
		in.Range = &byteRange
	}
	out, err := h.s3.GetObject(t.Context(), in)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(out.Body)
	return got, errors.Join(err, out.Body.Close())
}

// readBack reads every object and compares its SHA-256.
func (h *healed) readBack(t *testing.T, when string) {
	t.Helper()
	inParallel(t, h.objects, func(i int) error {
		got, err := h.read(t, i, "")
		if err == nil && sha(got) != sha(h.body(i)) {
			err = fmt.Errorf("%d bytes of SHA-256 %s, want %d of %s", len(got), sha(got), h.size(i), sha(h.body(i)))
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", when, err)
		}
		return err
	})
}

// waitWhole waits until every extent of every object has all its pieces, on volumes of their own, where they belong.
func (h *healed) waitWhole(t *testing.T, pieces int) {
	t.Helper()
	left, why := []int{}, errors.New("nothing was asked")
	for i := range h.objects {
		left = append(left, i)
	}
	for end := time.Now().Add(healTime); len(left) > 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d objects are not whole after %v, for instance %d: %v\n%s", len(left), h.objects, healTime, left[0], why, h.d.front.logTail())
		}
		left = slices.DeleteFunc(left, func(i int) bool {
			err := h.whole(i, pieces)
			if err != nil {
				why = err
			}
			return err == nil
		})
	}
}

// healTime is how long a repair may take.
const healTime = 2 * time.Minute

func (h *healed) whole(i, pieces int) error {
	l, err := h.d.locate(h.web, healBucket, h.key(i))
	if err != nil {
		return err
	}
	for _, x := range l.Extents {
		on := map[int]bool{}
		for _, p := range x.Pieces {
			on[p.Volume] = p.Volume != 0
		}
		if len(on) != pieces || on[0] || !l.InPlace {
			return fmt.Errorf("lies at %+v, in place %v", x.Pieces, l.InPlace)
		}
	}
	return nil
}

// blobsOn returns the blobs of each object on a volume.
func (h *healed) blobsOn(t *testing.T, volume int) [][]string {
	t.Helper()
	blobs := make([][]string, h.objects)
	inParallel(t, h.objects, func(i int) error {
		l, err := h.d.locate(h.web, healBucket, h.key(i))
		for _, p := range l.pieces() {
			if p.Volume == volume {
				blobs[i] = append(blobs[i], p.Blob)
			}
		}
		return err
	})
	return blobs
}

// waitReplaced does something over and over, as reading all objects, until no object has one of its old blobs on a volume, and
// all have one there: a copy that is bad is found by the first who is given it.
func (h *healed) waitReplaced(t *testing.T, volume int, old [][]string, meanwhile func()) {
	t.Helper()
	left := 0
	for end := time.Now().Add(healTime); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		meanwhile()
		left = 0
		for i, now := range h.blobsOn(t, volume) {
			if len(now) == 0 || slices.ContainsFunc(now, func(blob string) bool { return slices.Contains(old[i], blob) }) {
				left++
			}
		}
		if left == 0 {
			return
		}
	}
	t.Fatalf("%d objects still have their damaged copies on volume %d\n%s", left, volume, h.d.front.logTail())
}

// flipIn changes a byte of every copy of every object in the data files below a directory, and returns how many. Files that
// vanish meanwhile are left out.
func (h *healed) flipIn(t *testing.T, random func(int) int, dir string) (flips int) {
	t.Helper()
	marks, flipped := make([][]byte, h.objects), make([]bool, h.objects)
	for i := range marks {
		body := h.body(i)
		at := random(min(len(body), 64<<10) - 64)
		marks[i] = body[at : at+64]
	}
	for _, file := range (&deployment{dataDirs: []string{dir}}).findFiles(t, "any") {
		raw, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		raw = bytes.TrimRight(raw, "\x00") // space set aside
		for i, mark := range marks {
			if found := bytes.Index(raw, mark); found >= 0 {
				flip{file: file, offset: int64(found + random(64)), mask: byte(1 + random(255))}.apply(t)
				flips, flipped[i] = flips+1, true
			}
		}
	}
	if i := slices.Index(flipped, false); i >= 0 {
		t.Fatalf("object %d was not found below %s", i, dir)
	}
	return flips
}

// wipe kills a volume process, removes its directory and starts it again, as what it is then: a new, empty volume of nobody.
// It returns its URL.
func (d *deployment) wipe(t *testing.T, i int) string {
	t.Helper()
	p := d.volumes[i]
	p.kill(t)
	if err := os.RemoveAll(d.dataDirs[i]); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	url := d.volumeURL(t, i)
	d.waitUp(t, url)
	return url
}

// volumeURL is where a volume process listens.
func (d *deployment) volumeURL(t *testing.T, i int) string {
	t.Helper()
	_, file, _ := strings.Cut(d.volumes[i].args[1], "=")
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "listen: ")
	addr, _, _ := strings.Cut(rest, "\n")
	return "http://" + addr
}

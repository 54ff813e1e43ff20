package compattests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	settledLine = "everything is where the topology places it" // of the log, at the end of a rebalance
	growObjects = 400
	growBucket  = "grown"
	growTime    = time.Minute // that a rebalance may take
)

// TestAddVolume appends a volume to the list and starts again. Just the objects whose place has changed move, and each
// reads back as it was; then another one is added under a mixed load.
//
// Covers: PutObject, GetObject, DeleteObject, CompleteMultipartUpload.
func TestAddVolume(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c := d.sdk(t)
		bucket(t, c, growBucket)
		fillGrown(t, c)
		before := d.volumeCount()
		d.front.stop(t)
		d.appendVolume(t, "grown1")
		d.start(t)
		moved := d.waitSettled(t, 1)
		checkGrown(t, c)
		if share := growObjects / (before + 1); moved < share/2 || moved > share*3/2 {
			t.Errorf("%d of %d objects have moved to one volume of %d, want about %d", moved, growObjects, before+1, share)
		}
		d.stop(t)
		counts := d.blobCounts(t)
		if last := counts[len(counts)-1]; last != moved {
			t.Errorf("%d objects have moved, and the new volume holds %d: %v", moved, last, counts)
		}

		d.appendVolume(t, "grown2")
		for _, p := range d.volumes {
			if !p.alive() {
				p.start(t)
			}
		}
		crew := newCrew(t, d, seed(t))
		d.start(t)
		crew.prepare(t)
		stop := crew.work()
		d.waitSettled(t, 2)
		stop()
		if n := crew.interrupted(); n != 0 {
			t.Errorf("%d writes failed during a rebalance", n)
		}
		crew.check(t)
		checkGrown(t, c)
	})
}

// TestDeleteVolume empties one volume of four: its objects move and no others, and it holds nothing at the end.
//
// Covers: PutObject, GetObject.
func TestDeleteVolume(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, clusterKind, settings{})
	d.front.stop(t)
	d.appendVolume(t, "fourth")
	d.start(t)
	c := d.sdk(t)
	bucket(t, c, growBucket)
	fillGrown(t, c)
	code, output := command(t, nil, "master", "-config="+d.masterFile(), "-delete=1")
	if code != 1 || !strings.Contains(output, "the store is running") {
		t.Fatalf("beside a running master: exit code %d\n%s", code, output)
	}
	d.front.stop(t)
	for index, says := range map[string]string{"4": "the list has 4, from 0 to 3", "x": "want the index"} {
		if code, output := command(t, nil, "master", "-config="+d.masterFile(), "-delete="+index); code != 2 || !strings.Contains(output, says) {
			t.Errorf("-delete=%s: exit code %d, want 2 and %q\n%s", index, code, says, output)
		}
	}
	url := d.listed(t)[1]
	code, output = command(t, nil, "master", "-config="+d.masterFile(), "-delete", "1")
	if code != 0 || !strings.Contains(output, url+" is not part of the store any more") {
		t.Fatalf("exit code %d\n%s", code, output)
	}
	held, moved := number(t, output, `moving what is on \S+: (\d+) blobs`), number(t, output, `(?m)^moved (\d+) blobs`)
	if held < growObjects/8 || moved != held {
		t.Errorf("the volume held %d blobs, and %d have moved", held, moved)
	}
	if code, output := command(t, nil, "master", "-config="+d.masterFile()); code != 1 || !strings.Contains(output, "deleted: "+url) {
		t.Errorf("with the deleted volume in the list: exit code %d\n%s", code, output)
	}
	d.dropVolume(t, 1)
	d.start(t)
	checkGrown(t, c)
	d.stop(t)
	counts := d.blobCounts(t)
	if counts[1] != 0 || counts[0]+counts[2]+counts[3] != growObjects {
		t.Errorf("the volumes hold %v blobs of %d objects", counts, growObjects)
	}
}

// TestDeleteVolumeKilled kills the deletion, volumes, and masters that go on with it, at random moments, until it comes to
// its end. Nothing is lost, and nothing is left. TDKVS_DRAIN_CYCLES deletions are made, on the same data; each is killed up
// to TDKVS_DRAIN_KILLS times.
//
// Covers: PutObject, GetObject, DeleteObject, CompleteMultipartUpload.
func TestDeleteVolumeKilled(t *testing.T) {
	cycles, kills := sizeFromEnv(t, "TDKVS_DRAIN_CYCLES", 1), sizeFromEnv(t, "TDKVS_DRAIN_KILLS", 5)
	t.Parallel()
	s := seed(t)
	choices := newRand(s, 1000)
	d := startDeployment(t, clusterKind, settings{garbageGrace: 200 * time.Millisecond})
	crew := newCrew(t, d, s)
	crew.prepare(t)
	c := d.sdk(t)
	bucket(t, c, growBucket)
	fillGrown(t, c)
	stop := crew.work()
	time.Sleep(time.Second) // what the crew writes is as random as the moments of the kills
	stop()
	for cycle := range cycles {
		if cycle > 0 {
			d.front.stop(t)
			d.appendVolume(t, fmt.Sprintf("again%d", cycle))
			d.start(t)
		}
		d.front.stop(t)
		index := choices.IntN(len(d.listed(t)))
		where := d.positionOf(t, d.listed(t)[index])
		d.deleteWithKills(t, crew, index, kills, choices)
		d.dropVolume(t, index)
		d.start(t)
		if crew.check(t); t.Failed() {
			t.Fatalf("cycle %d: wrong after the deletion", cycle)
		}
		checkGrown(t, c)
		d.volumes[where].stop(t)
		if n := lastBlobs(t, d.volumes[where]); n != 0 {
			t.Fatalf("cycle %d: %d blobs are left on %s", cycle, n, d.volumes[where].name)
		}
		d.volumes = append(d.volumes[:where:where], d.volumes[where+1:]...)
	}
	said, err := os.ReadFile(filepath.Join(d.dir, "deletion.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d deletions, begun %d times, %d of them in the middle", cycles, strings.Count(string(said), "msg=starting"),
		strings.Count(string(said), "going on to move"))
}

// deleteWithKills deletes a volume, with interruptions.
func (d *deployment) deleteWithKills(t *testing.T, crew *crew, index, kills int, choices *rand.Rand) {
	t.Helper()
	for i := 0; ; i++ {
		p := &process{name: fmt.Sprintf("deletion %d", i), args: []string{"master", "-config=" + d.masterFile(), "-delete=" + fmt.Sprint(index)},
			logFile: filepath.Join(d.dir, "deletion.log")}
		p.start(t)
		if i == kills {
			if code := p.wait(t, growTime); code != 0 {
				t.Fatalf("the last deletion ended with code %d\n%s", code, p.logTail())
			}
			return
		}
		time.Sleep(time.Duration(choices.IntN(400)) * time.Millisecond) // the moment is what varies
		dice := choices.IntN(3)
		if dice == 1 { // a volume, too; the deletion meets with it for a while
			v := d.volumes[choices.IntN(len(d.volumes))]
			v.kill(t)
			time.Sleep(time.Duration(choices.IntN(200)) * time.Millisecond)
			v.start(t)
		}
		p.kill(t)
		if p.running.err == nil {
			return // it had come to its end
		}
		if dice == 2 && d.goesOn(t) {
			stop := crew.work()
			time.Sleep(time.Duration(choices.IntN(300)) * time.Millisecond)
			d.front.kill(t)
			stop()
		}
		p.checkLog(t)
	}
}

// goesOn starts the master in the middle of a deletion. It reports false where the deletion had come to its end, and only
// did not say so before it was killed.
func (d *deployment) goesOn(t *testing.T) bool {
	t.Helper()
	d.front.start(t)
	for end := time.Now().Add(growTime); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if !d.front.alive() {
			if code := d.front.wait(t, time.Second); code != 1 || !strings.Contains(d.front.logTail(), "- deleted: ") {
				t.Fatalf("exit code %d\n%s", code, d.front.logTail())
			}
			return false
		}
		if ready, _ := d.probe("/-/readyz"); ready {
			return true
		}
	}
	t.Fatalf("not ready\n%s", d.front.logTail())
	return false
}

func fillGrown(t *testing.T, c *s3.Client) {
	t.Helper()
	for i := range growObjects {
		put(t, c, growBucket, fmt.Sprint(i), content(fmt.Sprint("grown", i), 37*i))
	}
}

func checkGrown(t *testing.T, c *s3.Client) {
	t.Helper()
	for i := range growObjects {
		if got, want := sha(get(t, c, growBucket, fmt.Sprint(i))), sha(content(fmt.Sprint("grown", i), 37*i)); got != want {
			t.Errorf("object %d: SHA-256 %s, want %s", i, got, want)
		}
	}
}

// volumeCount is the number of volumes of the store.
func (d *deployment) volumeCount() int { return len(d.dataDirs) }

// appendVolume adds a new volume to the list. The front must not run.
func (d *deployment) appendVolume(t *testing.T, name string) {
	t.Helper()
	dir := filepath.Join(d.dir, name)
	d.dataDirs = append(d.dataDirs, dir)
	if d.kind == serverKind {
		d.front.args = append(d.front.args, dir)
		return
	}
	_, file, _ := strings.Cut(d.volumes[0].args[1], "=")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(string(text), "cluster_secret: ")
	addr := freeAddress(t)
	config := d.writeFile(t, name+".yaml", fmt.Sprintf("listen: %s\npath: %s\ncluster_secret: %s", addr, dir, secret))
	d.volumes = append(d.volumes, &process{name: name, args: []string{"volume", "-config=" + config}, logFile: filepath.Join(d.dir, name+".log")})
	d.setListed(t, append(d.listed(t), "http://"+addr))
}

// dropVolume takes a volume off the master's list.
func (d *deployment) dropVolume(t *testing.T, index int) {
	t.Helper()
	urls := d.listed(t)
	d.setListed(t, append(urls[:index:index], urls[index+1:]...))
}

func (d *deployment) masterFile() string { return filepath.Join(d.dir, "master.yaml") }

// listed returns the volumes in the master's configuration.
func (d *deployment) listed(t *testing.T) (urls []string) {
	t.Helper()
	for _, line := range strings.Split(d.masterText(t), "\n") {
		if url, ok := strings.CutPrefix(line, "  - http"); ok {
			urls = append(urls, "http"+url)
		}
	}
	return urls
}

func (d *deployment) setListed(t *testing.T, urls []string) {
	t.Helper()
	before, rest, _ := strings.Cut(d.masterText(t), "volumes:\n")
	_, after, _ := strings.Cut(rest, "data:")
	d.writeFile(t, "master.yaml", before+"volumes:\n  - "+strings.Join(urls, "\n  - ")+"\ndata:"+after)
}

// positionOf returns which of the volume processes listens at an address.
func (d *deployment) positionOf(t *testing.T, url string) int {
	t.Helper()
	for i, p := range d.volumes {
		_, file, _ := strings.Cut(p.args[1], "=")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "listen: "+strings.TrimPrefix(url, "http://")+"\n") {
			return i
		}
	}
	t.Fatalf("no volume listens at %s", url)
	return 0
}

// waitSettled waits for the end of the n-th rebalance, and returns how many blobs it has moved.
func (d *deployment) waitSettled(t *testing.T, n int) int {
	t.Helper()
	for end := time.Now().Add(growTime); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		parts := strings.Split(d.front.log(t), settledLine)
		if len(parts) > n {
			return number(t, parts[n], `moved=(\d+)`)
		}
	}
	t.Fatalf("the rebalance has not come to its end\n%s", d.front.logTail())
	return 0
}

// blobCounts returns how many blobs each volume held when it was stopped.
func (d *deployment) blobCounts(t *testing.T) (counts []int) {
	t.Helper()
	if d.kind == clusterKind {
		for _, p := range d.volumes {
			counts = append(counts, lastBlobs(t, p))
		}
		return counts
	}
	lines := regexp.MustCompile(`volume at the end.* blobs=(\d+)`).FindAllStringSubmatch(d.front.log(t), -1)
	for _, line := range lines[len(lines)-d.volumeCount():] {
		counts = append(counts, number(t, line[0], `blobs=(\d+)`))
	}
	return counts
}

// lastBlobs returns how many blobs a volume process held when it was last stopped.
func lastBlobs(t *testing.T, p *process) int {
	t.Helper()
	log := p.log(t)
	return number(t, log[max(0, strings.LastIndex(log, "volume at the end")):], `blobs=(\d+)`)
}

func number(t *testing.T, text, pattern string) int {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

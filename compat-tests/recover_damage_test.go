package compattests

import (
	"bytes"
	endian "encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRecoverWithoutAVolume loses the metadata together with one of three volumes, which is off, or whose disk was replaced. With
// two copies of everything nothing is lost, and the store is whole again when the volume is back, or was given up.
//
// Covers: PutObject, GetObject.
func TestRecoverWithoutAVolume(t *testing.T) {
	t.Parallel()
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		l := newLoser(t, startDeployment(t, clusterKind, settings{garbageGrace: 200 * time.Millisecond, lines: "replicas: 2\nvolume_wait: 2s\n"}))
		l.run(t, 0)
		l.d.volumes[1].kill(t)
		l.d.loseMetadata(t)
		l.d.recovering(t)
		l.d.waitServing(t)
		l.check(t)
		l.d.volumes[1].start(t)
		l.d.waitReady(t)
		l.check(t)
		l.d.stillWhole(t)
	})
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		l := newLoser(t, startDeployment(t, clusterKind, settings{garbageGrace: 200 * time.Millisecond, lines: "replicas: 2\nvolume_wait: 2s\n"}))
		l.run(t, 0)
		url := l.d.wipe(t, 1)
		l.d.loseMetadata(t)
		// The metadata is back, and with it what is wrong with the volume is known.
		l.d.refusesToRecover(t, nil, "the metadata was recovered", "new volume", "in the place of another", url)
		l.d.volumes[1].kill(t)
		l.d.front.start(t)
		l.d.waitServing(t)
		l.check(t)
		l.d.mustAdmin(t, "volume", "lost", "2", "-yes")
		l.d.volumes[1].start(t)
		l.d.waitUp(t, url)
		l.d.mustAdmin(t, "volume", "add", url)
		l.d.waitRebalanced(t)
		l.check(t)
		l.d.stillWhole(t)
	})
}

// waitServing waits until the front serves, whatever its volumes do.
func (d *deployment) waitServing(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if !d.front.alive() {
			t.Fatalf("it has ended\n%s", d.front.logTail())
		}
		if up, _ := d.probe("/-/readyz"); up {
			return
		}
	}
	t.Fatalf("it does not serve\n%s", d.front.logTail())
}

// TestRecoverAfterRefusedStart: who starts the store as always after its metadata was lost is refused and told of -recover, and
// does not stand in the way of it then.
//
// Covers: PutObject, GetObject.
func TestRecoverAfterRefusedStart(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{serverKind, clusterKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := startDeployment(t, kind, settings{})
			c := d.sdk(t)
			bucket(t, c, "kept")
			put(t, c, "kept", "a", content("a", 1000))
			d.front.kill(t)
			d.loseMetadata(t)
			before := len(d.front.log(t))
			d.front.start(t)
			code := d.front.wait(t, time.Minute)
			if said := d.front.log(t)[before:]; code != 1 || !strings.Contains(said, "-recover") {
				t.Errorf("a start without metadata: exit code %d\n%s", code, said)
			}
			d.recover(t)
			sameBytes(t, "recovered", get(t, c, "kept", "a"), content("a", 1000))
		})
	}
}

// TestRecoverRefuses: where metadata can not be recovered, or should not, the refusal says why and what to do, and changes
// nothing: with the right volumes everything is there again.
//
// Covers: PutObject, GetObject.
func TestRecoverRefuses(t *testing.T) {
	t.Parallel()
	shared := settings{clusterSecret: "a secret that two clusters share"}
	d, other := startDeployment(t, clusterKind, shared), startDeployment(t, clusterKind, shared)
	c := d.sdk(t)
	bucket(t, c, "kept")
	for i := range 30 {
		put(t, c, "kept", fmt.Sprint(i), content(fmt.Sprint("kept", i), 1000*i))
	}
	d.front.kill(t)
	other.front.kill(t)
	own, foreign := volumeURLs(t, d), volumeURLs(t, other)
	d.refusesToRecover(t, nil, "not empty", d.metadataDir(), "rename it first")
	d.loseMetadata(t)
	for name, tc := range map[string]struct {
		volumes []string
		says    []string
	}{
		"two stores":    {append(slices.Clone(own), foreign[0]), []string{"different stores", own[0], foreign[0]}},
		"two away":      {own[:1], []string{"recover", "run this again"}},
		"nobody there":  {[]string{"http://" + freeAddress(t)}, []string{"no volume can be asked"}},
		"a new volume":  {[]string{d.addVolume(t, "fresh")}, []string{"nothing to recover"}},
		"another's one": {foreign[:1], []string{"recover", "run this again"}},
	} {
		code, output := command(t, nil, "master", "-recover", "-config="+d.masterConfig(t, strings.ReplaceAll(name, " ", "-"), tc.volumes))
		if code != 1 {
			t.Errorf("%s: exit code %d, want 1\n%s", name, code, output)
		}
		for _, want := range tc.says {
			if !strings.Contains(output, want) {
				t.Errorf("%s: does not say %q:\n%s", name, want, output)
			}
		}
		if entries, err := os.ReadDir(d.metadataDir()); len(entries) > 0 {
			t.Fatalf("%s: left %v, %v", name, entries, err)
		}
	}
	if code, output := command(t, nil, "master", "-config="+d.masterConfig(t, "plain", own)); code != 1 || !strings.Contains(output, "-recover") {
		t.Errorf("a start without metadata: exit code %d, and -recover is not named:\n%s", code, output)
	}
	d.loseMetadata(t) // that start has left an empty store
	d.recover(t)
	for i := range 30 {
		sameBytes(t, "after refusals", get(t, c, "kept", fmt.Sprint(i)), content(fmt.Sprint("kept", i), 1000*i))
	}
	d.stillWhole(t)
}

// TestRecoverNotices takes one commit away, in all its copies: that is noticed, whatever came after it, and is only accepted by
// the code that stands for this very loss.
//
// Covers: PutObject, GetObject.
func TestRecoverNotices(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{serverKind, clusterKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := startDeployment(t, kind, settings{garbageGrace: time.Hour})
			c := d.sdk(t)
			bucket(t, c, "kept")
			const objects = 30
			for i := range objects {
				put(t, c, "kept", fmt.Sprintf("%02d", i), content(fmt.Sprint("kept", i), 3000))
			}
			for _, p := range d.processes() {
				p.kill(t)
			}
			d.loseMetadata(t)
			seq := d.loseCommit(t)
			for _, p := range d.volumes {
				p.start(t)
			}
			says := d.refusesToRecover(t, nil, fmt.Sprintf("commit %d is missing", seq), "would be lost", "-accept-loss=")
			code := regexp.MustCompile(`-accept-loss=([0-9a-f]{8})\n`).FindStringSubmatch(says)
			if code == nil {
				t.Fatalf("no code:\n%s", says)
			}
			d.refusesToRecover(t, []string{"-accept-loss=00000000"}, "not the loss", code[0])
			d.recover(t, "-accept-loss="+code[1])
			// What came before is there, what came after is not, and the store goes on.
			keys := listAll(t, c, "kept")
			if len(keys) == 0 || len(keys) >= objects {
				t.Errorf("%d objects are there", len(keys))
			}
			for i, key := range keys {
				sameBytes(t, "before the loss", get(t, c, "kept", key), content(fmt.Sprint("kept", i), 3000))
			}
			for i := range objects {
				put(t, c, "kept", fmt.Sprintf("%02d", i), content(fmt.Sprint("kept", i), 3000))
			}
			d.front.kill(t)
			d.loseMetadata(t)
			d.recover(t)
			for i := range objects {
				sameBytes(t, "written after the loss", get(t, c, "kept", fmt.Sprintf("%02d", i)), content(fmt.Sprint("kept", i), 3000))
			}
		})
	}
}

// loseCommit spoils all copies of a commit among the last ones, and returns its number.
func (d *deployment) loseCommit(t *testing.T) uint64 {
	t.Helper()
	type copyAt struct {
		file   string
		offset int64
	}
	copies := map[uint64][]copyAt{}
	for _, dir := range d.dataDirs {
		files, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
		if err != nil {
			t.Fatal(err)
		}
		if d.kind == serverKind {
			files, err = filepath.Glob(filepath.Join(dir, "volume", "segments", "*.seg"))
		}
		if err != nil || len(files) == 0 {
			t.Fatalf("no segments in %s: %v", dir, err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(filepath.Clean(file))
			if err != nil {
				t.Fatal(err)
			}
			for at := 0; ; at++ {
				next := bytes.Index(raw[at:], []byte("TKJN\x01\x01")) // an entry, or what a blob says that it is
				if next < 0 {
					break
				}
				at += next
				if at+96 <= len(raw) {
					seq := endian.LittleEndian.Uint64(raw[at+48:])
					copies[seq] = append(copies[seq], copyAt{file, int64(at)})
				}
			}
		}
	}
	seqs := slices.Sorted(maps.Keys(copies))
	if len(seqs) < 20 {
		t.Fatalf("%d commits were found", len(seqs))
	}
	seq := seqs[len(seqs)-10]
	for _, c := range copies[seq] {
		flip{file: c.file, offset: c.offset + 50, mask: 1}.apply(t)
	}
	return seq
}

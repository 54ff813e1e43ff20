package compattests

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// powerCut is a moment at which the power goes, and what becomes of what was not durable yet.
type powerCut struct {
	cut     int  // events before it
	fate    fate // of the writes that no flush has made durable
	ignored int  // the last flushes that the disk has ignored
	stable  int  // events that are done for sure
}

func (c powerCut) String() string {
	return fmt.Sprintf("power cut after event %d, of the last %d of which survive: %s", c.cut, c.cut-c.stable, c.fate)
}

// recorded is a store that was at work on a disk that recorded everything.
type recorded struct {
	bench *bench
	d     *deployment
	crew  *crew
	log   *recording
	ready int // events when the bucket was there

	stable  *disk // what is durable after the events that are done
	done    int
	choices *rand.Rand
}

// TestPowerCut records every write and every flush of the disk below a busy store, Badger and the file system's journal included,
// and makes the disks that a power cut may have left: everything up to a flush that was answered, and any part of what came
// later. On each the store must start, hold what it had acknowledged, byte for byte, and work.
//
// Covers: PutObject, DeleteObject, CompleteMultipartUpload, GetObject.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	images := sizeFromEnv(t, "TDKVS_POWER_CUTS", 12)
	for _, c := range []struct{ name, kind, system, lines string }{
		{"server on ext4", serverKind, "ext4", ""},
		{"server with one copy of the metadata on ext4", serverKind, "ext4", oneMetadataCopy},
		{"cluster on xfs", clusterKind, "xfs", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := seed(t)
			r := record(t, c.kind, c.system, c.lines, s, "")
			counts := map[fate]int{}
			for _, c := range r.cuts(newRand(s, 100), images, 0) {
				counts[c.fate]++
				if errs := r.try(t, c, true); len(errs) > 0 {
					t.Fatalf("%v: %v", c, errors.Join(errs[:min(5, len(errs))]...))
				}
			}
			t.Logf("%d writes acknowledged; %d events, %d MiB; %d power cuts, by what became of what was not durable: %v",
				r.crew.acknowledged(), len(r.log.events), r.log.bytes>>20, images, counts)
		})
	}
}

// TestPowerCutCanFail shows that the test of power cuts sees what it is for: a store whose calls to make something durable
// do nothing, one kind of call at a time, and a disk that ignores its last flushes.
func TestPowerCutCanFail(t *testing.T) {
	t.Parallel()
	images := sizeFromEnv(t, "TDKVS_POWER_CUTS", 12)
	for _, without := range []string{"fsync", "fdatasync", ""} {
		name, ignored := "without "+without, 0
		if without == "" {
			name, ignored = "a disk that ignores flushes", 20
		}
		t.Run(name, func(t *testing.T) {
			s := seed(t)
			r := record(t, serverKind, "ext4", "", s, without)
			for i, c := range r.cuts(newRand(s, 100), 4*images, ignored) {
				if errs := r.try(t, c, false); len(errs) > 0 {
					t.Logf("seen at power cut %d, %v: %v", i+1, c, errs[0])
					return
				}
			}
			t.Errorf("%d power cuts, and nothing was lost", 4*images)
		})
	}
}

// oneMetadataCopy is the line of a configuration with which commits wait for one sync alone, where the volume is in the process.
const oneMetadataCopy = "metadata_copies: 1\n"

// record lets a crew work on a store for a while, on a disk that records it.
func record(t *testing.T, kind, system, lines string, seed uint64, without string) *recorded {
	t.Helper()
	r := &recorded{bench: newBench(t, system), stable: newDisk(nil), log: &recording{}, choices: newRand(seed, 101)}
	r.bench.insert(t, r.stable, nil)
	r.bench.format(t)
	r.bench.insert(t, newDisk(r.stable), r.log)
	r.d = newDeployment(t, kind, settings{data: r.bench.mounts, garbageGrace: 200 * time.Millisecond, lines: "log: {level: warn}\n" + lines})
	r.d.leaveUnchecked("its disks are gone, and each that was tried is checked on its own")
	for _, p := range r.d.processes() {
		p.without = without
	}
	if err := r.bench.mount(t); err != nil {
		t.Fatal(err)
	}
	defer r.leave(t)
	r.d.start(t)
	r.crew = newCrew(t, r.d, seed)
	r.crew.prepare(t)
	r.ready = r.log.now()
	for _, w := range r.crew.writers {
		w.moment = r.log.now
	}
	stop := r.crew.work()
	time.Sleep(time.Duration(sizeFromEnv(t, "TDKVS_POWER_SECONDS", 2)) * time.Second)
	stop()
	if n := r.crew.acknowledged(); n < 50 {
		t.Fatalf("only %d writes were acknowledged", n)
	}
	return r
}

// leave ends the processes and unmounts.
func (r *recorded) leave(t *testing.T) {
	t.Helper()
	for _, p := range r.d.processes() {
		p.kill(t)
	}
	r.bench.unmount(t)
}

// cuts draws power cuts, in the order in which their disks can be made: at any moment, and just after acknowledgements.
func (r *recorded) cuts(choices *rand.Rand, count, ignored int) []powerCut {
	cuts := make([]powerCut, count)
	for i := range cuts {
		c := powerCut{cut: choices.IntN(len(r.log.events) + 1), ignored: ignored}
		if i%2 == 0 {
			acts := r.crew.writers[choices.IntN(len(r.crew.writers))].acts
			c.cut = max(0, acts[choices.IntN(len(acts))].acked)
		}
		c.fate = []fate{noneSurvive, allSurvive, someSurvive, someTorn, someTorn}[choices.IntN(5)]
		c.stable = r.log.stable(c.cut, ignored)
		cuts[i] = c
	}
	slices.SortFunc(cuts, func(a, b powerCut) int { return a.stable - b.stable })
	return cuts
}

// try makes the disk that a power cut leaves, starts the store on it, and returns what is wrong.
func (r *recorded) try(t *testing.T, c powerCut, whole bool) (errs []error) {
	t.Helper()
	r.stable.replay(r.log.events[r.done:c.stable])
	r.done = c.stable
	image := newDisk(r.stable)
	image.survive(r.log.events[c.stable:c.cut], c.fate, r.choices)
	r.bench.insert(t, image, nil)
	if err := r.bench.mount(t); err != nil {
		return []error{fmt.Errorf("mount: %w", err)}
	}
	defer r.leave(t)
	for _, p := range r.d.processes() {
		p.start(t)
	}
	if err := r.d.ready(t); err != nil {
		return []error{err}
	}
	for _, w := range r.crew.writers {
		w.recall(c.cut)
	}
	if errs = r.crew.wrong(t.Context()); len(errs) > 0 || !whole {
		return errs
	}
	return r.works(t, c)
}

// works wants that nothing is listed but what is there, that the store is whole, and that it takes writes.
func (r *recorded) works(t *testing.T, c powerCut) (errs []error) {
	t.Helper()
	w := r.crew.writers[0]
	if c.cut >= r.ready {
		if err := r.crew.misListed(t); err != nil {
			errs = append(errs, err)
		}
	}
	r.d.wantWhole(t)
	if err := r.d.nativePut(w.web, "after", []byte("the power cut")); err != nil {
		return append(errs, err)
	}
	if b, err := r.d.nativeGet(w.web, "after"); string(b) != "the power cut" {
		errs = append(errs, fmt.Errorf("after the power cut: %q, %w", b, err))
	}
	return errs
}

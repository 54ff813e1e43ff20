package compattests

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// contestsEach is how many contests a store sees, one after the other.
const contestsEach = 20

// TestLinearityUnderFaults lets clients contend, as TestLinearity does, while everything goes wrong that can, again and
// again and in an order drawn from a seed of its own for each contest: the master, volumes or all of them are killed; a
// process stands still for a while; the wire between the master and a volume delays, holds back, cuts, truncates or repeats;
// a volume's disk fills up; and volumes come and go, so that the rebalance runs meanwhile.
//
// Covers: PutObject, CopyObject, CompleteMultipartUpload, DeleteObject, GetObject, HeadObject.
func TestLinearityUnderFaults(t *testing.T) {
	contests := sizeFromEnv(t, "TDKVS_FAULT_CONTESTS", 2)
	steps := sizeFromEnv(t, "TDKVS_FAULT_STEPS", 60)
	t.Parallel()
	for name, lines := range map[string]string{"one copy": "", "three copies": "replicas: 3\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f *faults
			first, counts, done := seed(t), map[string]int{}, map[string]int{}
			for i := range contests {
				if i%contestsEach == 0 {
					f = newFaults(t, lines)
				}
				s := first + uint64(i)
				m := []mode{unversioned, versioned, suspended}[s%3]
				c := f.d.newContest(t, &writes{seed: s}, m, fmt.Sprintf("%s-%d", m, i), shape{keys: 2 + steps/10, steps: steps})
				c.hold(t, 100, func(choices *rand.Rand, over <-chan struct{}) { f.happen(t, c, choices, over, done) })
				c.judge(t)
				c.count(counts)
				if t.Failed() {
					t.Fatalf("contest %d: TDKVS_SEED=%d repeats its choices; what was done: %v", i, s, f.did)
				}
				if i == contests-1 || (i+1)%contestsEach == 0 {
					f.mend(t)
					f.d.mustAdmin(t, "rebalance", "limit", "-rate", "none") // what is left to be done is done soon
					f.d.wantWhole(t)
					f.d.stop(t)
				}
			}
			t.Logf("%d contests; operations, and their answers: %v; faults: %v", contests, counts, done)
		})
	}
}

// faults are what goes wrong with a deployment.
type faults struct {
	d     *deployment
	wires []*wire  // to each of its volumes
	small bool     // their disks can be filled
	did   []string // in the contest that is held
}

func newFaults(t *testing.T, lines string) *faults {
	t.Helper()
	f := &faults{}
	f.d = newDeployment(t, clusterKind, settings{
		volumes: 4, garbageGrace: 200 * time.Millisecond, lines: lines + "log: {level: error}\n",
		through: func(addr string) string {
			w := newWire(t, addr)
			f.wires = append(f.wires, w)
			return w.listener.Addr().String()
		},
	})
	f.d.leaveUnchecked("its disks are taken away at the end, before which it is checked while it serves")
	f.small = f.mountSmall(t)
	f.d.start(t)
	f.d.mustAdmin(t, "rebalance", "limit", "-rate", "4MiB") // so that it takes a while
	return f
}

// happen has one thing after the other go wrong until the contest is over. In the end everything is as it should be.
func (f *faults) happen(t *testing.T, c *contest, choices *rand.Rand, over <-chan struct{}, done map[string]int) {
	t.Helper()
	f.did = nil
	for {
		select {
		case <-over:
			return
		case <-time.After(time.Duration(choices.IntN(200)) * time.Millisecond):
		}
		kind, did := f.one(t, c, choices)
		done[kind]++
		f.did = append(f.did, did)
	}
}

// mend ends what a fault may have left: connections that truncate or repeat live on, and a volume that is held to be down
// because of them is not checked.
func (f *faults) mend(t *testing.T) {
	t.Helper()
	for _, w := range f.wires {
		w.cut()
	}
	time.Sleep(1200 * time.Millisecond) // the master asks each of its volumes once a second how it is
	f.d.waitReady(t)
}

// one has one thing go wrong, and puts it right again.
func (f *faults) one(t *testing.T, c *contest, choices *rand.Rand) (kind, did string) {
	t.Helper()
	i := choices.IntN(len(f.d.volumes))
	pause := time.Duration(choices.IntN(1500)) * time.Millisecond
	switch dice := choices.IntN(10); {
	case dice < 2:
		return "kills", f.kill(t, c, choices)
	case dice < 4:
		p := f.d.volumes[i]
		if choices.IntN(4) == 0 {
			p = f.d.front
		}
		p.signal(t, unix.SIGSTOP)
		time.Sleep(pause)
		p.thaw(t)
		return "freezes", fmt.Sprintf("%s stood still for %v", p.name, pause)
	case dice < 7:
		how := f.wires[i].spoil(choices)
		time.Sleep(pause)
		f.wires[i].heal()
		return "wires", fmt.Sprintf("the wire to %s %s, for %v", f.d.volumes[i].name, how, pause)
	case dice < 8 && f.small:
		f.fill(t, i, pause)
		return "full disks", fmt.Sprintf("the disk of %s is full, for %v", f.d.volumes[i].name, pause)
	}
	return "changes", f.change(t, choices)
}

func (f *faults) kill(t *testing.T, c *contest, choices *rand.Rand) string {
	t.Helper()
	c.outage.Lock()
	defer c.outage.Unlock()
	var names []string
	for _, p := range f.d.victims(choices) {
		p.kill(t)
		names = append(names, p.name)
	}
	time.Sleep(time.Duration(choices.IntN(100)) * time.Millisecond)
	f.d.start(t)
	return "killed " + strings.Join(names, ", ")
}

// change gives a volume another weight, so that some of what it holds moves, or comes back.
func (f *faults) change(t *testing.T, choices *rand.Rand) string {
	t.Helper()
	number, weight := fmt.Sprint(1+choices.IntN(len(f.d.volumes))), fmt.Sprint(1+choices.IntN(4))
	code, output := f.d.admin(t, "volume", "weight", number, weight)
	return fmt.Sprintf("volume %s is to have weight %s: exit code %d, %s", number, weight, code, strings.TrimSpace(output))
}

// fill has a volume's disk be full for a while.
func (f *faults) fill(t *testing.T, i int, pause time.Duration) {
	t.Helper()
	dir := f.d.dataDirs[i]
	var now unix.Statfs_t
	if err := unix.Statfs(dir, &now); err != nil {
		t.Fatal(err)
	}
	resize := func(blocks uint64) error {
		return unix.Mount("", dir, "", unix.MS_REMOUNT, fmt.Sprintf("size=%d", blocks*uint64(now.Bsize)))
	}
	err := resize(now.Blocks - now.Bfree)
	time.Sleep(pause)
	if err := resize(now.Blocks); err != nil {
		t.Fatalf("the disk of volume %d stays full: %v", i, err)
	}
	if err != nil && !errors.Is(err, unix.EINVAL) { // it was written to in the meantime
		t.Fatalf("the disk of volume %d can not be filled: %v", i, err)
	}
}

// mountSmall puts each volume on a file system of its own, in memory. It reports whether that can be done here.
func (f *faults) mountSmall(t *testing.T) bool {
	t.Helper()
	for _, dir := range f.d.dataDirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8g"); err != nil {
			t.Logf("NOT TESTED: full disks. A file system in memory can not be mounted: %v", err)
			return false
		}
		t.Cleanup(func() {
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Errorf("unmount %s: %v", dir, err)
			}
		})
	}
	return true
}

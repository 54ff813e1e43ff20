package compattests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	laboratoryCrew  = 4
	laboratoryLines = "replicas: 2\nleftover_grace: 1s\nstorage_classes:\n  STANDARD_IA: {code: 2+1, min_size: 4KiB}\n"
	laboratoryScrub = "scrub_rate: 16MiB\n"
	reachTime       = time.Minute      // until a point must have been reached
	startTime       = 15 * time.Second // the same for one that is reached as a process starts
)

// buildLaboratory builds tdkvs with its failpoints, once per run.
var buildLaboratory = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "tdkvs-failpoints")
	out, err := exec.Command("go", "build", "-tags", "failpoints", "-o", path, "../cmd/tdkvs").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func laboratoryBinary(t testing.TB) string {
	t.Helper()
	path, err := buildLaboratory()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// failpoints returns the names of all points, as the binary lists them.
func failpoints(t testing.TB) []string {
	t.Helper()
	cmd := exec.Command(laboratoryBinary(t))
	cmd.Env = neutralEnv("TDKVS_FAILPOINT=list")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// lab is a store of which processes are killed at points in their code, under a load that remembers what it was told.
type lab struct {
	d        *deployment
	crew     *crew
	chores   *chores
	choices  *rand.Rand
	resume   func() // ends the load; nil: there is none
	mu       sync.Mutex
	refused  []error             // answers that blame a request; guarded by mu
	urls     map[*process]string // of the volumes of a cluster
	away     string              // the volume that leaves or comes, and may be in the master's list or not
	leaves   bool                // it is deleted; otherwise it was lost, or is to join
	joined   int                 // volumes that were added
	replicas int
	kills    int
}

func newLab(t *testing.T, kind string, seed uint64) *lab {
	t.Helper()
	s := settings{volumes: 4, garbageGrace: 100 * time.Millisecond, lines: laboratoryLines, volumeLines: laboratoryScrub}
	if kind == serverKind {
		s.lines += laboratoryScrub
	}
	l := &lab{d: newDeployment(t, kind, s), choices: newRand(seed, 4000), urls: map[*process]string{}, replicas: 2}
	for _, p := range l.d.processes() {
		l.instrument(t, p)
	}
	if kind == clusterKind {
		for _, url := range l.d.listed(t) {
			l.urls[l.d.volumes[l.d.positionOf(t, url)]] = url
		}
	}
	l.d.start(t)
	l.crew, l.chores = newCrew(t, l.d, seed), newChores(l.d.sdk(t))
	l.crew.writers = l.crew.writers[:laboratoryCrew]
	for _, w := range l.crew.writers {
		w.writes = journalMost // no keys that are written once: all are read after each kill
	}
	l.crew.writers[laboratoryCrew-1].class = types.StorageClassStandardIa
	l.crew.prepare(t)
	if err := l.chores.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.work()
	time.Sleep(500 * time.Millisecond) // something to move
	l.rest()
	return l
}

// instrument has a process run the binary with the points, and obey a file.
func (l *lab) instrument(t *testing.T, p *process) {
	t.Helper()
	p.binary = laboratoryBinary(t)
	p.env = append(p.env, "TDKVS_FAILPOINT=@"+armFile(p))
}

// armFile is the file that says where a process is to be killed.
func armFile(p *process) string { return strings.TrimSuffix(p.logFile, ".log") + ".arm" }

// arm has a process killed when it comes to a point for the n-th time from now on; "": it lives.
func arm(t *testing.T, p *process, point string, n int) {
	t.Helper()
	text := ""
	if point != "" {
		text = fmt.Sprintf("%s=%d", point, n)
	}
	order(t, p, text)
}

// order has a process obey the items of a text.
func order(t *testing.T, p *process, text string) {
	t.Helper()
	if err := os.WriteFile(armFile(p)+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(armFile(p)+".new", armFile(p)); err != nil {
		t.Fatal(err)
	}
}

// work puts the store under load, if it is not already.
func (l *lab) work() {
	if l.resume != nil {
		return
	}
	stop := l.crew.work()
	var over atomic.Bool
	var chores sync.WaitGroup
	chores.Go(func() {
		if l.note(l.chores.check(context.Background())) != nil {
			return
		}
		for !over.Load() {
			if l.note(l.chores.all(context.Background())) != nil {
				return
			}
		}
	})
	l.resume = func() {
		over.Store(true)
		stop()
		chores.Wait()
		l.resume = nil
	}
}

// note remembers an error that no crash excuses.
func (l *lab) note(err error) error {
	var bad *refused
	if errors.As(err, &bad) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.refused = append(l.refused, err)
	}
	return err
}

// rest ends the load.
func (l *lab) rest() {
	if l.resume != nil {
		l.resume()
	}
}

// operations is how many were acknowledged.
func (l *lab) operations() int { return l.crew.acknowledged() + l.chores.acks }

// died waits for a process to end, for so long, and wants that it was killed at the point.
func (l *lab) died(t *testing.T, p *process, point string, wait time.Duration) bool {
	t.Helper()
	select {
	case <-p.running.done:
	case <-time.After(wait):
		if p.alive() {
			return false
		}
	}
	if last := lastLine(p.log(t)); last != "failpoint: killed at "+point {
		t.Fatalf("%s has ended, but was not killed at %s: %v\n%s", p.name, point, p.running.err, p.logTail())
	}
	var exit *exec.ExitError
	if !errors.As(p.running.err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%s: %v, want SIGKILL", p.name, p.running.err)
	}
	l.kills++
	return true
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.HasPrefix(line, "failpoint: ") {
			return line
		}
	}
	return lines[len(lines)-1]
}

// provoke arms a point of a process and does what leads to it, again and again, until the process is dead. It reports
// whether that came about.
func (l *lab) provoke(t *testing.T, p *process, point string, n int, attempt func(*testing.T, *process)) bool {
	t.Helper()
	arm(t, p, point, n)
	return l.reach(t, p, point, attempt)
}

// reach is provoke for a point that is armed.
func (l *lab) reach(t *testing.T, p *process, point string, attempt func(*testing.T, *process)) bool {
	t.Helper()
	defer arm(t, p, "", 0)
	dead := false
	for end := time.Now().Add(reachTime); !dead && time.Now().Before(end); dead = l.died(t, p, point, 0) {
		l.work()
		attempt(t, p)
	}
	l.rest()
	return dead
}

// settle starts what was killed, and wants that nothing is lost and the store is whole; then everything is done once more.
func (l *lab) settle(t *testing.T) {
	t.Helper()
	l.rest()
	l.restart(t)
	l.finish(t)
	l.crew.check(t)
	if err := l.chores.check(t.Context()); err != nil {
		t.Error(err)
	}
	l.d.wantWhole(t)
	if err := l.chores.all(t.Context()); err != nil {
		t.Errorf("done again: %v", err)
	}
	if err := l.chores.check(t.Context()); err != nil {
		t.Errorf("done again: %v", err)
	}
	for _, err := range l.refused {
		t.Errorf("refused: %v", err)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// restart starts what does not run. The master's list is right, or would be with the volume that is away, or without it.
func (l *lab) restart(t *testing.T) {
	t.Helper()
	for _, p := range l.d.volumes {
		if !p.alive() {
			p.start(t)
			l.d.waitUp(t, l.urls[p])
		}
	}
	if l.d.front.alive() {
		l.d.waitReady(t)
		return
	}
	l.d.front.start(t)
	if l.away != "" && !l.comesUp(t) {
		l.toggle(t, l.away)
		l.d.front.start(t)
	}
	l.d.waitReady(t)
}

// comesUp waits until the front serves, or has ended.
func (l *lab) comesUp(t *testing.T) bool {
	t.Helper()
	for end := time.Now().Add(growTime); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if !l.d.front.alive() {
			return false
		}
		if ready, _ := l.d.probe("/-/readyz"); ready {
			return true
		}
	}
	t.Fatalf("not ready\n%s", l.d.front.logTail())
	return false
}

// toggle takes a volume off the master's list, or puts it on.
func (l *lab) toggle(t *testing.T, url string) {
	t.Helper()
	urls := l.d.listed(t)
	if i := slices.Index(urls, url); i >= 0 {
		l.d.setListed(t, slices.Delete(urls, i, i+1))
		return
	}
	l.d.setListed(t, append(urls, url))
}

// list makes the master's list what the cluster is.
func (l *lab) list(t *testing.T, url string, member bool) {
	t.Helper()
	if slices.Contains(l.d.listed(t), url) != member {
		l.toggle(t, url)
	}
}

package compattests

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestFailpoints kills the store at the points that are in its code, under a load of everything, starts it again and wants
// that nothing that was acknowledged is lost, that what was cut off is there whole or not at all, that the store is whole,
// and that everything can be done again. TDKVS_FAILPOINT_KILLS is how often it is killed at each point, at another arrival
// each time; without it as many points are tried, drawn by TDKVS_SEED, as there is time for. TDKVS_FAILPOINT_ONLY is what their names must contain. A point that is not reached
// fails the test.
//
// Covers: PutObject, DeleteObject, DeleteObjects, CopyObject, CompleteMultipartUpload, AbortMultipartUpload, UploadPart.
func TestFailpoints(t *testing.T) {
	kills := sizeFromEnv(t, "TDKVS_FAILPOINT_KILLS", 0)
	t.Parallel()
	s := seed(t)
	only := os.Getenv("TDKVS_FAILPOINT_ONLY")
	points := slices.DeleteFunc(failpoints(t), func(name string) bool { return !strings.Contains(name, only) })
	order := slices.Clone(points)
	newRand(s, 0).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	q := &pointQueue{order: order, tried: map[string]bool{}}
	for i, kind := range []string{serverKind, clusterKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, kind, s+uint64(i))
			if kills > 0 {
				l.killAtAll(t, points, kills)
			} else {
				l.killAtSome(t, q, time.Now().Add(shortFailpoints))
			}
			t.Logf("%d points, %d kills, %d operations acknowledged, %d interrupted", len(points), l.kills, l.operations(), l.crew.interrupted())
		})
	}
}

// shortFailpoints is how long each kind of deployment is killed where the number of kills is not given.
const shortFailpoints = 15 * time.Second

// pointQueue hands out points to deployments.
type pointQueue struct {
	mu    sync.Mutex
	order []string
	tried map[string]bool
}

// next returns a point that can be reached in a kind of deployment and was not handed out before; "": there is none.
func (q *pointQueue) next(kind string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, point := range q.order {
		w := wayTo(point)
		if !q.tried[point] && (w.fresh && kind == serverKind || slices.Contains(w.kinds, kind)) {
			q.tried[point] = true
			return point
		}
	}
	return ""
}

// killAtSome kills the store once at each point that it is handed, until a time.
func (l *lab) killAtSome(t *testing.T, q *pointQueue, end time.Time) {
	t.Helper()
	for time.Now().Before(end) {
		point := q.next(l.d.kind)
		if point == "" {
			return
		}
		l.killOnce(t, point, 1)
	}
}

// killAtAll kills the store as often as it is told at every point that it can come to.
func (l *lab) killAtAll(t *testing.T, points []string, kills int) {
	t.Helper()
	for _, point := range points {
		w := wayTo(point)
		if !w.fresh && !slices.Contains(w.kinds, l.d.kind) || w.fresh && l.d.kind != serverKind {
			continue
		}
		for i := range kills {
			n := 1
			if i > 0 && w.attempt == nil {
				n += l.choices.IntN(1 << min(i+1, 6))
			}
			l.killOnce(t, point, n)
		}
	}
}

func (l *lab) killOnce(t *testing.T, point string, n int) {
	t.Helper()
	began := time.Now()
	var reached bool
	if wayTo(point).fresh {
		if reached = killFresh(t, point, 1); reached {
			l.kills++
		}
	} else {
		reached = l.killAt(t, point, n)
	}
	switch {
	case t.Failed():
		t.Fatalf("wrong after the kill at %s, arrival %d", point, n)
	case !reached && n == 1:
		t.Errorf("no load comes to %s", point)
	case !reached:
		t.Logf("%s was reached less than %d times in %v", point, n, reachTime)
	}
	t.Logf("%-24s arrival %2d: %v", point, n, time.Since(began).Round(10*time.Millisecond))
}

// TestFailpointsCanFail has the store acknowledge writes before it commits them. Kills before the commit must be noticed.
func TestFailpointsCanFail(t *testing.T) {
	t.Parallel()
	s := seed(t)
	l := newLab(t, serverKind, s)
	const point = "commit/taken"
	for i := range 10 {
		order(t, l.d.front, fmt.Sprintf("mutation=acknowledge-early,%s=%d", point, 1+i*7))
		if !l.reach(t, l.d.front, point, way{}.attemptOf(l)) {
			t.Fatal("no kill before a commit")
		}
		l.restart(t)
		if wrong := l.crew.wrong(t.Context()); len(wrong) > 0 {
			t.Logf("noticed after %d kills: %v", i+1, wrong[0])
			return
		}
	}
	t.Error("nobody has noticed that writes were acknowledged and not committed")
}

// TestNoFailpointsInRelease: what is shipped has no point in it, nor what would arm one.
func TestNoFailpointsInRelease(t *testing.T) {
	t.Parallel()
	shipped, laboratory := fileOf(t, binary(t)), fileOf(t, laboratoryBinary(t))
	for _, name := range append(failpoints(t), "TDKVS_FAILPOINT", "tdkvs/failpoint.") {
		if bytes.Contains(shipped, []byte(name)) {
			t.Errorf("%q is in the binary", name)
		}
		if !bytes.Contains(laboratory, []byte(name)) {
			t.Errorf("%q is not in the binary with points: the check is blind", name)
		}
	}
}

func fileOf(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

package compattests

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// way is how a point is reached.
type way struct {
	kinds   []string // of deployments where it can be
	volume  bool     // in a cluster it is a volume that comes there
	attempt func(*lab, *testing.T, *process)
	start   bool   // as the process starts
	fresh   bool   // as a new store starts for the first time
	before  string // the point at which the process is killed before that start; "": anywhere
}

// wayTo says how a point is reached: that of its own, of its family, or, for whatever is new, under the load of everything.
func wayTo(point string) way {
	both, cluster := []string{serverKind, clusterKind}, []string{clusterKind}
	family, _, _ := strings.Cut(point, "/")
	ways := map[string]way{
		"log": {kinds: both, volume: true}, "segment": {kinds: both, volume: true}, "large": {kinds: both, volume: true},
		"compact": {kinds: both, volume: true}, "scrub": {kinds: both, volume: true}, "file": {kinds: both, volume: true},
		"rebalance": {kinds: both, attempt: (*lab).changeReplicas}, "topology": {kinds: both, attempt: (*lab).changeReplicas},
		"rebalance/restored":   {kinds: cluster, attempt: (*lab).loseAndTakeBack},
		"rebalance/taken-back": {kinds: both, start: true, before: "rebalance/intended"},
		"volume":               {kinds: cluster, attempt: (*lab).loseAndTakeBack},
		"volume/claimed":       {kinds: cluster, attempt: (*lab).replace},
		"drain":                {kinds: cluster, attempt: (*lab).replace},
		"repair":               {kinds: cluster, attempt: (*lab).breakVolume},
		"stop":                 {kinds: both, attempt: (*lab).endProcess},
		"stop/marked":          {kinds: both, volume: true, attempt: (*lab).endProcess},
		"leftovers/clean":      {kinds: both, attempt: (*lab).endProcess},
		"leftovers":            {kinds: both, start: true, before: "put/stored"},
		"recover":              {kinds: both, volume: true, start: true, before: "log/synced"},
		"recover/footed":       {kinds: both, volume: true, start: true, before: "segment/sealed"},
		"recover/cleared":      {kinds: both, volume: true, start: true, before: "large/synced"},
		"journal/rolled":       {kinds: both, start: true, before: "commit/begun"}, // by then the volumes have it, and the metadata not
		"journal/copied":       {kinds: cluster, attempt: (*lab).missVolume},
		"journal/begun":        {fresh: true},
		"first":                {fresh: true}, "identity": {fresh: true}, "claim": {fresh: true},
		"put/single": {fresh: true}, "log/unsynced": {fresh: true}, // where one copy is kept
	}
	for _, name := range []string{point, family} {
		if w, ok := ways[name]; ok {
			return w
		}
	}
	return way{kinds: both}
}

// attemptOf is what is done, beside the load, to come to a point.
func (w way) attemptOf(l *lab) func(*testing.T, *process) {
	return func(t *testing.T, p *process) {
		if w.attempt != nil {
			w.attempt(l, t, p)
			return
		}
		select { // the load does it, until an error ends it
		case <-p.running.done:
		case <-time.After(2 * time.Second):
		}
		l.rest()
	}
}

// killAt kills a process of the store at a point, and wants everything to be in order afterwards. It reports whether the
// point was reached so often.
func (l *lab) killAt(t *testing.T, point string, n int) bool {
	t.Helper()
	w := wayTo(point)
	p := l.d.front
	if w.volume && l.d.kind == clusterKind {
		p = l.d.volumes[l.choices.IntN(len(l.d.volumes))]
	}
	var reached bool
	if w.start {
		reached = l.killAtStart(t, p, point, w)
	} else {
		reached = l.provoke(t, p, point, n, w.attemptOf(l))
	}
	l.settle(t)
	return reached
}

// killAtStart kills a process, has it start with the point armed, and start again.
func (l *lab) killAtStart(t *testing.T, p *process, point string, w way) bool {
	t.Helper()
	for range 3 {
		before := wayTo(w.before)
		if !l.provoke(t, p, w.before, 1+l.choices.IntN(3), before.attemptOf(l)) {
			t.Fatalf("%s does not come to %s", p.name, w.before)
		}
		l.kills++
		arm(t, p, point, 1)
		p.start(t)
		dead := l.died(t, p, point, startTime)
		arm(t, p, "", 0)
		if dead {
			return true
		}
		l.settle(t)
	}
	return false
}

// changeReplicas raises or lowers the number of copies, and waits until that is done.
func (l *lab) changeReplicas(t *testing.T, p *process) {
	l.replicas = 5 - l.replicas // 2 and 3
	if code, _ := l.d.admin(t, "replicas", fmt.Sprint(l.replicas)); code == 0 {
		l.await(p, func() bool {
			r, err := adminGet[adminRebalance](l.d, l.crew.writers[0].web, "/rebalance")
			return err == nil && !r.Active
		})
	}
}

// await waits until something is so, or the process is dead.
func (l *lab) await(p *process, is func() bool) {
	for end := time.Now().Add(growTime); p.alive() && !is() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
}

// member reports whether a volume is in the cluster; known: the master says so.
func (l *lab) member(url string) (member, known bool) {
	list, err := adminGet[struct{ Volumes []struct{ URL string } }](l.d, l.crew.writers[0].web, "/volumes")
	for _, v := range list.Volumes {
		member = member || v.URL == url
	}
	return member, err == nil
}

// loseAndTakeBack gives a volume up as lost, or takes it back.
func (l *lab) loseAndTakeBack(t *testing.T, p *process) {
	if l.away == "" {
		l.away = l.urls[l.d.volumes[l.choices.IntN(len(l.d.volumes))]]
	}
	member, known := l.member(l.away)
	switch {
	case !known:
	case member:
		l.d.admin(t, "volume", "lost", l.away, "-yes")
		l.await(p, func() bool {
			r, err := adminGet[adminRebalance](l.d, l.crew.writers[0].web, "/rebalance")
			return err == nil && !r.Active
		})
	default:
		l.d.admin(t, "volume", "add", l.away)
	}
}

// replace deletes a volume and adds a new one.
func (l *lab) replace(t *testing.T, p *process) {
	if l.away == "" {
		l.away, l.leaves = l.urls[l.d.volumes[l.choices.IntN(len(l.d.volumes))]], true
		l.d.admin(t, "volume", "delete", l.away)
	}
	gone := false
	l.await(p, func() bool {
		member, known := l.member(l.away)
		gone = known && !member
		return gone
	})
	if gone {
		l.exchange(t)
		l.d.admin(t, "volume", "add", l.away)
	}
}

// exchange ends the volume that has left and starts another, which is to join.
func (l *lab) exchange(t *testing.T) {
	t.Helper()
	l.list(t, l.away, false)
	for i, p := range l.d.volumes {
		if l.urls[p] == l.away {
			p.stop(t)
			if n := lastBlobs(t, p); n != 0 {
				t.Fatalf("%d blobs are left on %s", n, p.name)
			}
			l.d.volumes = append(l.d.volumes[:i:i], l.d.volumes[i+1:]...)
			break
		}
	}
	before := len(l.d.listed(t))
	l.leaves = false
	l.joined++
	l.d.appendVolume(t, fmt.Sprint("joined", l.joined))
	p := l.d.volumes[len(l.d.volumes)-1]
	l.instrument(t, p)
	l.away = l.d.listed(t)[before]
	l.urls[p] = l.away
	p.start(t)
	l.d.waitUp(t, l.away)
}

// finish ends what a kill has left half done: a volume that leaves, or has, or was lost.
func (l *lab) finish(t *testing.T) {
	t.Helper()
	if l.away != "" {
		l.finishAway(t)
	}
	l.d.mustAdmin(t, "replicas", fmt.Sprint(l.replicas))
	l.d.waitRebalanced(t)
}

func (l *lab) finishAway(t *testing.T) {
	t.Helper()
	l.d.waitRebalanced(t) // a volume that leaves has left by then
	if member, known := l.member(l.away); !known {
		t.Fatal("the master does not say which volumes there are")
	} else if !member {
		if l.leaves {
			l.exchange(t)
		}
		l.d.mustAdmin(t, "volume", "add", l.away)
	}
	l.list(t, l.away, true)
	l.away, l.leaves = "", false
}

// breakVolume kills a volume for a moment in which others write: what is not where it should be is repaired when it is back.
func (l *lab) breakVolume(t *testing.T, p *process) { l.breakFor(t, p, 300*time.Millisecond) }

// missVolume kills a volume for so long that others get what it has of the journal.
func (l *lab) missVolume(t *testing.T, p *process) { l.breakFor(t, p, 2*time.Second) }

func (l *lab) breakFor(t *testing.T, p *process, pause time.Duration) {
	t.Helper()
	broken := l.d.volumes[l.choices.IntN(len(l.d.volumes))]
	broken.kill(t)
	l.rest()
	l.work()
	l.await(p, func() bool { time.Sleep(pause); return true })
	broken.start(t)
	l.d.waitUp(t, l.urls[broken])
	end := time.Now().Add(3 * time.Second)
	l.await(p, func() bool { return time.Now().After(end) })
}

// endProcess ends a process in the orderly way.
func (l *lab) endProcess(t *testing.T, p *process) {
	end := time.Now().Add(time.Duration(100+l.choices.IntN(300)) * time.Millisecond) // something has been done
	l.await(p, func() bool { return time.Now().After(end) })
	if err := syscall.Kill(p.running.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.running.done:
	case <-time.After(growTime):
		t.Fatalf("%s does not end\n%s", p.name, p.logTail())
	}
}

// killFresh kills a new store at a point of its first start, or of its first write, and wants that it starts again and serves.
func killFresh(t *testing.T, point string, n int) bool {
	t.Helper()
	l := &lab{d: newDeployment(t, serverKind, settings{garbageGrace: 100 * time.Millisecond, lines: "leftover_grace: 1s\n" + oneMetadataCopy})}
	l.instrument(t, l.d.front)
	arm(t, l.d.front, point, n)
	l.d.front.start(t)
	first, acked := content("first", 100_000), false
	if l.comesUp(t) {
		acked = l.d.nativePut(l.d.httpClient(t, 1), "first", first) == nil
	}
	dead := l.died(t, l.d.front, point, startTime)
	arm(t, l.d.front, "", 0)
	l.restart(t)
	if got, err := l.d.nativeGet(l.d.httpClient(t, 1), "first"); err == nil || acked {
		sameBytes(t, "what was written first", got, first)
	} else if statusOf(err) != http.StatusNotFound {
		t.Error(err)
	}
	c := l.d.sdk(t)
	bucket(t, c, "fresh")
	body := content(point, 2<<20)
	put(t, c, "fresh", "object", body)
	l.d.front.kill(t)
	l.restart(t)
	sameBytes(t, "after the second start", get(t, c, "fresh", "object"), body)
	l.d.wantWhole(t)
	l.d.stop(t)
	return dead
}

package compattests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	illNumber  = 2               // the volume that stops
	illFor     = 8 * time.Second // how long it does
	illNoticed = 4 * time.Second // after which nobody tries to use it
	illPace    = 4 * time.Millisecond
	needless   = time.Second // for the 99th percentile of requests that do not need the volume
)

// TestVolumeStops takes one of three volumes away under load, and brings it back: by SIGSTOP, after which it accepts
// connections and never answers, and by SIGKILL. Objects that do not lie on it are read as if nothing were, those that do are
// refused soon, with 503 and Retry-After; new objects are written to the others; and after its return everything can be read and is
// where it belongs.
func TestVolumeStops(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(t *testing.T, p *process) (cure func()){
		"frozen": func(t *testing.T, p *process) func() {
			signal := func(s syscall.Signal) {
				if err := syscall.Kill(p.running.pid, s); err != nil {
					t.Error(err)
				}
			}
			signal(syscall.SIGSTOP)
			cure := sync.OnceFunc(func() { signal(syscall.SIGCONT) })
			t.Cleanup(cure) // or it could not be stopped in the orderly way
			return cure
		},
		"killed": func(t *testing.T, p *process) func() {
			p.kill(t)
			return func() { p.start(t) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDeployment(t, clusterKind, settings{})
			l := newIllLoad(t, d)
			over := l.work()
			time.Sleep(2 * time.Second)
			quiet := l.begin()
			cure := stop(t, d.volumes[illNumber-1])
			time.Sleep(illFor)
			ill := l.begin()
			l.wantAway(t)
			cure()
			l.waitWell(t)
			l.begin()
			time.Sleep(2 * time.Second)
			well := l.begin()
			over()
			quiet.want(t, "before", 0)
			ill.want(t, "while it has stopped", illNoticed)
			well.want(t, "after its return", 0)
			l.wantHome(t)
		})
	}
}

// illLoad reads objects and writes new ones, each kind of request in a goroutine of its own.
type illLoad struct {
	d      *deployment
	client *http.Client
	on     []string // keys on the volume that will stop
	off    []string // keys that are not

	mu      sync.Mutex // owns what follows
	written []string
	now     *illPhase
}

// illPhase is what the load has seen in a while.
type illPhase struct {
	began       time.Time
	read, wrote []time.Duration // of requests that do not need the volume, and of all writes
	wrong       []string
	refused     []time.Duration // reads that need it: how long it took to say no
	served      int             // and those that were served
	unwritten   []string        // writes that were refused
	last        time.Duration   // when the last of them ended, since the phase began
}

func (d *deployment) kv(c *http.Client, method, key string, body []byte) (status int, header http.Header, got []byte, err error) {
	route := map[string]string{http.MethodGet: "/get/", http.MethodPut: "/set/"}[method]
	req, err := http.NewRequest(method, d.url()+route+escape(key), bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.SetBasicAuth(d.accessKey, d.secretKey)
	resp, err := c.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	got, err = io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end
	return resp.StatusCode, resp.Header, got, err
}

func illBody(key string) []byte { return content(key, 3000) }

func newIllLoad(t *testing.T, d *deployment) *illLoad {
	t.Helper()
	l := &illLoad{d: d, client: d.httpClient(t, 32), now: &illPhase{began: time.Now()}}
	for i := range 120 {
		key := fmt.Sprintf("object %03d", i)
		status, _, got, err := d.kv(l.client, http.MethodPut, key, illBody(key))
		if err != nil || status/100 != 2 {
			t.Fatalf("put: %d, %s, %v", status, got, err)
		}
		if slices.Contains(placedOn("kv", key, 3, 1), illNumber) {
			l.on = append(l.on, key)
		} else {
			l.off = append(l.off, key)
		}
	}
	return l
}

// begin ends a phase and begins the next.
func (l *illLoad) begin() *illPhase {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.now
	l.now = &illPhase{began: time.Now()}
	return was
}

// note adds to the phase in which a request began. What was begun in an earlier one is left out: it says nothing of this.
func (l *illLoad) note(began time.Time, add func(p *illPhase, took time.Duration)) {
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !began.Before(l.now.began) {
		add(l.now, took)
	}
}

func (l *illLoad) work() (stop func()) {
	var over atomic.Bool
	var wg sync.WaitGroup
	run := func(step func(i int)) {
		wg.Go(func() {
			for i := 0; !over.Load(); i++ {
				step(i)
				time.Sleep(illPace)
			}
		})
	}
	for w := range 3 {
		run(func(i int) { l.readOff(l.off[(i*7+w)%len(l.off)]) })
	}
	for w := range 4 {
		run(func(i int) { l.readOn(l.on[(i*7+w)%len(l.on)]) })
		run(func(i int) { l.write(fmt.Sprintf("new %d %05d", w, i)) })
	}
	return func() { over.Store(true); wg.Wait() }
}

func (l *illLoad) readOff(key string) {
	began := time.Now()
	status, _, got, err := l.d.kv(l.client, http.MethodGet, key, nil)
	l.note(began, func(p *illPhase, took time.Duration) {
		p.read = append(p.read, took)
		if err != nil || status != http.StatusOK || !bytes.Equal(got, illBody(key)) {
			p.wrong = append(p.wrong, fmt.Sprintf("get %s after %v: %d, %v", key, took, status, err))
		}
	})
}

func (l *illLoad) readOn(key string) {
	began := time.Now()
	status, header, got, err := l.d.kv(l.client, http.MethodGet, key, nil)
	l.note(began, func(p *illPhase, took time.Duration) {
		switch {
		case err == nil && status == http.StatusOK && bytes.Equal(got, illBody(key)):
			p.served++
		case err == nil && status == http.StatusServiceUnavailable && header.Get("Retry-After") != "":
			p.refused = append(p.refused, took)
		default:
			p.wrong = append(p.wrong, fmt.Sprintf("get %s, which is on the volume, after %v: %d, %v", key, took, status, err))
		}
	})
}

func (l *illLoad) write(key string) {
	began := time.Now()
	status, header, _, err := l.d.kv(l.client, http.MethodPut, key, illBody(key))
	if err == nil && status/100 == 2 {
		l.mu.Lock()
		l.written = append(l.written, key)
		l.mu.Unlock()
	}
	l.note(began, func(p *illPhase, took time.Duration) {
		p.wrote = append(p.wrote, took)
		switch {
		case err == nil && status/100 == 2:
		case err == nil && status == http.StatusServiceUnavailable && header.Get("Retry-After") != "":
			p.unwritten = append(p.unwritten, fmt.Sprintf("%s, %v after the beginning", key, began.Sub(p.began)))
			p.last = time.Since(p.began)
		default:
			p.wrong = append(p.wrong, fmt.Sprintf("put %s after %v: %d, %v", key, took, status, err))
		}
	})
}

// want judges a phase. noticed is how long the volume may still be tried; 0: it serves.
func (p *illPhase) want(t *testing.T, what string, noticed time.Duration) {
	t.Helper()
	for _, d := range [][]time.Duration{p.read, p.wrote, p.refused} {
		slices.Sort(d)
	}
	t.Logf("%s: %d reads elsewhere, p99 %v, slowest %v; %d writes, p99 %v, slowest %v, %d refused, the last at %v; %d reads there, %d refused, the slowest after %v",
		what, len(p.read), quantile(p.read, 99), quantile(p.read, 100), len(p.wrote), quantile(p.wrote, 99), quantile(p.wrote, 100), len(p.unwritten), p.last.Round(time.Millisecond),
		p.served+len(p.refused), len(p.refused), quantile(p.refused, 100))
	if len(p.wrong) > 0 {
		t.Errorf("%s: %d wrong answers, the first: %s", what, len(p.wrong), p.wrong[0])
	}
	if len(p.read) < 50 || len(p.wrote) < 50 {
		t.Errorf("%s: there was next to no load", what)
	}
	if q := quantile(p.read, 99); q > needless {
		t.Errorf("%s: reads that do not need the volume have a p99 of %v", what, q)
	}
	if p.last > noticed {
		t.Errorf("%s: writes are still refused after %v, the last: %s", what, p.last, p.unwritten[len(p.unwritten)-1])
	}
	switch {
	case noticed == 0 && len(p.refused) > 0:
		t.Errorf("%s: %d reads are refused", what, len(p.refused))
	case noticed > 0 && (len(p.refused) == 0 || quantile(p.refused, 100) > noticed):
		t.Errorf("%s: %d reads of what lies there are refused, the slowest after %v", what, len(p.refused), quantile(p.refused, 100))
	}
}

// waitWell waits until the master uses all volumes.
func (l *illLoad) waitWell(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, text := l.d.probe("/-/readyz"); !strings.Contains(text, "unreachable") {
			return
		}
	}
	t.Fatalf("the volume is not used again\n%s", l.d.front.logTail())
}

// wantAway wants some of what was written to lie elsewhere than where it belongs.
func (l *illLoad) wantAway(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	written := slices.Clone(l.written)
	l.mu.Unlock()
	away := 0
	for _, key := range written {
		at, err := l.d.locate(l.client, "kv", key)
		if err != nil {
			t.Fatal(err)
		}
		if !at.InPlace {
			away++
		}
	}
	t.Logf("%d of %d new objects are away from home", away, len(written))
	if away < 10 {
		t.Errorf("%d of %d new objects are away from home", away, len(written))
	}
}

// wantHome waits until every object is where it belongs, and reads it.
func (l *illLoad) wantHome(t *testing.T) {
	t.Helper()
	away := append(slices.Concat(l.on, l.off), l.written...)
	for _, key := range away {
		if status, _, got, err := l.d.kv(l.client, http.MethodGet, key, nil); err != nil || status != http.StatusOK || !bytes.Equal(got, illBody(key)) {
			t.Fatalf("get %s: %d, %v", key, status, err)
		}
	}
	began := time.Now()
	isHome := func(key string) bool {
		at, err := l.d.locate(l.client, "kv", key)
		if err != nil {
			t.Fatal(err)
		}
		return at.InPlace
	}
	t.Logf("%d objects", len(away))
	first := 0
	for end := time.Now().Add(time.Minute); len(away) > 0; time.Sleep(50 * time.Millisecond) {
		away = slices.DeleteFunc(away, isHome)
		first = max(first, len(away))
		if len(away) > 0 && time.Now().After(end) {
			t.Fatalf("%d objects are not where they belong, one is %q\n%s", len(away), away[0], l.d.front.logTail())
		}
	}
	t.Logf("%d were away, and are home after %v", first, time.Since(began).Round(time.Millisecond))
}

// TestMasterStartsWithoutAVolume: a master whose volume is frozen when it starts serves what lies elsewhere.
func TestMasterStartsWithoutAVolume(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, clusterKind, settings{})
	l := newIllLoad(t, d)
	d.front.stop(t)
	pid := d.volumes[illNumber-1].running.pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	cure := sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // it runs, or the test is over
	t.Cleanup(cure)
	began := time.Now()
	d.front.start(t)
	for ready := false; !ready; time.Sleep(20 * time.Millisecond) {
		if ready, _ = d.probe("/-/readyz"); !ready && time.Since(began) > 20*time.Second {
			t.Fatalf("not ready\n%s", d.front.logTail())
		}
	}
	t.Logf("ready after %v", time.Since(began).Round(time.Millisecond))
	for i, key := range slices.Concat(l.on, l.off) {
		began := time.Now()
		status, _, got, err := d.kv(l.client, http.MethodGet, key, nil)
		took := time.Since(began)
		switch {
		case took > needless:
			t.Fatalf("get %s took %v", key, took)
		case i < len(l.on) && (err != nil || status != http.StatusServiceUnavailable):
			t.Fatalf("get %s: %d, %v", key, status, err)
		case i >= len(l.on) && (err != nil || status != http.StatusOK || !bytes.Equal(got, illBody(key))):
			t.Fatalf("get %s: %d, %v", key, status, err)
		}
	}
	var said struct {
		Volumes []struct{ State string }
	}
	began = time.Now()
	_, text := d.probe("/-/readyz")
	_, text, _ = strings.Cut(text, ": ") // the status is in front
	if err := json.Unmarshal([]byte(text), &said); err != nil || len(said.Volumes) != 3 || said.Volumes[illNumber-1].State != "unreachable" {
		t.Errorf("readyz says %s, %v", text, err)
	}
	if took := time.Since(began); took > needless {
		t.Errorf("readyz took %v", took)
	}
	began = time.Now()
	d.mustAdmin(t, "status")
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("admin status took %v", took)
	}
	cure()
	l.waitWell(t)
	l.wantHome(t)
}

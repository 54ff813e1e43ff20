package master_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

func TestVolumeGoesDownAndComesBack(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	on, off := s.keys()
	s.sick.down.Store(true)
	s.rounds(1)
	s.wantState(true, true) // one probe may be lost
	s.clock.advance(time.Minute)
	s.rounds(1)
	s.wantState(false, false)
	asked := s.sick.asked.Load()
	_, err := s.tryRead(on)
	wantKind(t, err, meta.KindUnavailable)
	if s.sick.asked.Load() != asked {
		t.Error("a volume that is down was asked for a blob")
	}
	s.wantBody(off, "body")
	s.rounds(5)
	s.wantLogged("volume is down", 1)
	s.wantLogged("connection refused", 1)
	h := s.Health(bg).Volumes[1]
	if !errors.Is(h.Err, volume.ErrUnavailable) || !strings.Contains(h.Err.Error(), "connection refused") || !h.Since.Equal(s.clock.now()) {
		t.Errorf("health is %+v", h)
	}
	s.sick.down.Store(false)
	s.clock.advance(time.Minute)
	s.rounds(1)
	s.wantState(true, true)
	s.wantBody(on, "body")
	s.rounds(3)
	s.wantLogged("volume is back", 1)
	s.wantLogged("after=1m0s", 1)
	if h := s.Health(bg).Volumes[1]; h.Err != nil || !h.Since.Equal(s.clock.now()) {
		t.Errorf("health is %+v", h)
	}
}

// Where calls fail already, one failed probe is enough.
func TestFailedCallsHastenTheVerdict(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	on, _ := s.keys()
	s.sick.down.Store(true)
	_, err := s.tryRead(on)
	wantKind(t, err, meta.KindUnavailable)
	s.rounds(1)
	s.wantState(false, false)
}

// TestVolumeThatIgnoresItsContext: a probe that does not come back holds up
// neither the others nor itself, and there is only one of them.
func TestVolumeThatIgnoresItsContext(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	release := make(chan struct{})
	s.sick.deaf.Store(&release)
	before := s.sick.statuses.Load()
	began := time.Now()
	s.volumes[2].free.Store(1234)
	s.rounds(4)
	if took := time.Since(began); took < 200*time.Millisecond || took > 5*time.Second {
		t.Errorf("4 rounds took %v", took)
	}
	if n := s.sick.statuses.Load() - before; n != 1 {
		t.Errorf("%d probes are out", n)
	}
	s.wantState(false, false)
	if free := s.Health(bg).Volumes[2].Status.Free; free != 1234 {
		t.Errorf("another volume was not asked: %d bytes free", free)
	}
	s.sick.deaf.Store(nil)
	close(release)
	for deadline := time.Now().Add(5 * time.Second); !s.Readable(sickNumber) && time.Now().Before(deadline); {
		s.rounds(1)
	}
	s.wantState(true, true)
}

func TestVolumeOfAnotherIdentityIsDown(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	other := "another"
	s.sick.identity.Store(&other)
	s.rounds(1)
	s.wantState(false, false)
	if h := s.Health(bg).Volumes[1]; !errors.Is(h.Err, volume.ErrWrongVolume) || !strings.Contains(h.Err.Error(), "another") {
		t.Errorf("health is %+v", h)
	}
	s.sick.identity.Store(nil)
	s.rounds(1)
	s.wantState(true, true)
}

func TestVolumeThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	for name, ails := range map[string]volume.Status{"full": {Full: true}, "read-only": {ReadOnly: "fsync: input/output error"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSickbay(t)
			on, _ := s.keys()
			s.sick.ails.Store(&ails)
			s.rounds(3)
			s.wantState(false, true)
			s.wantBody(on, "body")
			s.wantLogged("takes no writes for now", 1)
			s.sick.ails.Store(nil)
			s.rounds(3)
			s.wantState(true, true)
			s.wantLogged("takes writes again", 1)
		})
	}
}

// TestMoreSpaceIsUsed: a volume that had little space left may have refused what is to lie on it, and was never full by
// its own account. What waits for it is tried again when there is more, and not before.
func TestMoreSpaceIsUsed(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	const reserve = 1000
	for _, step := range []struct {
		free  uint64
		wakes bool
	}{{5000, false}, {1001, false}, {1500, false}, {5000, true}, {6000, false}} {
		s.RebalanceWoken()
		s.sick.ails.Store(&volume.Status{Free: step.free, Reserve: reserve})
		s.rounds(1)
		if woken := s.RebalanceWoken(); woken != step.wakes {
			t.Errorf("%d bytes are free, %d are kept: the rebalance is woken: %v", step.free, reserve, woken)
		}
	}
}

// A volume too busy to say in time how it is serves all the same.
func TestBusyVolumeStaysUp(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	on, _ := s.keys()
	s.sick.mute.Store(true)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				s.wantBody(on, "body")
			}
		}
	}()
	s.rounds(5)
	s.wantState(true, true)
	close(stop)
	<-done
	s.rounds(3)
	s.wantState(false, false)
}

// A volume that takes bodies, and says so, is alive; one that stops saying so is not.
func TestVolumeThatTakesBodiesStaysUp(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	on, _ := s.keys()
	s.sick.mute.Store(true)
	over, done := make(chan struct{}), make(chan struct{})
	s.sick.takes.Store(&over)
	go func() {
		defer close(done)
		s.put(on, "body")
	}()
	s.rounds(5)
	s.wantState(true, true)
	s.sick.frozen.Store(true)
	close(over)
	s.rounds(3)
	s.wantState(false, false)
	<-done // it went to another
	s.sick.frozen.Store(false)
	s.sick.mute.Store(false)
	s.rounds(1)
	s.wantBody(on, "body")
}

// TestCircuitOfFailingCalls: a volume that says that all is well while every call
// fails is left alone, tried again, and left alone for longer.
func TestCircuitOfFailingCalls(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	on, _ := s.keys()
	fail := func(n int) {
		for range n {
			_, err := s.tryRead(on)
			wantKind(t, err, meta.KindUnavailable)
		}
	}
	s.sick.failing.Store(true)
	fail(10)
	s.rounds(1)
	s.wantState(true, true) // all at once, as after a restart of its process
	fail(1)
	s.rounds(1)
	s.wantState(false, false)
	s.wantLogged("11 calls in a row have failed", 1)
	s.rounds(1)
	s.wantState(false, false) // not yet
	s.clock.advance(time.Second)
	s.rounds(1)
	s.wantState(true, true)
	fail(1)
	s.rounds(1)
	s.wantState(false, false)
	s.clock.advance(time.Second)
	s.rounds(1)
	s.wantState(false, false) // two this time
	s.sick.failing.Store(false)
	s.clock.advance(time.Second)
	s.rounds(1)
	s.wantState(true, true)
	s.wantBody(on, "body")
	s.rounds(2)
	s.wantState(true, true)
}

// TestReady: the store is ready while a majority of the usual copies can be
// written.
func TestReady(t *testing.T) {
	t.Parallel()
	for replicas, enough := range map[int]int{1: 1, 2: 2, 3: 2, 4: 3} {
		s := newBareStore(t, 4)
		sick := &sickVolume{testVolume: s.volumes[3]}
		cfg := s.config()
		cfg.Replicas, cfg.Volumes[3].Blobs = replicas, sick
		s.openWith(cfg)
		sick.ails.Store(&volume.Status{Full: true}) // it is read from, and that is not enough
		for left := 3; left >= 0; left-- {
			s.Probe(bg)
			if h := s.Health(bg); h.Ready != (left >= enough) {
				t.Errorf("%d replicas, %d volumes take data: ready is %v", replicas, left, h.Ready)
			}
			if left > 0 {
				s.volumes[left-1].down.Store(true)
			}
		}
	}
}

// TestReturnEndsAllPauses: what waited for a volume goes on when it is back, not
// when a pause is over.
func TestReturnEndsAllPauses(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	on, _ := s.keys()
	s.sick.down.Store(true)
	s.rounds(2)
	s.remove(on)
	s.clock.advance(time.Hour)
	for range 8 { // the pause grows
		s.collect()
		s.clock.advance(time.Minute)
	}
	s.collect()
	held := len(s.sick.ids(t))
	s.sick.down.Store(false)
	s.rounds(1)
	s.clock.advance(5 * time.Minute)
	s.collect()
	if n := len(s.sick.ids(t)); n != held-1 {
		t.Errorf("%d blobs on the volume, want %d", n, held-1)
	}
}

// TestProberAtWork runs the engine's own loop: a volume that stops is noticed,
// and so is its return.
func TestProberAtWork(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	ctx, stop := context.WithCancel(bg)
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	defer running.Wait()
	defer stop()
	within := func(what string, limit time.Duration, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not within %v: %s\n%s", limit, what, s.log)
			}
		}
	}
	on, _ := s.keys()
	s.sick.frozen.Store(true)
	began := time.Now()
	_, err := s.tryRead(on)
	wantKind(t, err, meta.KindUnavailable)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("a read waited %v for a frozen volume", took)
	}
	s.sick.frozen.Store(false)
	within("its return", 4*time.Second, func() bool { return s.Usable(sickNumber) })
	s.sick.failing.Store(true)
	within("calls that fail", 6*time.Second, func() bool {
		_, _ = s.tryRead(on)
		return !s.Readable(sickNumber)
	})
}

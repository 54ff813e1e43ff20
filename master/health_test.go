package master_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/placement"
	"tdkvs/volume"
)

// sickVolume is a volume with other ailments than those of testVolume.
type sickVolume struct {
	*testVolume
	frozen   atomic.Bool                   // calls end when their context does, as those of a stopped process
	deaf     atomic.Pointer[chan struct{}] // Status returns when this is closed, whatever its context does
	mute     atomic.Bool                   // Status alone is frozen
	failing  atomic.Bool                   // all but Status fails
	identity atomic.Pointer[string]        // the volume that it says it is
	ails     atomic.Pointer[volume.Status] // Full and ReadOnly as its status says
	asked    atomic.Int64                  // calls but Status
	statuses atomic.Int64
}

func (v *sickVolume) suffer(ctx context.Context) error {
	v.asked.Add(1)
	if v.failing.Load() {
		return fmt.Errorf("connection reset: %w", volume.ErrUnavailable)
	}
	return v.freeze(ctx)
}

func (v *sickVolume) freeze(ctx context.Context) error {
	if v.frozen.Load() {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (v *sickVolume) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	if err := v.suffer(ctx); err != nil {
		return err
	}
	return v.testVolume.Put(ctx, id, size, body, desc)
}

func (v *sickVolume) Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
	if err := v.suffer(ctx); err != nil {
		return nil, err
	}
	r, err := v.testVolume.Get(ctx, id, offset, length)
	if err != nil {
		return nil, err
	}
	return &sickBlob{ReadCloser: r, v: v, ctx: ctx}, nil
}

// sickBlob gives one byte at a time.
type sickBlob struct {
	io.ReadCloser
	v   *sickVolume
	ctx context.Context
}

func (b *sickBlob) Read(p []byte) (int, error) {
	if err := b.v.freeze(b.ctx); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p[:1])
}

func (v *sickVolume) Stat(ctx context.Context, id volume.BlobID) (volume.Info, error) {
	if err := v.suffer(ctx); err != nil {
		return volume.Info{}, err
	}
	return v.testVolume.Stat(ctx, id)
}

func (v *sickVolume) Delete(ctx context.Context, ids []volume.BlobID) error {
	if err := v.suffer(ctx); err != nil {
		return err
	}
	return v.testVolume.Delete(ctx, ids)
}

func (v *sickVolume) List(ctx context.Context, after volume.BlobID, limit int) ([]volume.Info, error) {
	if err := v.suffer(ctx); err != nil {
		return nil, err
	}
	return v.testVolume.List(ctx, after, limit)
}

func (v *sickVolume) Status(ctx context.Context) (volume.Status, error) {
	v.statuses.Add(1)
	if c := v.deaf.Load(); c != nil {
		<-*c
	}
	if v.mute.Load() {
		<-ctx.Done()
	}
	if err := v.freeze(ctx); err != nil {
		return volume.Status{}, err
	}
	st, err := v.testVolume.Status(ctx)
	if id := v.identity.Load(); id != nil {
		st.Volume = *id
	}
	if a := v.ails.Load(); a != nil {
		st.Full, st.ReadOnly = a.Full, a.ReadOnly
	}
	return st, err
}

// sickbay is a store of three volumes, the second of which may fall ill. There
// are 30 objects in it, k0 to k29.
type sickbay struct {
	*store
	sick *sickVolume
}

const sickNumber = meta.VolumeID(2)

func newSickbay(t *testing.T) *sickbay {
	t.Helper()
	s := &sickbay{store: newBareStore(t, 3)}
	s.sick = &sickVolume{testVolume: s.volumes[1]}
	cfg := s.config()
	cfg.Volumes[1].Blobs = s.sick
	s.openWith(cfg)
	s.ProbeLimit(50 * time.Millisecond)
	s.createBucket(bucket)
	for i := range 30 {
		s.put(fmt.Sprintf("k%d", i), "body")
	}
	t.Cleanup(s.check)
	return s
}

// rounds probes all volumes n times.
func (s *sickbay) rounds(n int) {
	for range n {
		s.ProbeRound(bg)
	}
}

func (s *sickbay) wantState(usable, readable bool) {
	s.t.Helper()
	if u, r := s.Usable(sickNumber), s.Readable(sickNumber); u != usable || r != readable {
		s.t.Fatalf("usable %v, readable %v; want %v, %v\n%s", u, r, usable, readable, s.log)
	}
	for _, n := range []meta.VolumeID{1, 3} {
		if !s.Usable(n) || !s.Readable(n) {
			s.t.Fatalf("volume %d is taken to be ill, too", n)
		}
	}
}

// wantLogged counts the lines of the log that say something.
func (s *sickbay) wantLogged(text string, times int) {
	s.t.Helper()
	if n := strings.Count(s.log.String(), text); n != times {
		s.t.Errorf("%q is in the log %d times, want %d:\n%s", text, n, times, s.log)
	}
}

// onSick returns a key on the volume that may be ill, and one that is not.
func (s *sickbay) keys() (on, off string) {
	s.t.Helper()
	for i := range 30 {
		k := fmt.Sprintf("k%d", i)
		o, err := s.Object(bg, bucket, k, "")
		switch {
		case err != nil:
			s.t.Fatal(err)
		case o.Extents[0].Pieces[0].Volume == sickNumber:
			on = k
		default:
			off = k
		}
	}
	return on, off
}

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

// Neither a client that goes away nor a body that breaks nor a blob that is bad
// says anything of the volume.
func TestVolumeIsNotToBlame(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(s *sickbay, b master.Blobs){
		"cancelled": func(s *sickbay, b master.Blobs) {
			ctx, cancel := context.WithCancel(bg)
			cancel()
			if _, err := b.Stat(ctx, volume.BlobID{1}); !errors.Is(err, context.Canceled) {
				s.t.Error(err)
			}
		},
		"broken body": func(s *sickbay, b master.Blobs) {
			p := newPayload("x")
			p.fail = fmt.Errorf("from another volume: %w", volume.ErrUnavailable)
			if err := b.Put(bg, volume.BlobID{1}, 9, p, nil); !errors.Is(err, p.fail) {
				s.t.Error(err)
			}
		},
		"no such blob": func(s *sickbay, b master.Blobs) {
			if _, err := b.Get(bg, volume.BlobID{1}, 0, 1); !errors.Is(err, volume.ErrNotFound) {
				s.t.Error(err)
			}
		},
		"broken sink": func(s *sickbay, b master.Blobs) {
			ids := s.sick.ids(s.t)
			r, err := b.Get(bg, ids[0], 0, 4)
			if err != nil {
				s.t.Fatal(err)
			}
			gone := fmt.Errorf("client: %w", volume.ErrUnavailable)
			if _, err := io.Copy(brokenSink{gone}, r); !errors.Is(err, gone) {
				s.t.Error(err)
			}
			if err := r.Close(); err != nil {
				s.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSickbay(t)
			b, err := s.Blobs(sickNumber)
			if err != nil {
				t.Fatal(err)
			}
			call(s, b)
			s.sick.down.Store(true)
			s.rounds(1)
			s.wantState(true, true)
			s.rounds(1)
			s.wantState(false, false) // or the test shows nothing
		})
	}
}

type brokenSink struct{ err error }

func (w brokenSink) Write([]byte) (int, error) { return 0, w.err }

// TestFrozenVolumeEndsItsCalls freezes a volume in the middle of every kind of
// call. All end when the prober says that it is down.
func TestFrozenVolumeEndsItsCalls(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	b, err := s.Blobs(sickNumber)
	if err != nil {
		t.Fatal(err)
	}
	id := s.sick.ids(t)[0]
	read := func() io.ReadCloser {
		r, err := b.Get(bg, id, 0, 4)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r1, r2 := read(), read()
	calls := map[string]func() error{
		"put": func() error { return b.Put(bg, volume.BlobID{9}, 1, newPayload("x"), nil) },
		"get": func() error { _, err := b.Get(bg, id, 0, 4); return err },
		"read": func() error {
			_, err := io.ReadFull(r1, make([]byte, 2))
			return errors.Join(err, r1.Close())
		},
		"write to": func() error {
			_, err := r2.(io.WriterTo).WriteTo(io.Discard)
			return errors.Join(err, r2.Close())
		},
		"stat":   func() error { _, err := b.Stat(bg, id); return err },
		"delete": func() error { return b.Delete(bg, []volume.BlobID{id}) },
		"list":   func() error { _, err := b.List(bg, volume.BlobID{}, 1); return err },
		"status": func() error { _, err := b.Status(bg); return err },
	}
	s.sick.frozen.Store(true)
	var ended sync.WaitGroup
	var left atomic.Int64
	for name, call := range calls {
		left.Add(1)
		ended.Go(func() {
			defer left.Add(-1)
			if err := call(); !errors.Is(err, volume.ErrUnavailable) || !strings.Contains(err.Error(), "is down") {
				t.Errorf("%s ended with %v", name, err)
			}
		})
	}
	s.rounds(1)
	if left.Load() != int64(len(calls)) {
		t.Error("calls ended before the volume was down")
	}
	s.rounds(1)
	ended.Wait()
	s.wantState(false, false)
	s.wantLogged("no answer in time", 1)
	if n := s.sick.opens.Load(); n != 0 {
		t.Errorf("%d blobs are still open", n)
	}
	s.sick.frozen.Store(false)
	s.rounds(1)
	s.wantState(true, true)
}

// A volume that is given up leaves nobody waiting for it.
func TestLostVolumeEndsItsCalls(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	b, err := s.Blobs(sickNumber)
	if err != nil {
		t.Fatal(err)
	}
	asked := s.sick.asked.Load()
	s.sick.frozen.Store(true)
	ended := make(chan error, 1)
	go func() { _, err := b.Stat(bg, volume.BlobID{1}); ended <- err }()
	for s.sick.asked.Load() == asked {
		time.Sleep(time.Millisecond)
	}
	if err := s.LoseVolume(bg, sickNumber); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, volume.ErrUnavailable) || !strings.Contains(err.Error(), "has left the cluster") {
		t.Error(err)
	}
	s.sick.frozen.Store(false)
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

func TestLatency(t *testing.T) {
	t.Parallel()
	s := newSickbay(t)
	if l := s.Latency(sickNumber); l != 0 {
		t.Errorf("latency is %v before the first read", l)
	}
	on, _ := s.keys()
	s.wantBody(on, "body")
	if l := s.Latency(sickNumber); l <= 0 || l > time.Second {
		t.Errorf("latency is %v", l)
	}
	if l := s.Latency(77); l != 0 {
		t.Errorf("latency of no volume is %v", l)
	}
}

// TestCandidates compares where data is written to while volumes are down with
// where it would be if these were gone.
func TestCandidates(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 5)
	s.open()
	takeDown := func(n int) {
		s.volumes[n-1].down.Store(true)
		s.Probe(bg)
	}
	each := func(fn func(home, got []meta.VolumeID, isHome bool, n int)) {
		t.Helper()
		for i := range 200 {
			for n := 1; n <= 6; n++ {
				hash := placement.KeyHash(bucket, fmt.Sprint(i))
				home, err1 := s.Place(hash, n)
				got, isHome, err2 := s.Candidates(hash, n)
				if err1 != nil || err2 != nil || len(got) != min(n, 5) {
					t.Fatalf("%v, %v, %v", got, err1, err2)
				}
				fn(home, got, isHome, n)
			}
		}
	}
	each(func(home, got []meta.VolumeID, isHome bool, n int) {
		if !slices.Equal(got, home) || isHome != (n <= 5) {
			t.Fatalf("all up: %v (home: %v), want %v", got, isHome, home)
		}
	})
	takeDown(2)
	takeDown(4)
	each(func(home, got []meta.VolumeID, isHome bool, n int) {
		moved := 0
		for i, v := range got {
			if home[i] != 2 && home[i] != 4 && v != home[i] {
				t.Fatalf("%v, home is %v: volume %d can take its piece", got, home, home[i])
			}
			if v != home[i] {
				moved++
			}
		}
		down := slices.ContainsFunc(home, func(v meta.VolumeID) bool { return v == 2 || v == 4 })
		if n <= 3 && (slices.Contains(got, 2) || slices.Contains(got, 4)) || isHome != (moved == 0 && n <= 5) || n <= 3 && isHome == down {
			t.Fatalf("%v (home: %v), home is %v", got, isHome, home)
		}
		if slices.Sort(got); len(slices.Compact(got)) != min(n, 5) {
			t.Fatalf("a volume is named twice: %v", got)
		}
	})
	for _, n := range []int{1, 3, 5} {
		takeDown(n)
	}
	each(func(home, got []meta.VolumeID, isHome bool, n int) {
		if !slices.Equal(got, home) {
			t.Fatalf("all down: %v, want %v", got, home)
		}
	})
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

// BenchmarkObservedCall compares a call of a volume with one that is observed.
func BenchmarkObservedCall(b *testing.B) {
	s := newBareStore(b, 1)
	s.open()
	s.createBucket(bucket)
	s.put("k", "body")
	id := s.volumes[0].ids(b)[0]
	observed, err := s.Blobs(1)
	if err != nil {
		b.Fatal(err)
	}
	for name, blobs := range map[string]master.Blobs{"plain": s.volumes[0], "observed": observed} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				for p.Next() {
					if _, err := blobs.Stat(ctx, id); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

package volume_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// trial is one volume and what it was made to promise. First comes its history,
// then one operation, during which something goes wrong, then what a machine
// does next: it goes on, it is restarted, or it loses power.
type trial struct {
	t      testing.TB
	op     *operation
	mem    *vfs.Mem
	faulty *vfs.Faulty
	cfg    volume.Config
	s      *volume.Store // nil: not open
	l      *ledger
}

// newTrial lives through the history of an operation.
func newTrial(t testing.TB, op *operation) *trial {
	t.Helper()
	tr := &trial{t: t, op: op, mem: vfs.NewMem(), l: newLedger()}
	tr.faulty = vfs.NewFaulty(tr.mem, vfs.Plan{})
	tr.cfg = laboratory(tr.faulty)
	if op.history != nil {
		op.history(tr)
	}
	tr.faulty.SetPlan(vfs.Plan{})
	return tr
}

// laboratory returns a configuration in which a store asks for everything that
// it can ask for: each Put measures the disk, and any dead byte is compacted.
func laboratory(fsys vfs.FS) volume.Config {
	cfg := small(fsys)
	cfg.Reserve, cfg.CompactRatio, cfg.SyncAfter = 1, 0.01, -1
	now := time.Unix(1_800_000_000, 0)
	cfg.Clock = func() time.Time { // of one goroutine
		now = now.Add(5 * time.Second)
		return now
	}
	return cfg
}

// open opens the volume as the operation under test.
func (tr *trial) open() error {
	s, err := volume.Open(tr.cfg)
	if err != nil {
		return err
	}
	tr.s = s
	tr.l.identity.Volume = s.Identity().Volume
	return nil
}

func (tr *trial) close() error {
	s := tr.s
	tr.s = nil
	return s.Close()
}

// must ends the trial when its history fails.
func (tr *trial) must(errs ...error) {
	tr.t.Helper()
	if err := errors.Join(errs...); err != nil {
		tr.t.Fatal(err)
	}
}

// kill lets work begin in a process that is killed at the first call for which
// at reports true. The page cache stays as it was.
func (tr *trial) kill(at func(vfs.Call) bool, work func() error) {
	tr.t.Helper()
	dead := false
	tr.faulty.SetPlan(vfs.Plan{Hook: func(call vfs.Call) *vfs.Fault {
		if dead = dead || at(call); dead {
			return &vfs.Fault{Err: errKilled}
		}
		return nil
	}})
	_ = work() // cut off
	if !dead {
		tr.t.Fatal("the process outlived its work")
	}
	tr.bury()
}

// bury lets go of a store whose process is dead: nothing of it reaches the
// disk, and the lock is free.
func (tr *trial) bury() {
	tr.faulty.SetPlan(vfs.Plan{Hook: func(vfs.Call) *vfs.Fault { return &vfs.Fault{Err: errKilled} }})
	if tr.s != nil {
		_ = tr.close() // can not do its work
	}
	tr.faulty.SetPlan(vfs.Plan{})
}

// calls runs the operation in peace and returns the calls that it makes.
func (op *operation) calls(t testing.TB) []vfs.Call {
	t.Helper()
	tr := newTrial(t, op)
	tr.faulty.SetPlan(vfs.Plan{Trace: true})
	before := len(tr.faulty.Trace())
	if err := op.run(tr); err != nil {
		t.Fatalf("%s, undisturbed: %v", op.name, err)
	}
	calls := tr.faulty.Trace()[before:]
	if tr.s != nil {
		tr.l.check(t, tr.s)
		tr.must(tr.close())
	}
	return calls
}

// inspect opens what is left on a disk and checks it. It makes promises of what
// it saw, and more by writing, and sees that neither rests on what only the
// page cache holds: pick chooses in which of the ways.
func (l *ledger) inspect(t testing.TB, disk *vfs.Mem, pick *picker) {
	t.Helper()
	s := l.recover(t, disk)
	if s == nil {
		return
	}
	l = l.snapshot()
	l.adopt(t, s)
	l.identity = s.Identity()
	if pick.of(3) {
		l.inspectAgain(t, disk.CrashClone())
	}
	for i, number := range []int{50_001, beside(large)} {
		id, data := blob(number, []int{sizeAfter, 9000}[i])
		if err := l.put(t.Context(), s, id, data); err != nil && !errors.Is(err, volume.ErrExists) {
			t.Errorf("put after the start: %v", err)
		}
	}
	if pick.of(3) {
		l.inspectAgain(t, disk.CrashClone())
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if pick.of(3) {
		l.inspectAgain(t, disk)
	}
}

// picker chooses what to try. Where time is short that is one of several
// things in turn, else all of them.
type picker struct {
	all  bool
	turn int // of this trial
	seen int // things that were on offer
}

// newPicker returns the picker of the n-th of many trials.
func newPicker(n int) *picker {
	return &picker{all: thorough(), turn: n}
}

// thorough reports whether there is time to try everything.
func thorough() bool { return os.Getenv("TDKVS_FAULT_SEEDS") != "" }

// of reports whether to try the next one of n things.
func (p *picker) of(n int) bool {
	p.seen++
	return p.all || (p.seen+p.turn)%n == 0
}

func (l *ledger) inspectAgain(t testing.TB, disk *vfs.Mem) {
	t.Helper()
	s := l.recover(t, disk)
	if s == nil {
		return
	}
	l.exercise(t, s)
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// recover opens what is left on a disk, and checks it.
func (l *ledger) recover(t testing.TB, disk *vfs.Mem) *volume.Store {
	t.Helper()
	s, err := volume.Open(laboratory(disk))
	if err != nil {
		t.Errorf("open: %v", err)
		return nil
	}
	l.check(t, s)
	return s
}

// exercise sees that a store works: both kinds of blob come and go.
func (l *ledger) exercise(t testing.TB, s *volume.Store) {
	t.Helper()
	for _, size := range []int{300, 6000} {
		id, data := blob(60_000+size, size)
		err := l.put(t.Context(), s, id, data)
		if err == nil {
			expect(t, s, id, data)
			err = l.delete(t.Context(), s, id)
		}
		if err != nil {
			t.Errorf("a store that should work: %v", err)
		}
		delete(l.states, id)
	}
}

// place says in a word what a call was made to.
func place(call vfs.Call) string {
	base, parent := filepath.Base(call.Name), filepath.Base(filepath.Dir(call.Name))
	switch {
	case strings.HasSuffix(base, ".seg"):
		return "segment"
	case parent == "tmp":
		return "temporary file"
	case strings.HasPrefix(base, "volume."):
		return "identity"
	case call.Name == dir:
		return "volume"
	case parent == "blobs":
		return "blobs/ab"
	case filepath.Base(filepath.Dir(filepath.Dir(call.Name))) == "blobs":
		return "blob"
	}
	return base
}

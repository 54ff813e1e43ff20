package vfs

import (
	"io"
	"io/fs"
	"path/filepath"
	"sync"
)

// Op names a method of FS or File.
type Op uint8

// The operations, as Faulty counts them. OpAny matches each of them in a Rule.
const (
	OpAny Op = iota
	OpCreate
	OpOpen
	OpOpenRead
	OpRename
	OpRemove
	OpMkdirAll
	OpReadDir
	OpStat
	OpSyncDir
	OpLock
	OpSpace
	OpReadAt
	OpWriteAt
	OpClose // of a file; a lock always closes
	OpSize
	OpTruncate
	OpAllocate
	OpWriteOut
	OpSync
	opCount
)

var opNames = [opCount]string{
	"any", "create", "open", "openread", "rename", "remove", "mkdirall", "readdir", "stat",
	"syncdir", "lock", "space", "readat", "writeat", "close", "size", "truncate", "allocate", "writeout", "sync",
}

// String returns the operation's name in lower case.
func (op Op) String() string {
	if op < opCount {
		return opNames[op]
	}
	return "unknown"
}

// Call is one call as Faulty sees it.
type Call struct {
	Op      Op
	Name    string // of the file or directory
	NewName string // of a rename
	Off     int64  // of ReadAt, WriteAt, Allocate and WriteOut; the length for Truncate
	Len     int64  // bytes of ReadAt, WriteAt, Allocate and WriteOut
	Nth     int    // this is the n-th call of Op, from 1
	Err     error  // in a trace: what the call returned
}

// Fault says how a call goes wrong.
type Fault struct {
	// Err is returned: syscall.EIO, syscall.ENOSPC ... It must be set, unless
	// the call lies.
	Err error
	// Persist lets the call do its work before it fails: a sync or a rename
	// that reached the disk although it said otherwise.
	Persist bool
	// Short lets a ReadAt or WriteAt move this many bytes before it fails.
	Short int
	// Keep lets a Sync of a file of Mem fail as it does on Linux: the sectors
	// for which it reports true reached the disk; the others stay in the page
	// cache and are taken for clean, so that no later Sync writes them.
	Keep func(sector int64) bool
	// Lie lets the call do nothing and report success, as a disk does that loses
	// what it was sent; a ReadAt gets its bytes, one bit of them wrong. Calls
	// that have more to return than an error do not lie.
	Lie bool
}

// Rule injects a fault into calls that match it.
type Rule struct {
	Op    Op     // OpAny: every operation
	Match string // filepath.Match pattern for the base name of the file; empty: all
	Nth   int    // the first matching call that fails, from 1; 0 is 1
	Times int    // how many fail; 0 is 1, -1 is all from then on
	Fault Fault
}

// Plan is what a Faulty does. Its zero value injects nothing.
type Plan struct {
	Rules []Rule
	// Hook is asked about each call that no rule failed, outside all locks, and
	// may block; nil lets the call pass.
	Hook func(Call) *Fault
	// Trace keeps a record of every call.
	Trace bool
}

// Faulty is a file system that counts the calls to an inner one and makes some
// of them fail.
type Faulty struct {
	inner FS

	mu     sync.Mutex // owns everything below
	plan   Plan
	seen   []int // matching calls so far, by rule
	counts [opCount]int
	trace  []Call
}

// NewFaulty wraps a file system.
func NewFaulty(inner FS, plan Plan) *Faulty {
	f := &Faulty{inner: inner}
	f.SetPlan(plan)
	return f
}

// SetPlan replaces the plan. The counts of calls go on, those of rules start
// anew.
func (f *Faulty) SetPlan(plan Plan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = plan
	f.seen = make([]int, len(plan.Rules))
}

// Count returns how many calls of an operation there were, failed ones too;
// for OpAny, of all.
func (f *Faulty) Count(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[op]
}

// Trace returns the calls recorded so far, in the order in which they began.
func (f *Faulty) Trace() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.trace...)
}

// do makes one call: run does the work; a fault replaces or follows it. A short
// transfer is the caller's to make, who gets the fault back.
func (f *Faulty) do(call Call, run func() error) (*Fault, error) {
	fault, hook, place := f.begin(&call)
	if fault == nil && hook != nil {
		fault = hook(call)
	}
	if fault != nil && fault.Lie && !call.Op.canLie() {
		fault = nil
	}
	var err error
	if fault == nil || fault.Persist {
		err = run()
	}
	if fault != nil && !fault.Lie {
		err = &fs.PathError{Op: call.Op.String(), Path: call.Name, Err: fault.Err}
	}
	f.end(place, err)
	return fault, err
}

// canLie reports whether a call may say that it has done what it has not.
func (op Op) canLie() bool {
	switch op {
	case OpRename, OpRemove, OpSyncDir, OpReadAt, OpWriteAt, OpTruncate, OpAllocate, OpWriteOut, OpSync:
		return true
	}
	return false
}

// begin counts and records a call and asks the rules about it.
func (f *Faulty) begin(call *Call) (fault *Fault, hook func(Call) *Fault, place int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[call.Op]++
	f.counts[OpAny]++
	call.Nth = f.counts[call.Op]
	for i := range f.plan.Rules {
		rule := &f.plan.Rules[i]
		if !rule.matches(call) {
			continue
		}
		f.seen[i]++
		if fault == nil && rule.fires(f.seen[i]) {
			injected := rule.Fault
			fault = &injected
		}
	}
	place = -1
	if f.plan.Trace {
		place = len(f.trace)
		f.trace = append(f.trace, *call)
	}
	return fault, f.plan.Hook, place
}

func (f *Faulty) end(place int, err error) {
	if place < 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trace[place].Err = err
}

func (r *Rule) matches(call *Call) bool {
	if r.Op != OpAny && r.Op != call.Op {
		return false
	}
	if r.Match == "" {
		return true
	}
	ok, err := filepath.Match(r.Match, filepath.Base(call.Name))
	return ok && err == nil
}

func (r *Rule) fires(seen int) bool {
	first, times := max(1, r.Nth), r.Times
	if times == 0 {
		times = 1
	}
	return seen >= first && (times < 0 || seen < first+times)
}

// Create implements FS, as do the methods below.
func (f *Faulty) Create(name string) (File, error) { return f.file(OpCreate, name, f.inner.Create) }

// Open implements FS.
func (f *Faulty) Open(name string) (File, error) { return f.file(OpOpen, name, f.inner.Open) }

// OpenRead implements FS.
func (f *Faulty) OpenRead(name string) (File, error) {
	return f.file(OpOpenRead, name, f.inner.OpenRead)
}

func (f *Faulty) file(op Op, name string, open func(string) (File, error)) (File, error) {
	var inner File
	_, err := f.do(Call{Op: op, Name: name}, func() (err error) {
		inner, err = open(name)
		return err
	})
	if err == nil {
		return &faultyFile{fs: f, inner: inner}, nil
	}
	if inner != nil { // opened, and then said to have failed
		_ = inner.Close()
	}
	return nil, err
}

// Rename implements FS.
func (f *Faulty) Rename(oldName, newName string) error {
	_, err := f.do(Call{Op: OpRename, Name: oldName, NewName: newName}, func() error {
		return f.inner.Rename(oldName, newName)
	})
	return err
}

// Remove implements FS.
func (f *Faulty) Remove(name string) error {
	_, err := f.do(Call{Op: OpRemove, Name: name}, func() error { return f.inner.Remove(name) })
	return err
}

// MkdirAll implements FS. It counts as one call.
func (f *Faulty) MkdirAll(name string) error {
	_, err := f.do(Call{Op: OpMkdirAll, Name: name}, func() error { return f.inner.MkdirAll(name) })
	return err
}

// ReadDir implements FS.
func (f *Faulty) ReadDir(name string) ([]fs.DirEntry, error) {
	return result(f, Call{Op: OpReadDir, Name: name}, func() ([]fs.DirEntry, error) { return f.inner.ReadDir(name) })
}

// Stat implements FS.
func (f *Faulty) Stat(name string) (fs.FileInfo, error) {
	return result(f, Call{Op: OpStat, Name: name}, func() (fs.FileInfo, error) { return f.inner.Stat(name) })
}

// SyncDir implements FS.
func (f *Faulty) SyncDir(name string) error {
	_, err := f.do(Call{Op: OpSyncDir, Name: name}, func() error { return f.inner.SyncDir(name) })
	return err
}

// Lock implements FS.
func (f *Faulty) Lock(name string) (io.Closer, error) {
	var lock io.Closer
	_, err := f.do(Call{Op: OpLock, Name: name}, func() (err error) {
		lock, err = f.inner.Lock(name)
		return err
	})
	if err != nil && lock != nil {
		_ = lock.Close()
	}
	if err != nil {
		return nil, err
	}
	return lock, nil
}

// Space implements FS.
func (f *Faulty) Space(name string) (Space, error) {
	return result(f, Call{Op: OpSpace, Name: name}, func() (Space, error) { return f.inner.Space(name) })
}

// result makes a call that returns a value, which a failed one does not.
func result[T any](f *Faulty, call Call, run func() (T, error)) (T, error) {
	var value, none T
	_, err := f.do(call, func() (err error) {
		value, err = run()
		return err
	})
	if err != nil {
		return none, err
	}
	return value, nil
}

type faultyFile struct {
	fs    *Faulty
	inner File
}

func (h *faultyFile) Name() string { return h.inner.Name() }

func (h *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	return h.transfer(OpReadAt, p, off, h.inner.ReadAt)
}

func (h *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	return h.transfer(OpWriteAt, p, off, h.inner.WriteAt)
}

func (h *faultyFile) transfer(op Op, p []byte, off int64, move func([]byte, int64) (int, error)) (n int, err error) {
	call := Call{Op: op, Name: h.inner.Name(), Off: off, Len: int64(len(p))}
	fault, err := h.fs.do(call, func() (err error) {
		n, err = move(p, off)
		return err
	})
	switch {
	case fault == nil || fault.Persist:
	case fault.Lie && op == OpReadAt:
		n, err = move(p, off)
		if n > 0 {
			p[call.Len/2%int64(n)] ^= 1 << (call.Len % 8)
		}
	case fault.Lie:
		n = len(p)
	case fault.Short > 0:
		n, _ = move(p[:min(fault.Short, len(p))], off) // the fault's error is the one to report
	}
	return n, err
}

func (h *faultyFile) Close() error {
	// A failed close still gives up the descriptor, as on Linux.
	closed := false
	_, err := h.fs.do(Call{Op: OpClose, Name: h.inner.Name()}, func() error {
		closed = true
		return h.inner.Close()
	})
	if !closed {
		_ = h.inner.Close()
	}
	return err
}

func (h *faultyFile) Size() (int64, error) {
	return result(h.fs, Call{Op: OpSize, Name: h.inner.Name()}, h.inner.Size)
}

func (h *faultyFile) Truncate(size int64) error {
	_, err := h.fs.do(Call{Op: OpTruncate, Name: h.inner.Name(), Off: size}, func() error {
		return h.inner.Truncate(size)
	})
	return err
}

func (h *faultyFile) Allocate(off, n int64) error {
	_, err := h.fs.do(Call{Op: OpAllocate, Name: h.inner.Name(), Off: off, Len: n}, func() error {
		return h.inner.Allocate(off, n)
	})
	return err
}

func (h *faultyFile) WriteOut(off, n int64) error {
	_, err := h.fs.do(Call{Op: OpWriteOut, Name: h.inner.Name(), Off: off, Len: n}, func() error {
		return h.inner.WriteOut(off, n)
	})
	return err
}

func (h *faultyFile) Sync() error {
	fault, err := h.fs.do(Call{Op: OpSync, Name: h.inner.Name()}, h.inner.Sync)
	if fault != nil && fault.Keep != nil && !fault.Persist {
		if file, ok := h.inner.(*memFile); ok {
			file.syncSome(fault.Keep)
		}
	}
	return err
}

package journal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// How long a commit waits for its copies.
const (
	slowAfter   = 150 * time.Millisecond // other volumes are asked as well
	fewerAfter  = 300 * time.Millisecond // fewer copies than there should be are enough
	giveUpAfter = 3 * time.Second        // without any copy: the commit fails, and is written later
	retryPause  = 50 * time.Millisecond  // before all volumes are asked again
	putLimit    = time.Minute            // of a put that nobody waits for any more
)

// FenceError says that another master writes to the same volumes: this one must not go
// on. errors.Is matches it with metadb.ErrNotFollowed.
type FenceError struct {
	Seq   uint64 // of the commit that both have made
	Name  string // of the volume that holds the other's
	Since time.Time
}

func (e *FenceError) Error() string {
	return fmt.Sprintf("another master, started at %s, has made commit %d of the metadata on %s: one of the two must go. Stop this one, and keep its metadata directory until it is clear that nothing is missing",
		e.Since.Format(time.RFC3339), e.Seq, e.Name)
}

// Is matches metadb.ErrNotFollowed.
func (e *FenceError) Is(target error) bool { return target == metadb.ErrNotFollowed }

// Config is what a Writer is made of.
type Config struct {
	DB     metadb.Followed
	Copies func() int     // how many copies there should be, 1 or more
	Places func() []Place // the volumes of the store, in order of number
	Log    *slog.Logger
	Clock  func() time.Time
}

// Writer writes the journal: it follows a metadata store. All methods are safe for
// concurrent use.
type Writer struct {
	cfg     Config
	pool    sync.Pool // of *entry
	changed atomic.Bool
	woken   chan struct{}
	late    chan struct{}

	mu      sync.Mutex // owns what follows
	head    Header     // the newest commit
	first   uint64     // the commit that was the newest at the start
	began   time.Time  // of this run
	base    uint64     // the commit before those of commits
	commits []commit   // those after the snapshot, or all since the start where there is none
	size    int64      // what the journal has grown by since the snapshot, in bytes
	snap    snapshot
	behind  *entry // the newest commit, where it has no copy yet; nil: it has
	since   time.Time
	cause   error // why the last put has failed
	fenced  error
	pending uint64                 // the commit that somebody waits for, or that is behind; 0: none
	places  []Place                // in order of preference
	busy    map[meta.VolumeID]int  // puts under way
	failing map[meta.VolumeID]bool // the last put has failed
	keep    upkeep
}

// commit is what is known of a commit after the snapshot.
type commit struct {
	sum  uint64 // 0: of before the start, and not looked at yet
	size uint32
	on   holders
}

// perEntry is what an entry costs beside its own length, in bytes, about: on disk, in
// the memory of its volume, and in time when it is read.
const perEntry = 512

// entry is a commit on its way to the volumes.
type entry struct {
	w    *Writer
	head Header
	buf  []byte
	refs atomic.Int32  // puts under way, and the waiting commit
	done chan struct{} // receives as puts end
	// w.mu owns what follows.
	stored int // copies
	flying int // puts under way, of this round
	round  int
	since  time.Time       // when the round began
	tried  []meta.VolumeID // volumes that have it, or were sent it in this round
	missed []miss
}

// miss is a put that failed.
type miss struct {
	number meta.VolumeID
	at     time.Time
}

// Begin implements metadb.Follower.
func (w *Writer) Begin(seq uint64, writes iter.Seq[metadb.Change]) (metadb.Pending, []byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.refusal(); err != nil {
		signal(w.late)
		return nil, nil, err
	}
	if seq != w.head.Seq+1 {
		return nil, nil, fmt.Errorf("%w: commit %d after %d", metadb.ErrNotFollowed, seq, w.head.Seq)
	}
	h := w.head
	h.Time, h.Seq, h.Prev = w.cfg.Clock(), seq, w.head.Sum
	e := w.newEntry()
	e.buf, e.head = encodeEntry(e.buf, h, writes)
	w.append(e)
	w.pending, w.cause = seq, nil
	if copies := w.cfg.Copies(); !w.putUnsynced(e, copies) {
		w.send(e, copies)
	}
	return e, e.head.Mark(), nil
}

// refusal is why no commits are taken; nil: they are. The caller holds w.mu.
func (w *Writer) refusal() error {
	switch {
	case w.fenced != nil:
		return w.fenced
	case w.behind != nil:
		return fmt.Errorf("%w: commit %d can not be written to any volume since %s: %w", metadb.ErrNotFollowed, w.head.Seq, w.since.UTC().Format(time.RFC3339), w.why())
	}
	return nil
}

// errSilent says that no volume has answered.
var errSilent = fmt.Errorf("%w: no answer in time", volume.ErrUnavailable)

// why is why the newest commit is on no volume. What a caller is told of it is that the
// store is full, or unavailable. The caller holds w.mu.
func (w *Writer) why() error {
	if w.cause == nil || errors.Is(w.cause, volume.ErrNoSpace) {
		return cmp.Or(w.cause, errSilent)
	}
	return fmt.Errorf("%w: %v", volume.ErrUnavailable, w.cause)
}

// Refusal is why no commits are taken at the moment; nil: they are.
func (w *Writer) Refusal() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refusal()
}

func (w *Writer) newEntry() *entry {
	e, ok := w.pool.Get().(*entry)
	if !ok {
		e = &entry{w: w}
	}
	e.done, e.stored, e.missed = make(chan struct{}, len(w.places)+1), 0, e.missed[:0]
	e.anew()
	e.refs.Store(1)
	return e
}

// anew begins a round: puts under way count no longer, and may be made again.
func (e *entry) anew() {
	e.round++
	e.flying, e.tried, e.since = 0, e.tried[:0], time.Now()
}

// rests reports that a volume is not to be asked again yet, as a put has failed there
// just now.
func (e *entry) rests(number meta.VolumeID) bool {
	return slices.ContainsFunc(e.missed, func(m miss) bool { return m.number == number && time.Since(m.at) < retryPause })
}

// release gives the entry back when nobody needs it any more.
func (e *entry) release() {
	if e.refs.Add(-1) == 0 && cap(e.buf) <= chunkSize {
		e.w.pool.Put(e)
	}
}

// append makes an entry the newest. The caller holds w.mu.
func (w *Writer) append(e *entry) {
	w.head = e.head
	w.commits = append(w.commits, commit{sum: e.head.Sum, size: uint32(len(e.buf))})
	w.size += int64(len(e.buf)) + perEntry
	if w.snapshotDue() {
		w.wake()
	}
}

// send begins to write an entry to up to n more volumes, and returns to how many. The
// caller holds w.mu.
func (w *Writer) send(e *entry, n int) (sent int) {
	w.look()
	for rank := range unfit {
		sent += w.sendTo(e, n-sent, func(p *Place) bool { return w.busy[p.Number] == 0 && p.Now().rank() == rank })
	}
	if sent == 0 && e.stored+e.flying == 0 { // those that are late with an entry before are better than none
		sent = w.sendTo(e, n, func(p *Place) bool { return p.Now().rank() < unfit })
	}
	return sent
}

// look puts the volumes in order, where they have changed. The caller holds w.mu.
func (w *Writer) look() {
	if w.changed.Swap(false) || w.places == nil {
		w.places = home(w.cfg.Places(), w.snap.turn)
	}
}

// putUnsynced writes an entry to the first volume without a sync of its own, where there
// is to be one copy, or can be no more, and that volume is one of this process; and reports
// whether it did. A power cut may take it back: that the metadata outlives, where the
// commit is synced. The caller holds w.mu.
func (w *Writer) putUnsynced(e *entry, copies int) bool {
	w.look()
	if copies > 1 && len(w.places) > 1 {
		return false
	}
	for i := range w.places {
		p := &w.places[i]
		if p.Now().rank() > 0 {
			continue
		}
		if w.busy[p.Number] > 0 || p.PutUnsynced == nil || !p.PutUnsynced(e.head.ID(), e.buf, e.buf[:headerLen]) {
			return false
		}
		e.stored++
		e.tried = append(e.tried, p.Number)
		delete(w.failing, p.Number)
		w.holds(e.head.Seq, p.Number)
		return true
	}
	return false
}

func (w *Writer) sendTo(e *entry, n int, fit func(*Place) bool) (sent int) {
	for i := range w.places {
		if p := &w.places[i]; sent < n && !slices.Contains(e.tried, p.Number) && !e.rests(p.Number) && fit(p) {
			w.fly(e, *p)
			sent++
		}
	}
	return sent
}

// fly writes an entry to a volume, in the background. The caller holds w.mu.
func (w *Writer) fly(e *entry, p Place) {
	e.tried = append(e.tried, p.Number)
	e.flying++
	e.refs.Add(1)
	w.busy[p.Number]++
	round := e.round
	go func() {
		err := w.store(p, e.head, e.buf)
		if err == nil {
			failpoint.At("journal/stored")
		}
		w.landed(e, p, round, err)
		e.release()
	}()
}

// landed notes how a put has ended.
func (w *Writer) landed(e *entry, p Place, round int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy[p.Number]--
	if round == e.round {
		e.flying--
	}
	var fence *FenceError
	switch {
	case err == nil:
		e.stored++
		delete(w.failing, p.Number)
		w.holds(e.head.Seq, p.Number)
		if w.behind == e {
			w.cfg.Log.Info("the journal of the metadata has caught up: commits are taken again", "commit", e.head.Seq)
			w.behind, w.pending = nil, 0
			e.release()
		}
	case errors.As(err, &fence):
		if w.fenced == nil {
			w.fenced = err
			w.cfg.Log.Error("no commits are taken any more", "error", err)
		}
	default:
		if !w.failing[p.Number] { // once
			w.cfg.Log.Warn("a volume takes no commits of the metadata", "commit", e.head.Seq, "volume", p.Number, "error", err)
		}
		w.failing[p.Number], w.cause = true, err
		if round == e.round {
			is := func(m miss) bool { return m.number == p.Number }
			e.missed = append(slices.DeleteFunc(e.missed, is), miss{p.Number, time.Now()})
			e.tried = slices.DeleteFunc(e.tried, func(n meta.VolumeID) bool { return n == p.Number })
		}
	}
	select {
	case e.done <- struct{}{}:
	default: // nobody waits any more
	}
}

// holds notes that a volume has a commit. The caller holds w.mu.
func (w *Writer) holds(seq uint64, number meta.VolumeID) {
	if seq > w.base && seq-w.base <= uint64(len(w.commits)) {
		w.commits[seq-w.base-1].on.add(number)
	}
}

// Wait implements metadb.Pending: it returns when there are as many copies as there
// should be, or as there can be in good time.
func (e *entry) Wait() error {
	began := time.Now()
	timer := time.NewTimer(slowAfter)
	defer timer.Stop()
	for {
		done, next := e.settled(time.Since(began))
		if done {
			return e.outcome()
		}
		timer.Reset(next)
		select {
		case <-e.done:
		case <-timer.C:
		}
	}
}

// settled reports that an entry is to be waited for no longer, or when to look again.
// It writes to other volumes in place of those that fail or are late.
func (e *entry) settled(waited time.Duration) (done bool, next time.Duration) {
	w := e.w
	w.mu.Lock()
	defer w.mu.Unlock()
	want := w.cfg.Copies()
	switch {
	case w.fenced != nil, e.stored >= min(want, len(w.places)) && e.stored > 0:
		return true, 0
	case waited < slowAfter:
		w.send(e, want-e.stored-e.flying) // for those that have failed
		if e.flying > 0 {
			return false, slowAfter - waited
		}
	default:
		w.send(e, want-e.stored)
	}
	switch {
	case e.stored > 0 && (e.flying == 0 || waited >= fewerAfter), waited >= giveUpAfter:
		return true, 0
	case e.stored > 0:
		return false, fewerAfter - waited
	case e.flying == 0, len(e.missed) > 0: // those that have failed are asked again, also while another does not answer
		return false, retryPause
	}
	return false, min(giveUpAfter-waited, slowAfter)
}

// outcome ends the wait for an entry.
func (e *entry) outcome() error {
	w := e.w
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.fenced != nil:
		return fmt.Errorf("%w: %w", metadb.ErrUncertain, w.fenced)
	case e.stored > 0:
		w.pending = 0
		e.release()
		return nil
	}
	w.behind, w.since = e, w.cfg.Clock()
	w.cfg.Log.Error("a commit can not be written to any volume: no more are taken until it is", "commit", e.head.Seq)
	signal(w.late)
	return fmt.Errorf("%w: no volume takes commit %d: %v", metadb.ErrUncertain, e.head.Seq, w.why())
}

// store writes a blob to a volume. What is there of another master is a *FenceError.
func (w *Writer) store(p Place, h Header, b []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), putLimit)
	defer cancel()
	for again := true; ; again = false {
		err := p.Blobs.Put(ctx, h.ID(), int64(len(b)), bytes.NewReader(b), func() ([]byte, error) { return h.Mark(), nil })
		if !errors.Is(err, volume.ErrExists) {
			return err
		}
		there, err := stat(ctx, Source{Name: p.Name, Blobs: p.Blobs}, h.ID())
		if err == nil && there.Sum == h.Sum {
			err = p.Blobs.Verify(ctx, h.ID())
		}
		switch {
		case errors.Is(err, volume.ErrNotFound) && again: // removed meanwhile
			continue
		case err == nil && there.Sum == h.Sum:
			return nil
		case err != nil && !errors.Is(err, ErrBad) && !errors.Is(err, volume.ErrCorrupt):
			return err
		case err == nil && !w.remnant(there, h):
			return &FenceError{Seq: h.Seq, Name: p.Name, Since: time.Unix(0, int64(there.Run)).UTC()}
		case !again:
			return fmt.Errorf("%s: %w", p.Name, volume.ErrExists)
		}
		w.cfg.Log.Warn("what stands in the way of a commit is removed", "commit", h.Seq, "volume", p.Number, "of", there.Time, "error", err)
		if err := p.Blobs.Delete(ctx, []volume.BlobID{h.ID()}); err != nil {
			return err
		}
	}
}

// remnant reports that a blob under the id of one of ours is what was left behind: by
// a history that was given up, by a snapshot that did not come to its end, or by the
// master before this one, which ended as it wrote it, and so acknowledged nothing.
func (w *Writer) remnant(there, ours Header) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case there.Cluster != ours.Cluster || there.Line > ours.Line:
		return false
	case there.Line < ours.Line || ours.Kind == volume.MetadataChunk:
		return true
	}
	return ours.Seq <= w.first+1 && there.Run < ours.Run && there.Time.Before(w.began)
}

// wake has upkeep look at once.
func (w *Writer) wake() { signal(w.woken) }

func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// Woken signals that there is something to do for Step.
func (w *Writer) Woken() <-chan struct{} { return w.woken }

// PlacesChanged says that volumes have joined, are to leave, or are back.
func (w *Writer) PlacesChanged() {
	w.changed.Store(true)
	w.wake()
}

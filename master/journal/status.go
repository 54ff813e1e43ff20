package journal

import (
	"time"
)

// Status is how the journal is.
type Status struct {
	Copies   int       // that there should be
	Seq      uint64    // number of the newest commit
	Entries  int       // commits since the snapshot
	Bytes    int64     // of them, about
	Lacking  int       // entries with fewer copies than there can be
	Behind   bool      // the newest commit is on no volume, and no more are taken
	Since    time.Time // when that began
	Why      string    // why commits are not taken, or what else is wrong; empty: nothing
	Snapshot SnapshotStatus
}

// SnapshotStatus is the newest snapshot.
type SnapshotStatus struct {
	Seq    uint64    // the newest commit that it sees
	Taken  time.Time // zero: there is none yet
	Rows   uint64
	Bytes  int64
	Copies int // on volumes that are there
	Making bool
}

// Status returns how the journal is.
func (w *Writer) Status() Status {
	all, want := w.standing()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Status{
		Copies: w.cfg.Copies(), Seq: w.head.Seq, Entries: len(w.commits), Bytes: w.size,
		Behind: w.behind != nil, Why: w.keep.trouble,
		Snapshot: SnapshotStatus{Making: w.snap.making != 0},
	}
	for i := range w.commits {
		if w.keep.found == nil && w.commits[i].on.count(all.has) < want && w.base+uint64(i)+1 != w.pending {
			s.Lacking++
		}
	}
	if w.snap.whole {
		s.Snapshot.Seq, s.Snapshot.Taken, s.Snapshot.Rows = w.snap.head.Seq, w.snap.taken, w.snap.head.Rows
		s.Snapshot.Bytes, s.Snapshot.Copies = w.snap.size, w.snap.on.count(all.has)
	}
	if w.behind != nil {
		s.Since = w.since
	}
	if err := w.refusal(); err != nil {
		s.Why = err.Error()
	}
	return s
}

package accesslog

import (
	"io"
	"sync"
	"time"
)

const (
	gatherFor  = 50 * time.Millisecond // how long a line waits for others
	gatherSize = 32 << 10              // bytes that are written without waiting on
)

// gatherer writes lines together that come in quick succession: a write for each
// costs as much as all else about it. A line that comes after a while of none is
// written at once.
type gatherer struct {
	mu      sync.Mutex
	w       io.Writer   // this and all below is guarded by mu
	pending []byte      // whole lines
	written time.Time   // when lines were written last
	timer   *time.Timer // runs while there are pending lines
	waiting bool        // whether it does
}

func newGatherer(w io.Writer) *gatherer {
	g := &gatherer{w: w, pending: make([]byte, 0, gatherSize)}
	g.timer = time.AfterFunc(time.Hour, g.flush)
	g.timer.Stop()
	return g
}

// Write writes a line now, behind those that are pending. A failure of theirs is
// nobody's who could be told.
func (g *gatherer) Write(line []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writePending()
	g.written = time.Now()
	return g.w.Write(line)
}

// gather takes a line that need not be written now.
func (g *gatherer) gather(line []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pending)+len(line) > gatherSize {
		g.writePending()
	}
	if len(line) > gatherSize || len(g.pending) == 0 && time.Since(g.written) >= gatherFor {
		g.written = time.Now()
		_, _ = g.w.Write(line) // as slog.Logger
		return
	}
	g.pending = append(g.pending, line...)
	if !g.waiting {
		g.waiting = true
		g.timer.Reset(gatherFor)
	}
}

// flush writes what is pending.
func (g *gatherer) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writePending()
}

func (g *gatherer) writePending() {
	if g.waiting {
		g.waiting = false
		g.timer.Stop()
	}
	if len(g.pending) == 0 {
		return
	}
	g.written = time.Now()
	_, _ = g.w.Write(g.pending) // as slog.Logger
	g.pending = g.pending[:0]
}

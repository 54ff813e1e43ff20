package master

import (
	"io"
	"sync"
	"sync/atomic"
)

// chunk is a run of a body that several feeds read from. Whoever lets go of it
// last frees it.
type chunk struct {
	data []byte
	held atomic.Int32  // by how many
	free chan<- *chunk // where it goes then; has room
}

func (c *chunk) release() {
	if c.held.Add(-1) == 0 {
		c.free <- c
	}
}

// portion is what a feed gets of a chunk.
type portion struct {
	data []byte
	of   *chunk
}

// feed is the body of one Put, portion by portion as they are pushed. Put reads
// it; another goroutine pushes, and may break it off at any time.
type feed struct {
	mu     sync.Mutex // owns what follows
	more   sync.Cond  // of mu: something was pushed, or the end has come
	queue  []portion  // those pushed and not let go of
	index  int        // of the one to read next: 0, or 1 behind a first one that is kept
	off    int        // in it
	keep   bool       // the first portion is held on to until a byte of the second is read
	taken  bool       // a byte was read
	ended  bool       // no more will come
	broken error      // what Read returns instead
}

// newFeed returns an empty feed. One that keeps its first portion can be read
// again from its beginning until the second is begun; any other until its first
// byte was read.
func newFeed(keep bool) *feed {
	f := &feed{keep: keep}
	f.more.L = &f.mu
	return f
}

func (f *feed) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.index == len(f.queue) && !f.ended && f.broken == nil {
		f.more.Wait()
	}
	switch {
	case f.broken != nil:
		return 0, f.broken
	case f.index == len(f.queue):
		return 0, io.EOF
	}
	n := copy(p, f.queue[f.index].data[f.off:])
	f.off += n
	f.taken = true
	if f.index > 0 { // there is no way back any more
		f.keep = false
		f.letGo()
		f.index = 0
	}
	if f.off == len(f.queue[f.index].data) {
		f.off = 0
		if f.keep {
			f.index = 1
		} else {
			f.letGo()
		}
	}
	return n, nil
}

// letGo releases the first portion. Its caller holds mu.
func (f *feed) letGo() {
	f.queue[0].of.release()
	f.queue[0] = portion{}
	f.queue = f.queue[1:]
}

// push adds a portion, which holds its chunk; a broken feed takes none.
func (f *feed) push(p portion) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return
	}
	p.of.held.Add(1)
	f.queue = append(f.queue, p)
	f.more.Broadcast()
}

// end says that all was pushed.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.more.Broadcast()
}

// breakOff makes Read return err from now on, and lets go of all chunks. No Read
// looks at one once it has returned.
func (f *feed) breakOff(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.broken = err
	}
	for len(f.queue) > 0 {
		f.letGo()
	}
	f.index = 0
	f.more.Broadcast()
}

// rewind returns to the beginning, for another Put; not where that is gone.
func (f *feed) rewind() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil || f.taken && !f.keep {
		return false
	}
	f.index, f.off = 0, 0
	return true
}

// behind reports whether there is something that was pushed and not read.
func (f *feed) behind() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.index < len(f.queue)
}

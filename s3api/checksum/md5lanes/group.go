package md5lanes

import (
	"crypto/md5"
	"runtime"
	"slices"
	"sync"
)

// most is how many blocks wait in a group at most, 2 MiB: where clients are slow, and
// no stream has enough for a round, whoever adds the last one begins it.
const most = 4 * Lanes

// yields is how often a stream that could hash alone lets others catch up.
const yields = 4

// Group hashes what its streams have to hash, several at a time where there are
// several. It is safe for concurrent use.
type Group struct {
	kernel  kernel    // none: streams are hashed one by one
	procs   int       // processors that goroutines run on
	streams sync.Pool // of *Stream
	blocks  sync.Pool // of *block
	idle    sync.Pool // of *round

	mu     sync.Mutex // owns what follows
	open   int        // streams
	ready  []*Stream  // that have blocks to hash and are in no round, the oldest first
	queued int        // blocks that those have
	rounds int        // under way
}

// NewGroup returns a group without streams.
func NewGroup() *Group { return newGroup(best(), runtime.GOMAXPROCS(0)) }

func newGroup(k kernel, procs int) *Group { return &Group{kernel: k, procs: procs} }

// Stream begins an MD5. Close must be called.
func (g *Group) Stream() *Stream {
	s, ok := g.streams.Get().(*Stream)
	if !ok {
		s = &Stream{g: g, hash: md5.New().(digest)}
		s.wake.L = &g.mu
	}
	s.hash.Reset()
	s.err = nil
	g.mu.Lock()
	g.open++
	g.mu.Unlock()
	return s
}

func (g *Group) block() *block {
	if b, ok := g.blocks.Get().(*block); ok {
		return b
	}
	return new(block)
}

func (g *Group) release(b *block) {
	b.n = 0
	g.blocks.Put(b)
}

// add gives the group another block of a stream to hash. Like all below, it is
// called with mu held.
func (g *Group) add(s *Stream, b *block) {
	s.queue[slices.Index(s.queue[:], nil)] = b
	s.pending++
	g.queued++
	if s.busy {
		return // it is ready again after the round
	}
	if s.queue[1] == nil {
		g.ready = append(g.ready, s)
	}
	switch {
	case g.eager():
		go g.help()
	case g.queued >= most:
		g.round()
	case len(g.ready) >= Lanes:
		g.wakeOne()
	}
}

// eager reports whether a block is hashed as soon as it is there: nothing is won by
// waiting for others, or there are processors for each stream and who feeds it.
func (g *Group) eager() bool { return g.kernel.blocks == nil || 2*g.open <= g.procs }

// help hashes until nothing waits.
func (g *Group) help() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.ready) > 0 {
		g.round()
	}
}

// wait returns when no more than so many blocks of a stream wait or are in a round.
// Where others hash, the stream waits for the end of their round; else it hashes,
// with all who wait beside it.
func (g *Group) wait(s *Stream, pending int) {
	for yielded := 0; s.pending > pending; {
		switch {
		case s.busy || g.rounds > 0 && len(g.ready) < Lanes:
			s.sleep()
		case len(g.ready) < min(g.open, Lanes) && yielded < yields:
			yielded++
			g.yield()
		default:
			g.round()
		}
	}
}

// yield lets the goroutines go on that can: each may bring a stream to where it has
// something to hash. Where there are none it takes no time.
func (g *Group) yield() {
	g.mu.Unlock()
	runtime.Gosched()
	g.mu.Lock()
}

// round hashes a block of each of the oldest of the streams that are ready: no more,
// so that they have some left for the next round, and none comes to be alone in it. It
// gives mu up meanwhile.
func (g *Group) round() {
	r, ok := g.idle.Get().(*round)
	if !ok {
		r = new(round)
	}
	r.n = copy(r.streams[:], g.ready)
	g.ready = slices.Delete(g.ready, 0, r.n)
	g.queued -= r.n
	for i, s := range r.streams[:r.n] {
		b := s.queue[0]
		copy(s.queue[:], s.queue[1:])
		s.queue[depth-1] = nil
		s.busy = true
		r.blocks[i] = b
		r.lanes[i] = lane{hash: s.hash, rest: b.data[:b.n]}
	}
	g.rounds++
	g.mu.Unlock()
	r.hash(g.kernel)
	g.mu.Lock()
	g.rounds--
	for i, s := range r.streams[:r.n] {
		g.ended(s, r.blocks[i], r.lanes[i].err)
	}
	*r = round{}
	g.idle.Put(r)
	g.wakeOne()
}

// ended takes a stream out of its round.
func (g *Group) ended(s *Stream, hashed *block, err error) {
	g.release(hashed)
	s.pending--
	s.busy = false
	if s.err == nil {
		s.err = err
	}
	if s.queue[0] != nil {
		g.ready = append(g.ready, s)
	}
	if s.waiting {
		s.awaken()
	}
}

// wakeOne has one of those who wait to be hashed look whether it can hash.
func (g *Group) wakeOne() {
	for _, s := range g.ready {
		if s.waiting {
			s.awaken()
			return
		}
	}
}

// sleep waits for awaken.
func (s *Stream) sleep() {
	s.waiting = true
	s.wake.Wait()
}

// awaken has a stream that waits look again. It does not count as waiting from now on,
// although it may take a while until it runs: whoever is to be woken next is another.
func (s *Stream) awaken() {
	s.waiting = false
	s.wake.Signal()
}

// leave takes a stream out of the group, when its round has ended.
func (g *Group) leave(s *Stream) {
	for s.busy {
		s.sleep()
	}
	if i := slices.Index(g.ready, s); i >= 0 {
		g.ready = slices.Delete(g.ready, i, i+1)
	}
	for i, b := range s.queue {
		if b != nil {
			g.queued--
			g.release(b)
			s.queue[i] = nil
		}
	}
	s.pending = 0
	g.open--
}

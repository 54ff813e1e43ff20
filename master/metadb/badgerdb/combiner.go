package badgerdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4/skl"

	"tdkvs/failpoint"
	"tdkvs/master/latency"
	"tdkvs/master/metadb"
)

// engine is what the combiner needs of the store beneath it. Its methods are
// called by one goroutine at a time.
type engine interface {
	snapshot() snapshot
	position() (seq uint64, mark []byte)
	commit(batch *overlay, mark []byte) error
}

const (
	maxBatch  = 256 // closures of one commit
	loneAfter = 4   // batches of a single closure tell that there is but one caller
	// entryOverhead is more than Badger counts for an entry beside key and value,
	// in bytes. Badger also bounds the number of entries, to as many as there are
	// nodes of this size in the bytes it allows: counting a node for each keeps
	// to both bounds.
	entryOverhead = skl.MaxNodeSize
)

// The states of a request. A waiting closure can be given up by its caller;
// one that was started can not, for it may be committed.
const (
	waiting int32 = iota
	started
	abandoned
)

type request struct {
	ctx    context.Context
	fn     func(metadb.Tx) error
	upkeep bool
	state  atomic.Int32
	err    error     // set before wake says false
	wake   chan bool // true: lead; false: it is done
}

var errAbandoned = errors.New("metadb: the transaction's function ended its goroutine")

// combiner runs closures in order and commits them in batches. Whoever finds nobody
// at work becomes the leader: he runs his closure and those that have gathered,
// commits them and wakes their callers; then the first of those that gathered
// meanwhile leads. So a lone caller pays no hand-over.
type combiner struct {
	eng       engine
	space     *space
	batchSize int       // bytes at which no further closure joins a batch
	requests  sync.Pool // of *request, waiting and with an empty wake

	mu      sync.Mutex // guards the fields below
	queue   []*request // in order of coming; empty while nobody leads
	leading bool
	closed  bool

	// Of the leader:
	room txRoom
	lone int // how many batches in a row were a single request

	stopped chan struct{} // closed when nobody leads any more

	follower atomic.Pointer[metadb.Follower] // told of each commit; nil: nobody is

	failure atomic.Pointer[error] // why the store is read-only; nil: it is not
	commits atomic.Uint64
	updates atomic.Uint64
	latency latency.Histogram // of commits
}

// newCombiner makes a combiner. maxTxn is the engine's own limit on a
// transaction, in bytes; a full transaction of ours, and the number of the commit,
// must fit beside what a batch already holds.
func newCombiner(eng engine, sp *space, maxTxn int) *combiner {
	return &combiner{
		eng:       eng,
		space:     sp,
		batchSize: maxTxn - metadb.MaxTxBytes - (metadb.MaxTxOps+2)*entryOverhead,
		stopped:   make(chan struct{}),
	}
}

// update runs fn in a batch, and returns when that is durable, or fn has failed.
func (c *combiner) update(ctx context.Context, fn func(metadb.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.failed(); err != nil {
		return err
	}
	r, ok := c.requests.Get().(*request)
	if !ok {
		r = &request{wake: make(chan bool, 1)}
	}
	r.ctx, r.fn, r.upkeep = ctx, fn, metadb.IsUpkeep(ctx)
	lead, err := c.join(r)
	if err != nil {
		return err
	}
	if !lead {
		if lead, err = r.wait(); err != nil {
			return err // whoever finds it in the queue leaves it to the collector
		}
	}
	if lead {
		c.lead(r)
	}
	err = r.err
	r.ctx, r.fn, r.err = nil, nil, nil
	r.state.Store(waiting)
	c.requests.Put(r)
	return err
}

// join queues a request, or makes it the leader's.
func (c *combiner) join(r *request) (lead bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return false, metadb.ErrClosed
	case c.leading:
		c.queue = append(c.queue, r)
		return false, nil
	}
	c.leading = true
	r.state.Store(started)
	return true, nil
}

// wait returns when a queued request is done or is to lead, or with the error of its
// context when that ends before it was started.
func (r *request) wait() (lead bool, err error) {
	select {
	case lead := <-r.wake:
		return lead, nil
	case <-r.ctx.Done():
		if r.state.CompareAndSwap(waiting, abandoned) {
			return false, r.ctx.Err()
		}
		return <-r.wake, nil
	}
}

// next starts the first request of the queue that nobody has given up; nil where
// there is none. The caller holds mu.
func (c *combiner) next() *request {
	for len(c.queue) > 0 {
		r := c.queue[0]
		c.queue[0] = nil
		c.queue = c.queue[1:]
		if r.state.CompareAndSwap(waiting, started) {
			return r
		}
	}
	return nil
}

// handOver ends the caller's lead. Where the store closes, those in the queue are
// told so.
func (c *combiner) handOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.next()
	if !c.closed {
		if c.leading = r != nil; c.leading {
			r.wake <- true
		}
		return
	}
	for ; r != nil; r = c.next() {
		r.err = metadb.ErrClosed
		r.wake <- false
	}
	c.leading = false
	close(c.stopped)
}

// close turns new requests away, waits for the batch under way, and answers
// what is queued with ErrClosed. It is called once.
func (c *combiner) close() {
	c.mu.Lock()
	c.closed = true
	if !c.leading {
		close(c.stopped)
	}
	c.mu.Unlock()
	<-c.stopped
}

// failed returns why the store is read-only, nil while it is not.
func (c *combiner) failed() error {
	if p := c.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// lead runs the caller's own request, which was started, and those queued behind
// it, commits what they wrote, and wakes them. The outcome of each is known only
// with the commit, for it may rest on what those before it wrote.
func (c *combiner) lead(own *request) {
	c.gather()
	b := &batchRun{combiner: c, snap: c.eng.snapshot(), tree: newOverlay(), disk: c.space.state()}
	c.space.prepare()
	ran := false
	defer func() {
		if !ran { // Goexit in a closure, or a defect here: commit nothing
			b.end(own, errAbandoned)
		}
	}()
	for r := own; r != nil; r = b.next() {
		b.ran = append(b.ran, r)
		r.err = b.run(r)
	}
	ran = true
	if c.lone++; len(b.ran) > 1 {
		c.lone = 0
	}
	if !b.early(own) {
		b.finish(own)
	}
}

// gather lets those run that are about to join, as long as that brings more: they
// would only wait for a commit of their own. It never waits for anything. A lone
// caller, who had the last commits for himself, does not look for others.
func (c *combiner) gather() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lone >= loneAfter && len(c.queue) == 0 {
		return
	}
	for gathered := -1; gathered < len(c.queue) && gathered < maxBatch; {
		gathered = len(c.queue)
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
}

// batchRun is one batch as it runs.
type batchRun struct {
	*combiner
	snap  snapshot
	tree  *overlay // what the closures that succeeded have written
	bytes int      // an upper bound of what tree holds, with overhead
	ran   []*request
	disk  metadb.DiskState
}

// next starts another request if there is one and room for it.
func (b *batchRun) next() *request {
	if len(b.ran) >= maxBatch || b.bytes > b.batchSize {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.combiner.next()
}

// finish commits the batch whose closures have all run.
func (b *batchRun) finish(own *request) {
	err := fmt.Errorf("%w: %w", metadb.ErrFailed, errAbandoned)
	done := false
	defer func() {
		if !done { // by a panic: nobody knows what of it is written
			b.failure.Store(&err)
		}
		b.end(own, err)
	}()
	failpoint.At("commit/taken")
	err = b.commit()
	done = true
}

// end hands the lead over and wakes all but the leader; err, where set, replaces
// their own outcomes.
func (b *batchRun) end(own *request, err error) {
	b.snap.close()
	b.handOver()
	answer(b.ran, own, err)
}

func answer(ran []*request, own *request, err error) {
	for _, r := range ran {
		if err != nil {
			r.err = err
		}
		if r != own {
			r.wake <- false // it belongs to its caller again
		}
	}
}

// run runs one closure over the tree, and takes back what it wrote when it fails. A
// panic is an error of the closure alone.
func (b *batchRun) run(r *request) (err error) {
	t := &tx{ctx: r.ctx, snap: b.snap, tree: b.tree, room: b.room.begin()}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("metadb: panic in a transaction: %v\n%s", v, debug.Stack())
		}
		t.end()
		if err != nil {
			t.undo()
		}
		t.tree = nil // whoever still has t can not reach those behind it
	}()
	if err := r.fn(t); err != nil {
		return err
	}
	if err := t.budget.Err(); err != nil {
		return err
	}
	if t.budget.Ops() > 0 {
		if !b.space.admits(b.disk, r.upkeep) {
			return b.space.refusal()
		}
		b.bytes += t.budget.Bytes() + t.budget.Ops()*entryOverhead
	}
	return nil
}

// commit makes the batch durable. Its error is the outcome of every closure.
func (b *batchRun) commit() error {
	if err := b.failed(); err != nil {
		return err
	}
	if b.bytes > 0 {
		if err := b.write(); err != nil {
			return err
		}
	}
	for _, r := range b.ran {
		if r.err == nil {
			b.updates.Add(1)
		}
	}
	return nil
}

// write commits what the batch has written, side by side with the follower.
func (b *batchRun) write() error {
	pending, mark, err := b.begin()
	if err != nil {
		return err
	}
	began := time.Now()
	err = b.store(b.tree, mark, b.bytes)
	b.latency.Add(time.Since(began))
	if pending != nil {
		err = cmp.Or(err, pending.Wait())
	}
	return err
}

// store commits what a tree holds, of so many bytes. Where that fails nothing is
// committed any more.
func (c *combiner) store(tree *overlay, mark []byte, bytes int) error {
	err := c.eng.commit(tree, mark)
	if err == nil {
		err = c.space.wrote(bytes)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", metadb.ErrFailed, err)
		c.failure.Store(&err)
		return err
	}
	c.commits.Add(1)
	return nil
}

// begin gives the batch to the follower, if there is one.
func (b *batchRun) begin() (metadb.Pending, []byte, error) {
	f := b.follower.Load()
	if f == nil {
		return nil, nil, nil
	}
	seq, _ := b.eng.position()
	return (*f).Begin(seq+1, changesOf(b.tree))
}

// changesOf are the writes of a batch, in order.
func changesOf(tree *overlay) iter.Seq[metadb.Change] {
	return func(yield func(metadb.Change) bool) {
		tree.Scan(func(w *write) bool {
			return yield(metadb.Change{Key: w.key(), Value: w.value, Deleted: w.deleted})
		})
	}
}

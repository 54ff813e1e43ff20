package badgerdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4/skl"

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
	maxBatch  = 256  // closures of one commit
	queueSize = 1024 // closures waiting; more wait to be queued
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
	err    error // set before done
	done   chan struct{}
}

var errAbandoned = errors.New("metadb: the transaction's function ended its goroutine")

// combiner runs closures in order and commits them in batches.
type combiner struct {
	eng       engine
	space     *space
	batchSize int // bytes at which no further closure joins a batch

	queue   chan *request
	closing chan struct{} // closed by close: no new requests
	stopped chan struct{} // closed by run: no request will be answered any more

	follower atomic.Pointer[metadb.Follower] // told of each commit; nil: nobody is

	failure atomic.Pointer[error] // why the store is read-only; nil: it is not
	commits atomic.Uint64
	updates atomic.Uint64
	latency latency.Histogram // of commits
}

// newCombiner starts a combiner. maxTxn is the engine's own limit on a
// transaction, in bytes; a full transaction of ours, and the number of the commit,
// must fit beside what a batch already holds.
func newCombiner(eng engine, sp *space, maxTxn int) *combiner {
	c := &combiner{
		eng:       eng,
		space:     sp,
		batchSize: maxTxn - metadb.MaxTxBytes - (metadb.MaxTxOps+2)*entryOverhead,
		queue:     make(chan *request, queueSize),
		closing:   make(chan struct{}),
		stopped:   make(chan struct{}),
	}
	go c.run()
	return c
}

// update queues fn and waits for the outcome.
func (c *combiner) update(ctx context.Context, fn func(metadb.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.failed(); err != nil {
		return err
	}
	r := &request{ctx: ctx, fn: fn, upkeep: metadb.IsUpkeep(ctx), done: make(chan struct{})}
	select {
	case <-c.closing:
		return metadb.ErrClosed
	default:
	}
	select {
	case c.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.closing:
		return metadb.ErrClosed
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err()
		}
		<-r.done
	case <-c.stopped:
		// Queued as the combiner was ending; unless it was still answered.
		if r.state.CompareAndSwap(waiting, abandoned) {
			return metadb.ErrClosed
		}
		<-r.done
	}
	return r.err
}

// close turns new requests away, waits for the batch under way, and answers
// what is queued with ErrClosed. It is called once.
func (c *combiner) close() {
	close(c.closing)
	<-c.stopped
}

// failed returns why the store is read-only, nil while it is not.
func (c *combiner) failed() error {
	if p := c.failure.Load(); p != nil {
		return *p
	}
	return nil
}

func (c *combiner) run() {
	finished := false
	defer func() {
		if !finished { // a closure called runtime.Goexit
			go c.run()
		}
	}()
	batch := make([]*request, 0, maxBatch)
	for {
		batch = batch[:0]
		select {
		case r := <-c.queue:
			batch = append(batch, r)
		case <-c.closing:
			c.drain()
			finished = true
			close(c.stopped)
			return
		}
		c.process(batch)
		runtime.Gosched() // let those just woken queue up for the next batch
	}
}

// drain answers what is still queued when the store closes.
func (c *combiner) drain() {
	for {
		select {
		case r := <-c.queue:
			if r.state.CompareAndSwap(waiting, started) {
				r.err = metadb.ErrClosed
				close(r.done)
			}
		default:
			return
		}
	}
}

// process runs the batch's first request and those queued behind it, commits
// what they wrote, and wakes them. The outcome of each is known only with the
// commit, for it may rest on what those before it wrote.
func (c *combiner) process(batch []*request) {
	b := batchRun{combiner: c, snap: c.eng.snapshot(), tree: newOverlay(), disk: c.space.state()}
	c.space.prepare()
	defer b.snap.close()
	answered := false
	defer func() {
		if !answered { // Goexit in a closure, or a defect here: commit nothing
			answer(b.ran, errAbandoned)
		}
	}()
	for r := batch[0]; r != nil; r = c.next(&b) {
		if r.state.CompareAndSwap(waiting, started) {
			b.ran = append(b.ran, r)
			r.err = b.run(r)
		}
	}
	b.taken()
	err := b.commit()
	answered = true
	answer(b.ran, err)
}

// next takes another request if there is one and room for it.
func (c *combiner) next(b *batchRun) *request {
	if len(b.ran) >= maxBatch || b.bytes > c.batchSize {
		return nil
	}
	select {
	case r := <-c.queue:
		return r
	default:
		return nil
	}
}

// answer wakes the requests; err, where set, replaces their own outcomes.
func answer(reqs []*request, err error) {
	for _, r := range reqs {
		if err != nil {
			r.err = err
		}
		close(r.done)
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

// run runs one closure over a copy of the tree, which takes the tree's place
// when the closure succeeds. A panic is an error of the closure alone.
func (b *batchRun) run(r *request) (err error) {
	t := &tx{ctx: r.ctx, snap: b.snap, tree: b.tree.Copy()}
	defer t.end()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("metadb: panic in a transaction: %v\n%s", v, debug.Stack())
		}
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
		b.tree = t.tree
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
	err = b.eng.commit(b.tree, mark)
	b.latency.Add(time.Since(began))
	if err == nil {
		err = b.space.wrote(b.bytes)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", metadb.ErrFailed, err)
		b.failure.Store(&err)
	} else {
		b.commits.Add(1)
	}
	if pending != nil {
		err = cmp.Or(err, pending.Wait())
	}
	return err
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
			return yield(metadb.Change{Key: w.key, Value: w.value, Deleted: w.deleted})
		})
	}
}

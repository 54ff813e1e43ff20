package volume

import (
	"runtime"
	"sync"
)

// journal appends to the log with group commit. Whoever finds nobody at work
// becomes the leader: it takes the requests that have gathered, writes them
// behind each other, syncs once, makes them visible and wakes their owners;
// then the first of those that gathered meanwhile leads. So a lone writer pays
// no hand-over, many share a sync, and the log only ever grows at its end.
type journal struct {
	s *Store

	mu      sync.Mutex // guards the fields below, up to tail
	queue   []*request
	leading bool
	lone    int // how many batches in a row were a single request

	tail // owned by the leader
}

// maxBatch bounds what one sync covers, in bytes.
const maxBatch = 4 << 20

// loneAfter is how many batches of a single request tell that there is but one writer: what
// he writes of the metadata is a batch of its own.
const loneAfter = 4

// maxGathered is how many requests a leader does not wait for more than.
const maxGathered = 64

// request is what one caller wants appended, all under the same sync.
type request struct {
	items []item
	one   [1]item // backs items of a request for a single record
	bytes int64   // at most so many bytes in the log
	wake  chan bool
	err   error // read once wake has said false
}

// item is one record on its way into the log.
type item struct {
	header        // the leader sets durable, seg and off
	buf    []byte // the encoded record, but for its header; nil: a header alone
	from   entry  // of a copy or a tombstone: where the blob is
	copied bool   // the record has been in the log before: compaction moves it
	skip   bool   // set by the leader: there is nothing to do
}

func newRequest() *request { return &request{wake: make(chan bool, 1)} }

// single returns the request's one item, to be filled in.
func (r *request) single() *item {
	r.one[0] = item{}
	r.items = r.one[:]
	return &r.one[0]
}

// commit appends a request and returns when it is durable and visible, or has
// failed. The caller is inside enter and leave.
func (j *journal) commit(r *request) error {
	r.bytes = 0
	for i := range r.items {
		r.bytes += r.items[i].length()
	}
	j.mu.Lock()
	j.queue = append(j.queue, r)
	if j.leading {
		j.mu.Unlock()
		if lead := <-r.wake; !lead {
			return r.err
		}
	} else {
		j.leading = true
		j.mu.Unlock()
	}
	j.lead()
	return r.err
}

// lead writes one batch, the first of which is the caller's own request, and
// hands the lead over.
func (j *journal) lead() {
	batch := j.gather()

	err := j.write(batch)
	j.handOver()

	batch[0].err = err
	for _, r := range batch[1:] {
		r.err = err
		r.wake <- false
	}
}

// gather takes a batch. As long as it brings more, those that are about to join are
// let run first: they would only wait for a sync of their own. It never waits for
// anything. A lone writer, who had the last syncs for himself, does not look for others.
func (j *journal) gather() []*request {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lone < loneAfter || len(j.queue) > 1 {
		for gathered := 0; gathered < len(j.queue) && gathered < maxGathered; {
			gathered = len(j.queue)
			j.mu.Unlock()
			runtime.Gosched()
			j.mu.Lock()
		}
	}
	batch := j.take()
	if j.lone++; len(batch) > 1 {
		j.lone = 0
	}
	return batch
}

// handOver ends the caller's lead.
func (j *journal) handOver() {
	j.mu.Lock()
	var next *request
	if len(j.queue) > 0 {
		next = j.queue[0]
	} else {
		j.leading = false
	}
	j.mu.Unlock()
	if next != nil {
		next.wake <- true
	}
}

// idle marks the log when nothing was written since the last mark and nobody
// is writing now.
func (j *journal) idle() error {
	j.mu.Lock()
	if j.leading || j.active == nil || j.marked || j.s.failure() != nil {
		j.mu.Unlock()
		return nil
	}
	j.leading = true
	j.mu.Unlock()
	defer j.handOver()
	if err := j.write(nil); err != nil { // what is unsynced
		return err
	}
	return j.mark()
}

// take returns the first requests of the queue, at least one.
func (j *journal) take() []*request {
	limit := min(maxBatch, j.s.cfg.SegmentSize-segmentHeaderLen)
	n, bytes := 1, j.queue[0].bytes
	for n < len(j.queue) && bytes+j.queue[n].bytes <= limit {
		bytes += j.queue[n].bytes
		n++
	}
	batch := j.queue[:n:n]
	if n == len(j.queue) {
		j.queue = make([]*request, 0, n+n/2)
	} else {
		j.queue = j.queue[n:]
	}
	return batch
}

// maxRequest is how many bytes of records a caller may put into one request, so
// that every request fits into a segment.
func (j *journal) maxRequest() int64 {
	return min(maxBatch, j.s.cfg.SegmentSize-segmentHeaderLen) / 2
}

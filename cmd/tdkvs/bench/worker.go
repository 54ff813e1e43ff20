package bench

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// outcome is what a step did.
type outcome struct {
	op      operation
	objects int   // or keys
	bytes   int64 // of bodies, either way
}

// tally counts the requests of one operation.
type tally struct {
	latency *histogram // nil: none yet
	objects int64
	bytes   int64
	errors  map[string]int64
}

func (t *tally) add(other *tally) {
	if other.latency != nil {
		if t.latency == nil {
			t.latency = new(histogram)
		}
		t.latency.add(other.latency)
	}
	t.objects += other.objects
	t.bytes += other.bytes
	for kind, n := range other.errors {
		t.fail(kind, n)
	}
}

func (t *tally) fail(kind string, n int64) {
	if t.errors == nil {
		t.errors = map[string]int64{}
	}
	t.errors[kind] += n
}

// requests counts those that were answered as they should be.
func (t *tally) requests() int64 {
	if t.latency == nil {
		return 0
	}
	return int64(t.latency.count)
}

// tallies are those of all operations.
type tallies [operations]tally

func (t *tallies) add(other *tallies) {
	for i := range t {
		t[i].add(&other[i])
	}
}

// worker is one client. It belongs to one goroutine.
type worker struct {
	*session
	ctx  context.Context // of the run, for connecting; requests have deadlines of their own
	conn *conn
	rng  *rand.Rand
	zipf *rand.Zipf // nil: not wanted
	tallies

	request call
	check   checker
	pieces  [][]byte
	text    []byte   // a document to send
	parts   []string // ETags
	own     []uint64 // objects that a mixed load has put and not deleted
	walk    walk
}

// errExhausted ends a worker's part of a round: nothing is left to be deleted.
var errExhausted = errors.New("nothing left")

// pauseAfter keeps a client whose connections fail from doing nothing else.
const pauseAfter = 10 * time.Millisecond

// run works until the end, and counts.
func (w *worker) run(ctx context.Context, end time.Time, step func(*worker) (outcome, error)) {
	w.tallies = tallies{}
	for start := time.Now(); start.Before(end) && ctx.Err() == nil; {
		done, err := step(w)
		now := time.Now()
		if errors.Is(err, errExhausted) {
			return
		}
		w.count(done, now.Sub(start), err)
		if err != nil && !lasting(err) {
			time.Sleep(pauseAfter)
			now = time.Now()
		}
		start = now
	}
}

func (w *worker) count(done outcome, took time.Duration, err error) {
	t := &w.tallies[done.op]
	if err != nil {
		t.fail(kindOf(err), 1)
		w.tell(fmt.Sprintf("%s: %v", done.op, err))
		return
	}
	if t.latency == nil {
		t.latency = new(histogram)
	}
	t.latency.record(took)
	t.objects += int64(done.objects)
	t.bytes += done.bytes
}

// choose draws one of n objects, as the load wants.
func (w *worker) choose(n uint64) uint64 {
	switch {
	case w.zipf != nil:
		return w.zipf.Uint64()
	case w.keys == Random:
		return w.rng.Uint64N(n)
	}
	return (w.turn.Add(1) - 1) % n
}

// object begins a request for an object.
func (w *worker) object(method string, number uint64, size int64) *call {
	r := &w.request
	path := append(append(append(r.path[:0], '/'), w.bucket...), '/')
	*r = call{method: method, path: appendName(path, w.prefix, number, size), query: r.query[:0], payload: emptyHash}
	return r
}

// whole begins a request to the bucket.
func (w *worker) whole(method string) *call {
	r := &w.request
	*r = call{method: method, path: append(append(r.path[:0], '/'), w.bucket...), query: r.query[:0], payload: emptyHash}
	return r
}

// emptyHash is the SHA-256 of nothing.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// carry lets a request send part of an object's content.
func (w *worker) carry(r *call, number uint64, from, length int64) {
	w.pieces = w.content.pieces(w.pieces[:0], number, from, length)
	r.body, r.length, r.payload = w.pieces, length, unsignedPayload
	if !w.signed {
		return
	}
	sum := sha256.New()
	for _, piece := range w.pieces {
		_, _ = sum.Write(piece) // a hash never fails
	}
	r.payload = hex.EncodeToString(sum.Sum(nil))
}

// carryText lets a request send a document.
func (w *worker) carryText(r *call) {
	w.pieces = append(w.pieces[:0], w.text)
	sum := sha256.Sum256(w.text)
	r.body, r.length, r.payload = w.pieces, int64(len(w.text)), hex.EncodeToString(sum[:])
}

func (w *worker) do(r *call, taker taker) (answer, error) { return w.conn.do(w.ctx, r, taker) }

func (w *worker) put() (outcome, error) {
	if w.keys == Sequential {
		return w.putOne(w.next.Add(1) - 1)
	}
	return w.putOne(w.choose(w.next.Load()))
}

func (w *worker) putOne(number uint64) (outcome, error) {
	size := w.load.Sizes.of(number)
	r := w.object(methodPut, number, size)
	w.carry(r, number, 0, size)
	a, err := w.do(r, nil)
	if err == nil && len(a.etag) == 0 {
		err = &failure{kind: wrongAnswer, status: a.status, cause: errors.New("no ETag")}
	}
	return outcome{opPut, 1, size}, err
}

func (w *worker) get() (outcome, error) { return w.getOne(w.choose(w.ready)) }

func (w *worker) getOne(number uint64) (outcome, error) {
	size := w.load.Sizes.of(number)
	var to taker = nowhere{}
	if w.verify {
		w.check.number, w.check.at = number, 0
		to = &w.check
	}
	a, err := w.do(w.object(methodGet, number, size), to)
	return outcome{opGet, 1, size}, rightLength(a, size, err)
}

// nowhere takes a body that is only counted.
type nowhere struct{}

func (nowhere) take([]byte) error { return nil }

// rightLength checks the length that a good answer announced, which is that of
// its body, too. One of another length has wrong bytes as well.
func rightLength(a answer, size int64, err error) error {
	if (err == nil || kindOf(err) == wrongBytes) && a.length != size {
		f := &failure{kind: wrongLength, cause: fmt.Errorf("%d bytes in place of %d", a.length, size)}
		if err == nil { // the body was read: the connection is good
			f.status = a.status
		}
		return f
	}
	return err
}

func (w *worker) stat() (outcome, error) { return w.statOne(w.choose(w.ready)) }

func (w *worker) statOne(number uint64) (outcome, error) {
	size := w.load.Sizes.of(number)
	a, err := w.do(w.object(methodHead, number, size), nil)
	return outcome{opStat, 1, 0}, rightLength(a, size, err)
}

func (w *worker) remove() (outcome, error) {
	number := w.turn.Add(1) - 1
	if number >= w.ready {
		return outcome{}, errExhausted
	}
	return w.removeOne(number)
}

func (w *worker) removeOne(number uint64) (outcome, error) {
	_, err := w.do(w.object(methodDelete, number, w.load.Sizes.of(number)), nil)
	return outcome{opDelete, 1, 0}, err
}

func (w *worker) removeBatch() (outcome, error) {
	n := uint64(w.load.Batch)
	first := w.turn.Add(n) - n
	if first >= w.ready {
		return outcome{}, errExhausted
	}
	last := min(first+n, w.ready)
	return outcome{opMultiDelete, int(last - first), 0}, w.removeRange(first, last)
}

// removeRange deletes objects with one request.
func (w *worker) removeRange(first, last uint64) error {
	w.text = append(w.text[:0], `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>`...)
	for number := first; number < last; number++ {
		w.text = appendName(append(w.text, "<Object><Key>"...), w.prefix, number, w.load.Sizes.of(number))
		w.text = append(w.text, "</Key></Object>"...)
	}
	w.text = append(w.text, "</Delete>"...)
	r := w.whole(methodPost)
	r.query = append(r.query, "delete="...)
	sum := md5.Sum(w.text)
	r.headers = "Content-Md5: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\nContent-Type: application/xml\r\n"
	w.carryText(r)
	a, err := w.do(r, nil)
	if code := element(a.kept, "Code"); err == nil && code != "" {
		return &failure{kind: "200 " + code, status: a.status, cause: errors.New("of one of the objects")}
	}
	return err
}

func (w *worker) mixed() (outcome, error) {
	m, draw := w.load.Mix, w.rng.IntN(100)
	switch {
	case draw < m.Get:
		return w.getOne(w.choose(w.ready))
	case draw < m.Get+m.Stat:
		return w.statOne(w.choose(w.ready))
	case draw < m.Get+m.Stat+m.Delete && len(w.own) > 0:
		last := len(w.own) - 1
		number := w.own[last]
		w.own = w.own[:last]
		return w.removeOne(number)
	}
	number := w.next.Add(1) - 1
	done, err := w.putOne(number)
	if err == nil {
		w.own = append(w.own, number)
	}
	return done, err
}

// walk is where a client is in its walk through the keys.
type walk struct {
	token string // "": at at, without one
	at    uint64 // keys before
}

func (w *worker) list() (outcome, error) {
	r := w.whole(methodGet)
	q := r.query
	if w.walk.token != "" {
		q = append(escape(append(q, "continuation-token="...), w.walk.token), '&')
	}
	q = strconv.AppendInt(append(q, "list-type=2&max-keys="...), int64(w.load.Page), 10)
	q = escape(append(q, "&prefix="...), w.prefix)
	if w.walk.token == "" && w.walk.at > 0 {
		before := w.walk.at - 1
		w.text = appendName(w.text[:0], w.prefix, before, w.load.Sizes.of(before))
		q = escape(append(q, "&start-after="...), string(w.text))
	}
	r.query = q
	a, err := w.do(r, nil)
	if err != nil {
		return outcome{op: opList}, err
	}
	keys := countElements(a.kept, "Key")
	want := min(uint64(w.load.Page), w.ready-w.walk.at)
	w.walk.at += uint64(keys)
	w.walk.token = element(a.kept, "NextContinuationToken")
	if uint64(keys) != want || (w.walk.token == "") != (w.walk.at == w.ready) {
		err = &failure{kind: wrongList, status: a.status, cause: fmt.Errorf("%d keys in place of %d", keys, want)}
	}
	if err != nil || w.walk.at == w.ready {
		w.walk = walk{}
	}
	return outcome{opList, keys, 0}, err
}

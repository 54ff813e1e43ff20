package master

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

const (
	garbageBatch   = 48               // entries settled by one transaction, at two writes each
	garbagePieces  = 1000             // blobs deleted by one step
	garbageRows    = 100              // rows of an upload or manifest removed by one step
	garbagePoll    = 5 * time.Second  // pause when nothing is due
	pinnedDelay    = 30 * time.Second // until an entry held by a reader is looked at again
	deleteTimeout  = 30 * time.Second // of one call to a volume
	maxVolumeDelay = 5 * time.Minute  // between attempts at a volume that fails
)

// GarbageStats counts the work of the garbage worker since the start.
type GarbageStats struct {
	Entries   uint64 // entries removed from the queue
	Blobs     uint64 // blobs deleted, as far as the queue named them
	Postponed uint64 // entries put off: a reader or a failing volume
	Failures  uint64 // calls to volumes that failed
	LastError string // of the last such call
}

// collector is the garbage worker: it takes the entries that are due, oldest
// first, deletes what they name, and then their rows. Deleting twice is no
// error, so a step cut off anywhere is simply repeated.
type collector struct {
	e        *Engine
	woken    chan struct{}
	returned atomic.Bool // a volume has, since the last step

	mu         sync.Mutex // held during a step
	cursor     []byte     // where the next step looks on; nil: from the start
	down       map[meta.VolumeID]backoff
	unreadable map[string]bool // rows that were logged as such

	statsMu sync.Mutex
	stats   GarbageStats
}

// backoff is a volume left alone until a time.
type backoff struct {
	failures int
	until    time.Time
}

// failed is b after one more failure: a second from now, and twice as long with
// every failure in a row, up to a limit.
func (b backoff) failed(now time.Time, limit time.Duration) backoff {
	return backoff{failures: b.failures + 1, until: now.Add(min(time.Second<<min(b.failures, 16), limit))}
}

func newCollector(e *Engine) *collector {
	return &collector{e: e, woken: make(chan struct{}, 1), down: make(map[meta.VolumeID]backoff), unreadable: make(map[string]bool)}
}

// CollectGarbage removes everything that is due, except what readers or failing
// volumes hold up.
func (e *Engine) CollectGarbage(ctx context.Context) error {
	for {
		if state, err := e.garbage.Step(ctx); err != nil || !state.More {
			return err
		}
	}
}

// Name is the worker's name in the log.
func (c *collector) Name() string { return "garbage" }

// Woken signals that something became due at once.
func (c *collector) Woken() <-chan struct{} { return c.woken }

func (c *collector) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// volumeIsBack has no volume left alone any more.
func (c *collector) volumeIsBack() {
	c.returned.Store(true)
	c.wake()
}

func (c *collector) snapshot() GarbageStats {
	c.statsMu.Lock()
	defer c.statsMu.Unlock()
	return c.stats
}

func (c *collector) count(by GarbageStats) {
	c.statsMu.Lock()
	defer c.statsMu.Unlock()
	c.stats.Entries += by.Entries
	c.stats.Blobs += by.Blobs
	c.stats.Postponed += by.Postponed
	c.stats.Failures += by.Failures
	if by.LastError != "" {
		c.stats.LastError = by.LastError
	}
}

// entry is a row of the queue.
type entry struct {
	key []byte
	metadb.Garbage
	due time.Time // when to look again, for one that is put off
}

// Step settles a batch of plain entries, or advances one that stands for many
// rows.
func (c *collector) Step(ctx context.Context) (State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.returned.Swap(false) {
		clear(c.down)
	}
	if c.e.backups.holding(c.e.clock()) {
		return State{Wait: garbagePoll}, nil
	}
	now := c.e.now()
	entries, err := c.due(ctx, now)
	if err != nil {
		return State{}, fmt.Errorf("read the garbage queue: %w", err)
	}
	if len(entries) == 0 {
		if c.cursor == nil {
			return State{Wait: failpoint.Or(garbagePoll, garbagePoll/25)}, nil
		}
		c.cursor = nil // rows may have been added behind it
		return State{More: true}, nil
	}
	c.e.pins.settle()
	switch first := entries[0]; {
	case expands(first.Kind):
		return State{More: true}, c.expand(ctx, first, now)
	case first.Kind == metadb.GarbageLeftovers:
		return State{More: true}, c.settleLeftovers(ctx, first, now)
	}
	return State{More: true}, c.settle(ctx, entries, now)
}

// due reads the next entries: those up to the first that goes alone, or that one.
// It starts where the last step ended, so as not to walk again over the deleted
// rows at the head of the queue.
func (c *collector) due(ctx context.Context, now time.Time) ([]entry, error) {
	r := metadb.GarbageDue(now)
	r.Start = later(r.Start, c.cursor)
	if r.Empty() {
		return nil, nil
	}
	var entries []entry
	err := c.e.view(ctx, func(tx metadb.Tx) error {
		entries = nil
		n := 0
		return tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
			g, err := metadb.UnmarshalGarbage(row)
			if err == nil && (g.Kind < metadb.GarbageBlobs || g.Kind > metadb.GarbageLeftovers) {
				err = fmt.Errorf("kind %d: written by a newer version of the program", g.Kind)
			}
			if err != nil {
				c.leave(ctx, k, err)
				return true, nil
			}
			n += len(g.Pieces)
			if len(entries) > 0 && (alone(g.Kind) || n > garbagePieces) {
				return false, nil
			}
			entries = append(entries, entry{key: append([]byte(nil), k...), Garbage: g})
			return len(entries) < garbageBatch && !alone(g.Kind), nil
		})
	})
	return entries, err
}

// leave notes a row that can not be read, by this version of the program at
// least. It stays, with what it names, and does not hold up the others.
func (c *collector) leave(ctx context.Context, key []byte, err error) {
	if !c.unreadable[string(key)] {
		c.unreadable[string(key)] = true
		c.e.log.ErrorContext(ctx, "an entry of the garbage queue can not be read: it is left, and what it names is not removed",
			"key", fmt.Sprintf("%x", key), "error", err)
	}
}

func expands(k metadb.GarbageKind) bool {
	return k == metadb.GarbageUpload || k == metadb.GarbageManifest
}

// alone reports whether an entry makes a step of its own.
func alone(k metadb.GarbageKind) bool { return expands(k) || k == metadb.GarbageLeftovers }

// settle deletes what plain entries name and removes them from the queue; those
// that are held up are put off.
func (c *collector) settle(ctx context.Context, entries []entry, now time.Time) error {
	var blobs []meta.Piece
	for i := range entries {
		en := &entries[i]
		switch {
		case !en.Kind.NamesBlobs():
		case c.e.pins.holds(&en.Garbage):
			en.due = now.Add(pinnedDelay)
		default:
			en.due = c.heldUntil(en.Pieces, now)
			if en.due.IsZero() {
				blobs = append(blobs, en.Pieces...)
			}
		}
	}
	failpoint.At("garbage/due")
	failed := c.deleteBlobs(ctx, blobs, now)
	failpoint.At("garbage/removed")
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range entries {
		en := &entries[i]
		if en.due.IsZero() && en.Kind.NamesBlobs() {
			if en.due = latest(en.Pieces, failed); !en.due.IsZero() {
				en.Attempts++
			}
		}
	}
	return c.commit(ctx, entries)
}

// commit removes the entries that are done and moves those that are put off.
func (c *collector) commit(ctx context.Context, entries []entry) error {
	var by GarbageStats
	_, err := c.e.update(ctx, func(tx metadb.Tx) error {
		by = GarbageStats{}
		for i := range entries {
			if err := settleEntry(tx, &entries[i], &by); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("commit to the garbage queue: %w", err)
	}
	failpoint.At("garbage/settled")
	c.cursor = metadb.After(entries[len(entries)-1].key)
	c.count(by)
	return nil
}

func settleEntry(tx metadb.Tx, en *entry, by *GarbageStats) error {
	if _, err := tx.Get(en.key); errors.Is(err, metadb.ErrNotFound) {
		return nil // done by someone else
	} else if err != nil {
		return err
	}
	if err := tx.Delete(en.key); err != nil {
		return err
	}
	switch {
	case !en.due.IsZero():
		by.Postponed++
		return queue(tx, en.due, en.Garbage)
	case en.Kind == metadb.GarbageCompleted:
		by.Entries++
		return tx.Delete(metadb.CompletedKey(en.UploadID))
	}
	by.Entries++
	return nil
}

// heldUntil returns until when one of the pieces' volumes is left alone; zero
// when none is.
func (c *collector) heldUntil(p []meta.Piece, now time.Time) time.Time {
	var until time.Time
	for _, piece := range p {
		if b, ok := c.down[piece.Volume]; ok && b.until.After(now) && b.until.After(until) {
			until = b.until
		}
	}
	return until
}

// latest returns the last of the times at which the pieces' volumes are tried
// again; zero when none has failed.
func latest(p []meta.Piece, failed map[meta.VolumeID]time.Time) time.Time {
	var until time.Time
	for _, piece := range p {
		if t := failed[piece.Volume]; t.After(until) {
			until = t
		}
	}
	return until
}

// deleteBlobs deletes pieces, one call for each volume and all at once. It
// returns the volumes that failed and when to try them again.
func (c *collector) deleteBlobs(ctx context.Context, p []meta.Piece, now time.Time) map[meta.VolumeID]time.Time {
	byVolume := make(map[meta.VolumeID][]volume.BlobID)
	for _, piece := range p {
		byVolume[piece.Volume] = append(byVolume[piece.Volume], volume.BlobID(piece.Blob))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex // guards errs
	errs := make(map[meta.VolumeID]error)
	for number, ids := range byVolume {
		wg.Go(func() {
			err := c.deleteOn(ctx, number, ids)
			mu.Lock()
			defer mu.Unlock()
			errs[number] = err
		})
	}
	wg.Wait()
	failed := make(map[meta.VolumeID]time.Time)
	for number, err := range errs {
		if err == nil {
			delete(c.down, number)
			c.count(GarbageStats{Blobs: uint64(len(byVolume[number]))})
			continue
		}
		if ctx.Err() == nil {
			failed[number] = c.backOff(number, err, now)
		}
	}
	return failed
}

func (c *collector) deleteOn(ctx context.Context, number meta.VolumeID, ids []volume.BlobID) error {
	if c.gone(number) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	blobs, err := c.e.volume(ctx, number)
	if err != nil {
		return err
	}
	return blobs.Delete(ctx, ids)
}

// backOff leaves a volume alone for a while.
func (c *collector) backOff(number meta.VolumeID, err error, now time.Time) time.Time {
	b := c.down[number].failed(now, maxVolumeDelay)
	c.down[number] = b
	c.count(GarbageStats{Failures: 1, LastError: fmt.Sprintf("volume %d: %v", number, err)})
	c.e.log.Warn("garbage on a volume can not be removed for now", "volume", number, "retry", b.until, "error", err)
	return b.until
}

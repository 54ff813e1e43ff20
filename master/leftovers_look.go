package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

const (
	leftoverBlobs = 1 << 20 // candidates that are held at the same time, at 25 bytes each: the rows are read once for as many
	leftoverPages = 1 << 12 // of listings, after which it is recorded how far the look is
	leftoverSome  = 1 << 10 // blobs that nothing names that are asked about before they are given up
	leftoverBatch = 16      // blobs that one entry of the garbage queue names
)

// look is the part of a look for leftovers that is not recorded yet: blobs that
// were listed, in the order in which they must be dealt with.
//
//  1. The volumes are listed. What was created in the time that is in question is
//     a candidate, whoever made it.
//  2. All writes that had begun by then come to their end. So none of the
//     candidates is on its way into the metadata any more.
//  3. All rows are read as of one moment. A candidate that none of them names, nor
//     an entry of the garbage queue, will never be named.
//  4. What is left goes to the garbage queue, with how far the look has come.
type look struct {
	from, until time.Time
	asked       uint64                     // as it was recorded when the look began
	left        []meta.Piece               // volumes, each with the blob behind which to go on
	found       map[meta.VolumeID]*listing // candidates
	n           int                        // of them
	pages       int                        // that were listed, or found not to be needed
	listed      bool                       // 1 is done
	turn        uint64                     // of the layouts: writes that began before it have to end
}

// add adds a candidate. Those of a volume come in order.
func (k *look) add(p meta.Piece, size int64) {
	l := k.found[p.Volume]
	if l == nil {
		l = new(listing)
		k.found[p.Volume] = l
	}
	l.ids, l.sizes, l.marks = append(l.ids, p.Blob), append(l.sizes, size), append(l.marks, 0)
	k.n++
}

// advance does a bounded part of the look, if there is one to do.
func (w *leftovers) advance(ctx context.Context) (State, error) {
	if w.look == nil {
		l, err := w.state(ctx)
		if err != nil {
			return State{}, err
		}
		if len(l.Volumes) == 0 {
			return w.again(ctx, l)
		}
		w.look = &look{from: l.From, until: l.Until, asked: l.Asked, left: l.Volumes, found: make(map[meta.VolumeID]*listing)}
	}
	switch k := w.look; {
	case !k.listed:
		return w.list(ctx)
	case !w.e.layouts.over(k.turn):
		return State{Wait: leftoverPoll}, nil
	}
	return w.settle(ctx)
}

// again begins the second round, or says when to.
func (w *leftovers) again(ctx context.Context, l metadb.Leftovers) (State, error) {
	switch wait := l.Again.Sub(w.e.now()); {
	case l.Again.IsZero():
		return State{Wait: leftoverIdle}, nil
	case wait > 0:
		return State{Wait: wait}, nil
	}
	return State{More: true}, w.change(ctx, func(l *metadb.Leftovers, _ bool) { w.askAll(l) })
}

// list reads one page of one volume, and ends the listing where there are enough
// candidates, or no volume that answers is left.
func (w *leftovers) list(ctx context.Context) (State, error) {
	k, began := w.look, time.Now()
	i := w.next(k.left)
	switch {
	case i < 0 && k.pages == 0 && len(k.left) > 0:
		w.look = nil
		w.forgive()
		return State{Wait: leftoverRetry}, nil
	case i < 0 || k.n >= w.most || k.pages >= leftoverPages:
		k.listed = true
		failpoint.At("leftovers/listed")
		if k.n > 0 {
			k.turn = w.e.layouts.turnOver()
		}
		return State{More: true}, nil
	}
	v, ok := w.e.layouts.now().volumes[k.left[i].Volume]
	if !ok {
		return w.pass(ctx, i)
	}
	infos, err := w.e.listPage(ctx, v.Number, volume.BlobID(k.left[i].Blob), listBatch)
	if err != nil {
		if ctx.Err() == nil {
			w.leave(v.Number, err)
		}
		return State{More: true}, ctx.Err()
	}
	k.pages++
	for _, info := range infos {
		p := meta.Piece{Volume: v.Number, Blob: meta.BlobID(info.ID)}
		if !info.Created.Before(k.from) && !info.Created.After(k.until) && !w.kept(p) {
			k.add(p, info.Size)
		}
		k.left[i] = p
	}
	if len(infos) < listBatch {
		k.left = slices.Delete(k.left, i, i+1)
	}
	return State{Wait: time.Since(began)}, nil // others have a turn
}

// pass leaves out a volume that has left: it was emptied, or is asked about when it
// comes back. One that is just coming back is waited for.
func (w *leftovers) pass(ctx context.Context, i int) (State, error) {
	_, recorded, err := w.e.loadTopology(ctx)
	if err != nil {
		return State{}, err
	}
	k := w.look
	for _, v := range recorded.Volumes {
		if v.Number == k.left[i].Volume && v.State.Member() {
			return State{Wait: leftoverPoll}, nil
		}
	}
	k.left = slices.Delete(k.left, i, i+1)
	k.pages++
	return State{More: true}, nil
}

// next returns the first of the volumes that is not away; below zero where all
// are.
func (w *leftovers) next(left []meta.Piece) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range left {
		if !w.away[p.Volume] {
			return i
		}
	}
	return -1
}

// leave leaves a volume to be looked over later, unless it has left the cluster.
func (w *leftovers) leave(number meta.VolumeID, err error) {
	if _, member := w.e.layouts.now().volumes[number]; !member {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away[number] = true
	w.trouble = fmt.Sprintf("volume %d can not be looked over for now: %v", number, err)
}

// forgive has no volume left to later any more.
func (w *leftovers) forgive() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.away)
}

func (w *leftovers) volumeIsBack() {
	w.forgive()
	w.wake()
}

func (w *leftovers) complain(of string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = of
}

func (w *leftovers) troubled() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trouble
}

// settle gives up what nothing names of the candidates, and records how far the
// look has come.
func (w *leftovers) settle(ctx context.Context) (State, error) {
	k := w.look
	found, err := w.unnamed(ctx, k)
	switch {
	case errors.Is(err, errUnreadableRows):
		w.look = nil
		w.e.log.ErrorContext(ctx, "leftovers can not be told for now", "error", err)
		w.complain(err.Error())
		return State{Wait: leftoverIdle}, nil
	case err != nil:
		return State{}, fmt.Errorf("look for leftovers: %w", err)
	}
	for first := true; first || len(found) > 0; first = false {
		n := min(len(found), leftoverSome)
		left, err := w.describe(ctx, found[:n])
		if err != nil {
			w.look = nil // without this volume
			return State{More: true}, ctx.Err()
		}
		if excess, err := w.excess(ctx, left); err != nil {
			return State{}, err
		} else if excess > 0 {
			w.look = nil
			return State{Wait: leftoverIdle}, w.keepAll(ctx, k, excess)
		}
		var done *look
		if found = found[n:]; len(found) == 0 {
			done = k
		}
		if err := w.giveUpAll(ctx, left, done); err != nil {
			return State{}, err
		}
	}
	w.look = nil
	return w.rested(ctx, k)
}

// giveUpAll gives up blobs, some in a transaction; with the last of these goes done,
// as giveUp has it.
func (w *leftovers) giveUpAll(ctx context.Context, left []leftover, done *look) error {
	for len(left) > leftoverBatch {
		if err := w.giveUp(ctx, left[:leftoverBatch], nil); err != nil {
			return err
		}
		left = left[leftoverBatch:]
	}
	return w.giveUp(ctx, left, done)
}

// rested says when to go on.
func (w *leftovers) rested(ctx context.Context, k *look) (State, error) {
	l, err := w.state(ctx)
	switch {
	case err != nil:
		return State{}, err
	case l.Asked != k.asked, len(k.left) > 0 && w.next(k.left) >= 0:
		return State{More: true}, nil
	}
	w.forgive()
	if len(k.left) > 0 {
		return State{Wait: leftoverRetry}, nil
	}
	w.complain("")
	w.e.log.InfoContext(ctx, "volumes were looked over for blobs that nothing names", "found", l.Found, "bytes", l.Bytes, "removed_in", w.grace)
	if !l.Again.IsZero() {
		return State{Wait: leftoverAgain}, nil
	}
	return State{Wait: leftoverIdle}, nil
}

// leftover is a blob that nothing names, and what it says of itself.
type leftover struct {
	sized
	metadb.Descriptor
}

// describe asks the volumes what the blobs are that nothing names. Those that are
// gone were garbage when they were listed; those that do not say what they are
// stay, as nobody could look at them again.
func (w *leftovers) describe(ctx context.Context, found []sized) ([]leftover, error) {
	var left []leftover
	for _, b := range found {
		desc, err := w.e.descriptorOf(ctx, b.Piece)
		switch {
		case err == nil:
			left = append(left, leftover{b, desc})
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, volume.ErrNotFound):
		case errors.Is(err, volume.ErrCorrupt):
			w.e.log.WarnContext(ctx, "a blob that nothing names does not say what it is, and stays", "piece", piecesText([]meta.Piece{b.Piece})[0], "error", err)
		default:
			w.leave(b.Volume, err)
			return nil, err
		}
	}
	return left, nil
}

// descriptorOf returns what a blob says of itself; ErrCorrupt where that can not be
// understood.
func (e *Engine) descriptorOf(ctx context.Context, p meta.Piece) (metadb.Descriptor, error) {
	ctx, cancel := context.WithTimeout(ctx, checkStatTimeout)
	defer cancel()
	blobs, err := e.volume(ctx, p.Volume)
	if err != nil {
		return metadb.Descriptor{}, err
	}
	info, err := blobs.Stat(ctx, volume.BlobID(p.Blob))
	if err != nil {
		return metadb.Descriptor{}, err
	}
	d, err := metadb.UnmarshalDescriptor(info.Descriptor)
	if err == nil && d.Bucket == "" {
		err = metadb.ErrBadRecord
	}
	if err != nil {
		return d, fmt.Errorf("%w: its descriptor: %w", volume.ErrCorrupt, err)
	}
	return d, nil
}

// giveUp queues blobs as garbage, in a transaction that looks once more at the
// rows that they would first be in. With it goes, where it is given, how far the
// look has come.
func (w *leftovers) giveUp(ctx context.Context, left []leftover, done *look) error {
	var entry metadb.Garbage
	_, err := w.e.update(ctx, func(tx metadb.Tx) error {
		now := w.e.now()
		entry = metadb.Garbage{Kind: metadb.GarbageLeftovers, Queued: now}
		var bytes int64
		for _, b := range left {
			named, err := namedNow(tx, b)
			if err != nil {
				return err
			}
			if named {
				return fmt.Errorf("blob %s on volume %d: %w", volume.BlobID(b.Blob), b.Volume, errNamedAgain)
			}
			entry.Pieces = append(entry.Pieces, b.Piece)
			bytes += b.size
		}
		if err := queueUnlessEmpty(tx, now.Add(w.grace), entry); err != nil {
			return err
		}
		return changeLeftovers(tx, func(l *metadb.Leftovers, _ bool) {
			l.Found += uint64(len(entry.Pieces))
			l.Bytes += uint64(bytes)
			l.Awaited += uint64(len(left)) - crashed(l, left)
			if done != nil && done.asked == l.Asked { // else a volume has come back since, and the next look has it all
				l.Volumes = done.left
			}
			if len(l.Volumes) == 0 {
				endRound(l, now)
			}
		})
	})
	if err != nil {
		return fmt.Errorf("queue leftovers: %w", err)
	}
	failpoint.At("leftovers/queued")
	if len(entry.Pieces) > 0 {
		w.e.log.InfoContext(ctx, "nothing names these blobs, as a crash or a volume that was lost leaves them: they will be removed", "pieces", piecesText(entry.Pieces), "in", w.grace)
	}
	return nil
}

// endRound notes that all volumes were looked over, for the first time or the
// second. What is looked at whenever it was created is no work for a second round.
func endRound(l *metadb.Leftovers, now time.Time) {
	first := l.Again.IsZero() && !l.From.IsZero()
	l.Looked, l.Returned, l.Again = now, nil, time.Time{}
	if first {
		l.Again = now.Add(leftoverAgain)
	}
}

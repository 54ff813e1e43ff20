package master

import (
	"context"
	"errors"
	"io"
	"sync"

	"tdkvs/master/meta"
)

// errDropped ends a Put that nobody waits for any more.
var errDropped = errors.New("the write goes on without this volume")

// pieceWriter writes one piece of an extent to a volume, or to the next one where
// that fails and the feed can be read again.
type pieceWriter struct {
	of     *spread
	index  int // of the piece in the extent
	feed   *feed
	cancel context.CancelFunc
	err    error // why it failed; set before it is sent to spread.ended

	mu        sync.Mutex // owns what follows
	piece     meta.Piece // the one that is being written
	described bool       // its volume has all that it needs to make it durable
	dropped   bool
	lost      []meta.Piece
}

// run writes the piece and reports the end.
func (w *pieceWriter) run(ctx context.Context) {
	for attempt := 1; ; attempt++ {
		err := w.of.e.put(ctx, w.written(), w.of.size, w.feed, w.describe)
		if err == nil || attempt == maxAttempts || !worthAnother(ctx, err) || !w.again(err) {
			w.end(err)
			return
		}
	}
}

// describe is the volume.Descriptor of the piece. Once it has answered, the
// volume may make the piece durable; a writer that was dropped before does not.
func (w *pieceWriter) describe() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dropped {
		return nil, errDropped
	}
	w.described = true
	return w.of.descriptors[w.index], nil
}

// again prepares another attempt, under a fresh id, after one that failed.
func (w *pieceWriter) again(err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dropped || !w.feed.rewind() {
		return false
	}
	number, ok := w.of.targets.instead(w.piece.Volume)
	if !ok {
		return false
	}
	w.giveUpPiece(err)
	w.piece = meta.Piece{Volume: number, Blob: meta.BlobID(newBlobID())}
	return true
}

// giveUpPiece notes that the current piece will not be used, after err. Its
// caller holds mu.
func (w *pieceWriter) giveUpPiece(err error) {
	if w.described && !refusedByVolume(err) {
		w.lost = append(w.lost, w.piece)
	}
	w.described = false
}

// end reports how the last attempt ended; nil is durable.
func (w *pieceWriter) end(err error) {
	w.feed.breakOff(io.ErrClosedPipe)
	w.cancel()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && !w.dropped {
		w.giveUpPiece(err)
	}
	w.err = err
	w.of.ended <- w
}

// drop gives up the piece, whatever the volume is doing. Where it may come to be
// there all the same, it is among lost.
func (w *pieceWriter) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dropped {
		return
	}
	w.dropped = true
	w.giveUpPiece(errDropped)
	w.feed.breakOff(errDropped)
	w.cancel()
}

// written is the piece that is being written, or was written last.
func (w *pieceWriter) written() meta.Piece {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.piece
}

// givenUp are the blobs that may be there, or come to be there, and are not the
// piece.
func (w *pieceWriter) givenUp() []meta.Piece {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

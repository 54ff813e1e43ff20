package master

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// refusedByVolume reports that the volume itself has said that it stored
// nothing, as opposed to an answer that was lost or a write that failed halfway.
// That a fresh id exists is no such word: it was stored by this very request, which
// came twice, or is the answer to another.
func refusedByVolume(err error) bool {
	return isAny(err, volume.ErrNoSpace, volume.ErrInvalid, volume.ErrDenied, volume.ErrWrongVolume)
}

// abandonTimeout bounds the removal of blobs that became part of nothing.
const abandonTimeout = 10 * time.Second

// abandon removes pieces that became part of nothing, all at once, or queues
// them where their volume does not answer. After a commit of unknown outcome they
// stay: the record may turn out to be there.
func (e *Engine) abandon(ctx context.Context, p []meta.Piece, unknown bool) {
	if unknown {
		e.leftovers.keep(p)
		e.log.WarnContext(ctx, "a commit failed with unknown outcome; its blobs are kept", "pieces", piecesText(p))
		return
	}
	ctx = context.WithoutCancel(ctx)
	limited, cancel := context.WithTimeout(ctx, abandonTimeout)
	defer cancel()
	var mu sync.Mutex // guards left
	var left []meta.Piece
	var wg sync.WaitGroup
	for _, piece := range p {
		wg.Go(func() {
			blobs, err := e.volume(limited, piece.Volume)
			if err == nil {
				err = blobs.Delete(limited, []volume.BlobID{volume.BlobID(piece.Blob)})
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				left = append(left, piece)
			}
		})
	}
	wg.Wait()
	failpoint.At("put/abandoned")
	e.queuePieces(ctx, left)
}

// queuePieces queues pieces that are part of nothing. A write that is still under
// way on its volume comes to its end first.
func (e *Engine) queuePieces(ctx context.Context, p []meta.Piece) {
	if len(p) == 0 {
		return
	}
	_, err := e.update(metadb.Upkeep(context.WithoutCancel(ctx)), func(tx metadb.Tx) error { return e.retireLate(tx, p, e.now()) })
	if err != nil {
		e.leftovers.lose()
		e.log.ErrorContext(ctx, "unused blobs could be neither removed nor queued", "pieces", piecesText(p), "error", err)
	}
}

// piecesText names pieces for a log line.
func piecesText(p []meta.Piece) []string {
	names := make([]string, len(p))
	for i, piece := range p {
		names[i] = fmt.Sprintf("%d/%x", piece.Volume, piece.Blob)
	}
	return names
}

package master

import (
	"context"
	"errors"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

// settleLeftovers looks again at blobs that nothing named when the look for
// leftovers found them, and removes those that nothing names still. That should be
// all: whoever has brought rows back that name one has it back, too.
func (c *collector) settleLeftovers(ctx context.Context, en entry, now time.Time) error {
	if en.due = c.heldUntil(en.Pieces, now); !en.due.IsZero() {
		return c.commit(ctx, []entry{en})
	}
	var unused []meta.Piece
	for _, p := range en.Pieces {
		desc, err := c.e.descriptorOf(ctx, p)
		named := false
		if err == nil {
			if c.e.completing.has(desc.UploadID) {
				en.due = now.Add(pinnedDelay) // what it comes to is known then
				return c.commit(ctx, []entry{en})
			}
			named, err = c.e.names(ctx, desc, p)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case named, errors.Is(err, volume.ErrCorrupt):
			c.e.log.WarnContext(ctx, "a blob that nothing named stays: something names it now, or it does not say what it is",
				"piece", piecesText([]meta.Piece{p})[0], "named", named, "error", err)
		case err == nil:
			unused = append(unused, p)
		case errors.Is(err, volume.ErrNotFound), c.gone(p.Volume):
		default: // all of it is looked at again, once the volume answers
			en.due = c.backOff(p.Volume, err, now)
			en.Attempts++
			return c.commit(ctx, []entry{en})
		}
	}
	en.Pieces = unused
	failpoint.At("leftovers/doomed")
	return c.settle(ctx, []entry{en}, now)
}

// gone reports whether a volume is not in the cluster: it was emptied before it
// left, or is lost.
func (c *collector) gone(number meta.VolumeID) bool {
	v, ok := c.e.layouts.now().volume(number)
	return ok && !v.State.Member()
}

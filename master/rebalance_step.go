package master

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"tdkvs/failpoint"
	"tdkvs/master/metadb"
)

// carryOut makes and records what a scan has found. Its batches are under way at
// the same time: while one waits for its transaction, pieces of the next are
// made, and transactions that meet share a commit. The last is recorded, with the
// cursor, when all others are: after a crash before that, the next step finds
// those where they belong.
func (r *rebalancer) carryOut(ctx context.Context, l *layout, st *metadb.Rebalance, found finding) error {
	batches := found.batches
	if len(batches) == 0 {
		batches = [][]*move{nil} // the cursor moves all the same
	}
	last := len(batches) - 1
	made, troubled := make([]moved, len(batches)), make([]bool, len(batches))
	defer func() {
		for _, b := range made {
			if b.done != nil {
				b.done()
			}
		}
	}()
	t := make(turns, movesAtOnce(st))
	var group errgroup.Group
	for i, moves := range batches {
		group.Go(func() error {
			var err error
			if made[i], err = r.prepare(ctx, moves, t); err == nil {
				err = ctx.Err()
			}
			if err != nil || i == last {
				return err
			}
			return r.record(ctx, made[i], func(rec *recorder) error {
				troubled[i] = rec.troubled
				return rec.saveBatch(st.Epoch)
			})
		})
	}
	err := group.Wait()
	failpoint.At("rebalance/made")
	if ctx.Err() == nil {
		r.judge(slices.Concat(batches...))
	}
	if err == nil {
		err = r.record(ctx, made[last], func(rec *recorder) error {
			troubled[last] = rec.troubled
			return rec.savePass(st.Epoch, found, found.stuckBy(l))
		})
	}
	r.batches = min(2*r.batches, maxBatches)
	if err != nil || slices.Contains(troubled, true) {
		r.batches = 1
	}
	r.troubled = r.troubled || slices.Contains(troubled, true)
	return err
}

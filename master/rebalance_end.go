package master

import (
	"context"
	"errors"
	"slices"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// endPass ends the work where the pass has found nothing left, and otherwise
// begins another.
func (r *rebalancer) endPass(ctx context.Context, epoch uint64) (State, error) {
	st, err := r.e.RebalanceState(ctx)
	switch {
	case err != nil:
		return State{}, err
	case st.Epoch != epoch || !st.Active:
		return State{More: true}, nil // it has begun anew
	case st.Again:
		return r.nextPass(ctx, epoch)
	}
	return r.finish(ctx, epoch, st.StuckNow)
}

// nextPass begins another pass, at once or, after one that met with failures,
// later.
func (r *rebalancer) nextPass(ctx context.Context, epoch uint64) (State, error) {
	_, err := r.e.update(ctx, func(tx metadb.Tx) error {
		st, err := record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
		if err != nil || st.Epoch != epoch || !st.Active {
			return err
		}
		st.Pass++
		st.Cursor, st.Again, st.Scanned, st.Short = nil, false, 0, 0
		st.Stuck, st.StuckNow = st.StuckNow, nil
		if !r.troubled {
			st.LastError = ""
		}
		return setRebalance(tx, &st)
	})
	failpoint.At("rebalance/passed")
	if err != nil {
		return State{}, err
	}
	if !r.troubled {
		r.troubles = 0
		return State{More: true}, nil
	}
	wait := min(repeatPause<<min(r.troubles, 10), maxRepeatPause)
	until := r.e.now().Add(wait)
	r.resume.Store(&until)
	r.troubled = false
	r.troubles++
	return State{Wait: wait}, nil
}

// finish takes drained volumes out of the cluster, but for those that something
// has to stay on, and ends the work.
func (r *rebalancer) finish(ctx context.Context, epoch uint64, stuck []metadb.Stuck) (State, error) {
	r.damage.all(r.e.now())
	err := r.e.removeDrained(ctx, epoch, stuck)
	switch {
	case errors.Is(err, errHeld):
		return State{Wait: repeatPause}, nil
	case errors.Is(err, errNamed):
		return r.nextPass(ctx, epoch)
	case err != nil:
		return State{}, err
	}
	var ended metadb.Rebalance
	_, err = r.e.update(ctx, func(tx metadb.Tx) error {
		st, err := record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
		if err != nil || st.Epoch != epoch || !st.Active {
			return err
		}
		st.Active, st.Cursor, st.Finished, st.LastError = false, nil, r.e.now(), ""
		st.Stuck, st.StuckNow = st.StuckNow, nil
		ended = st
		return setRebalance(tx, &st)
	})
	failpoint.At("rebalance/ended")
	if err == nil && ended.Epoch == epoch {
		message := "everything is where the topology places it"
		if len(ended.Stuck) > 0 || ended.Short > 0 {
			message = "everything is where the topology places it, but for what there are too few volumes for, or what is damaged"
		}
		for _, s := range ended.Stuck {
			r.e.log.WarnContext(ctx, "a volume that is to leave can not be emptied", "volume", s.Volume,
				"damaged", s.Damaged, "damaged_parts", s.Parts, "short", s.Short)
		}
		r.e.log.InfoContext(ctx, message, "short", ended.Short, "moved", ended.Moved, "bytes", ended.MovedBytes,
			"failed", ended.Failed, "passes", ended.Pass, "took", ended.Finished.Sub(ended.Started))
	}
	return State{More: true}, err
}

var (
	errHeld  = errors.New("a reader still reads from a volume that is to leave")
	errNamed = errors.New("a volume that is to leave is still named")
)

// removeDrained takes the draining volumes out of the cluster, but for those that
// are stuck, after a pass that has found nothing more to move off them. A pass is no proof: while it is under
// way, a row that it has yet to see may go behind it, as that of a completed
// upload does. So what is removed for good is preceded by one look at all rows as
// of one moment. Nothing can come to name the volumes after it: no write is
// placed on them since the pass began, and whatever else records a place takes it
// from a row that is still there.
func (e *Engine) removeDrained(ctx context.Context, epoch uint64, stuck []metadb.Stuck) error {
	drained := slices.DeleteFunc(e.layouts.now().draining(), func(number meta.VolumeID) bool {
		return slices.ContainsFunc(stuck, func(s metadb.Stuck) bool { return s.Volume == number })
	})
	if len(drained) == 0 {
		return nil
	}
	e.pins.settle() // readers that have read where a piece was have pinned it
	for _, number := range drained {
		if err := e.unheld(ctx, number); err != nil {
			return err
		}
	}
	if err := e.unnamed(ctx, drained); err != nil {
		return err
	}
	failpoint.At("drain/unnamed")
	return e.removeVolumes(ctx, epoch, drained)
}

// unnamed fails with errNamed when a row names one of the volumes.
func (e *Engine) unnamed(ctx context.Context, volumes []meta.VolumeID) error {
	return e.view(ctx, func(tx metadb.Tx) error {
		named := false
		s := &scanner{
			ctx: ctx, e: e,
			full: func() bool { return named },
			visit: func(_ location, extents []meta.Extent, _ int) {
				for _, p := range pieces(extents) {
					named = named || slices.Contains(volumes, p.Volume)
				}
			},
		}
		if err := s.run(tx); err != nil {
			return err
		}
		if named {
			return errNamed
		}
		return nil
	})
}

package master

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// OpenReadOnly returns an engine of a store that nobody runs, to be checked: it
// records nothing, claims nothing and has no background work. A volume of the store
// that was not given, or does not answer, is unchecked then; one that has left it is
// left out. Fails where the store
// was never started, and with a *TopologyError where a volume was given that is not
// of it.
func OpenReadOnly(ctx context.Context, cfg Config) (*Engine, error) {
	if err := checkClasses(cfg.Classes); err != nil {
		return nil, err
	}
	e := &Engine{
		db: cfg.DB, log: cfg.Logger, clock: time.Now, classes: cfg.Classes, completing: newUploadSet(),
	}
	e.garbage, e.rebalance, e.prober = newCollector(e), newRebalancer(e, 0), newProber(e)
	e.leftovers = newLeftovers(e, graceOr(DefaultLeftoverGrace, cfg.LeftoverGrace))
	_, topology, err := e.loadTopology(ctx)
	if err != nil {
		return nil, err
	}
	if !topology.Ready {
		return nil, errors.New("the metadata is of a store that was never started")
	}
	probes := probeAll(ctx, cfg.Volumes)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	bound, diffs := matchGiven(topology, probes)
	if len(diffs) > 0 {
		return nil, &TopologyError{Cluster: topology.Cluster, Expected: topology.Volumes, Differences: diffs}
	}
	l, err := newLayout(topology, e.bind(topology, bound))
	if err != nil {
		return nil, err
	}
	e.layouts = newLayouts(l, func() {})
	return e, nil
}

// matchGiven pairs the volumes that answered with those of the topology, by what
// they say that they are, wherever they are; the others do not answer. One that could yet join holds
// nothing, and is left out.
func matchGiven(t metadb.Topology, probes []probe) (bound map[meta.VolumeID]probe, diffs []Difference) {
	bound = make(map[meta.VolumeID]probe)
	m := matcher{topology: t, bound: bound, byUUID: make(map[string]metadb.Volume)}
	for _, v := range t.Volumes {
		m.byUUID[v.UUID] = v
	}
	silent := make(map[string]error)
	for _, p := range probes {
		if p.err != nil {
			silent[p.Name] = p.err
			continue
		}
		if v := m.byUUID[p.identity.Volume]; v.UUID == "" || v.State.Member() { // else it has left, and does not matter
			m.matchIdentity(p)
		}
	}
	for _, v := range expected(t) {
		if _, ok := bound[v.Number]; ok {
			continue
		}
		err := silent[v.Name]
		if err == nil {
			err = fmt.Errorf("%w: volume %d (%s, last seen at %s) was not given", volume.ErrUnavailable, v.Number, v.UUID, v.Name)
		}
		bound[v.Number] = probe{Volume: Volume{Name: v.Name}, err: err}
	}
	return bound, m.diffs
}

// settlePatience is how long Settle waits while nothing gets on.
const settlePatience = time.Minute

// Settle waits, while the background work runs, until the repairs that can be made
// are, and no pass of the rebalance is under way. It ends early, without an error,
// where nothing gets on for a minute, and where passes are paused: what is left then
// waits for a volume.
func (e *Engine) Settle(ctx context.Context) error {
	var last metadb.Rebalance
	since := time.Now()
	for {
		st, err := e.RebalanceState(ctx)
		if err != nil {
			return err
		}
		due, err := e.repairsDue(ctx)
		if err != nil {
			return err
		}
		if !due && (!st.Active || st.Paused) {
			return nil
		}
		if st.Scanned != last.Scanned || st.Moved != last.Moved || st.Repaired != last.Repaired || st.Pass != last.Pass {
			last, since = st, time.Now()
		}
		if time.Since(since) > settlePatience {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settlePoll):
		}
	}
}

// repairsDue reports whether an entry of the repair queue is due.
func (e *Engine) repairsDue(ctx context.Context) (due bool, err error) {
	r := metadb.RepairDue(e.now())
	err = e.view(ctx, func(tx metadb.Tx) error {
		return tx.Scan(r.Start, r.End, func(_, row []byte) (bool, error) {
			_, err := metadb.UnmarshalRepair(row)
			due = due || err == nil
			return !due, nil
		})
	})
	return due, err
}

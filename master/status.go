package master

import (
	"context"
	"fmt"
	"time"

	"tdkvs/master/journal"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
)

// ClusterStatus is what an operator wants to know of the store.
type ClusterStatus struct {
	Cluster   string      // UUID
	Ready     bool        // as Health has it
	Metadata  string      // why the metadata does not serve; empty: it does
	Disk      metadb.Disk // of the metadata, where that lies on one
	Replicas  int         // copies that are kept where a bucket does not say
	Classes   map[string]Class
	Volumes   []VolumeStatus
	Rebalance RebalanceStatus
	Garbage   GarbageStats
	Findings  FindingsStats
	Leftovers LeftoverStatus
	Journal   *journal.Status // of the metadata; nil: none is kept
}

// Backlog is what is not as it should be. Both numbers stop at BacklogMost.
type Backlog struct {
	Repairs int // extents that are to be compared with what there should be
	Damaged int // extents that can not be read and can not be restored
}

// BacklogMost is where the numbers of a Backlog stop: it may be more then.
const BacklogMost = 10000

// VolumeStatus is one volume of the cluster.
type VolumeStatus struct {
	VolumeHealth
	State metadb.VolumeState
	Zone  string
	Slots int // that are bound to it, active or draining
}

// RebalanceStatus is where the rebalance stands.
type RebalanceStatus struct {
	metadb.Rebalance
	Backlog
	// Expected is how many objects and versions a pass looks at, parts left out;
	// 0 while there is nothing to do.
	Expected uint64
	// Retry is when the pass under way goes on, after one in which something has
	// failed; zero: it does not wait.
	Retry time.Time
}

// Cluster asks the metadata store and every volume that is up. It answers, within
// two seconds, also where these do not: what could not be found out is as it was
// last, with the reason beside it.
func (e *Engine) Cluster(ctx context.Context) ClusterStatus {
	e.prober.round(ctx, false) // it would wait for those that are down
	h := e.Health(ctx)
	l := e.layouts.now()
	st := ClusterStatus{
		Cluster: l.topology.Cluster, Ready: h.Ready, Metadata: h.Metadata,
		Replicas: max(1, l.topology.Replicas), Classes: e.classes,
		Volumes: make([]VolumeStatus, 0, len(h.Volumes)), Garbage: e.garbage.snapshot(),
		Findings: e.findings.snapshot(), Disk: e.metadataDisk(),
	}
	if j, on := e.JournalStatus(); on {
		st.Journal = &j
	}
	for _, v := range h.Volumes {
		st.Volumes = append(st.Volumes, volumeStatus(l, v))
	}
	var err error
	if st.Rebalance, err = e.RebalanceStatus(ctx); err == nil {
		st.Leftovers, err = e.Leftovers(ctx)
	}
	if err != nil && st.Metadata == "" {
		st.Ready, st.Metadata = false, err.Error()
	}
	return st
}

func backlog(tx metadb.Tx) (b Backlog, err error) {
	if b.Repairs, err = countRows(tx, metadb.RepairRange()); err == nil {
		b.Damaged, err = countRows(tx, metadb.AllDamage())
	}
	return b, err
}

// countRows counts up to BacklogMost.
func countRows(tx metadb.Tx, r metadb.Range) (n int, err error) {
	err = tx.Scan(r.Start, r.End, func(_, _ []byte) (bool, error) {
		n++
		return n < BacklogMost, nil
	})
	return n, err
}

// volumeStatus joins what a volume says with what the topology does.
func volumeStatus(l *layout, h VolumeHealth) VolumeStatus {
	v, _ := l.volume(h.Number)
	st := VolumeStatus{VolumeHealth: h, State: v.State, Zone: v.Zone}
	for _, s := range l.topology.Slots {
		if s.Volume == h.Number && s.State != uint8(placement.Dead) {
			st.Slots++
		}
	}
	return st
}

// Skew says how far the fullest volume is from what its slots stand for: the
// most bytes per slot that a volume holds, by those that all hold together. 1 is
// even; 0 means that there is nothing to compare. Volumes that leave, or do not
// answer, are left out.
func (c ClusterStatus) Skew() float64 {
	var bytes, most float64
	slots := 0
	for _, v := range c.Volumes {
		if v.State != metadb.VolumeActive || v.Err != nil || v.Slots == 0 {
			continue
		}
		bytes += float64(v.Status.Bytes)
		slots += v.Slots
		most = max(most, float64(v.Status.Bytes)/float64(v.Slots))
	}
	if bytes == 0 {
		return 0
	}
	return most / (bytes / float64(slots))
}

// RebalanceStatus returns where the rebalance stands and how far it has to go.
func (e *Engine) RebalanceStatus(ctx context.Context) (RebalanceStatus, error) {
	var st RebalanceStatus
	err := e.view(ctx, func(tx metadb.Tx) error {
		st = RebalanceStatus{}
		var err error
		if st.Backlog, err = backlog(tx); err != nil {
			return err
		}
		if st.Rebalance, err = record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance); err != nil || !st.Active {
			return err
		}
		r := metadb.AllUsage()
		return tx.Scan(r.Start, r.End, func(_, row []byte) (bool, error) {
			u, err := metadb.UnmarshalUsage(row)
			st.Expected += uint64(max(u.Objects+u.Noncurrent+u.DeleteMarkers, 0))
			return true, err
		})
	})
	if err != nil {
		return RebalanceStatus{}, fmt.Errorf("rebalance state: %w", err)
	}
	if until := e.rebalance.resume.Load(); until != nil && st.Active && until.After(e.now()) {
		st.Retry = *until
	}
	return st, nil
}

// Pace is how hard the rebalance may work, as it holds: defaults filled in. A
// rate below zero is no limit.
func (r RebalanceStatus) Pace() (concurrency int, rate int64) {
	rate = r.Rate
	if rate == 0 {
		rate = DefaultMoveRate
	}
	return movesAtOnce(&r.Rebalance), max(rate, -1)
}

// RebalanceChange changes some of the limits; those that are nil stay.
type RebalanceChange struct {
	Paused      *bool
	Concurrency *int   // pieces moved at the same time; 0: the default
	Rate        *int64 // bytes per second, MinMoveRate or more; 0: the default, below zero: no limit
}

// ChangeRebalance changes how the rebalance works, also while it does. A limit
// out of bounds is a *ChangeError.
func (e *Engine) ChangeRebalance(ctx context.Context, c RebalanceChange) error {
	if n := c.Concurrency; n != nil && (*n < 0 || *n > MaxMoves) {
		return refuseChange("%d moves at once: want 0 to %d", *n, MaxMoves)
	}
	if n := c.Rate; n != nil && *n > 0 && *n < MinMoveRate {
		return refuseChange("%d bytes per second: want %d or more; 0 is the default, below zero no limit", *n, MinMoveRate)
	}
	_, err := e.update(metadb.Upkeep(ctx), func(tx metadb.Tx) error {
		st, err := record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
		if err != nil {
			return err
		}
		replace(&st.Paused, c.Paused)
		replace(&st.Concurrency, c.Concurrency)
		replace(&st.Rate, c.Rate)
		return setRebalance(tx, &st)
	})
	e.rebalance.wake()
	return err
}

func replace[T any](at, by *T) {
	if by != nil {
		*at = *by
	}
}

// FindVolume returns the number of a volume by its number, UUID, or where it is.
// One that has left is found by number and UUID only.
func (e *Engine) FindVolume(name string) (meta.VolumeID, bool) {
	for _, v := range e.layouts.now().topology.Volumes {
		here := v.State.Member() && v.Name == name
		if name == fmt.Sprint(v.Number) || name == v.UUID || here {
			return v.Number, true
		}
	}
	return 0, false
}

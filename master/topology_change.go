package master

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
	"tdkvs/volume"
)

// NewVolume is a volume that is to join the cluster.
type NewVolume struct {
	Volume
	// Weight is the number of slots, and so the share of the keys, that it gets;
	// 0 means 1.
	Weight int
	// Zone says what fails together with it; empty: nothing else does.
	Zone string
}

// MaxWeight bounds the slots of one volume.
const MaxWeight = 64

// ChangeError refuses a change of the topology. Nothing has been changed.
type ChangeError struct{ Message string }

func (e *ChangeError) Error() string { return e.Message }

func refuseChange(format string, args ...any) error {
	return &ChangeError{fmt.Sprintf(format, args...)}
}

// AddVolume takes a new volume into the cluster: it is claimed, gets its slots,
// and the rebalance begins to fill it. A volume that was claimed before and is
// not in the topology, because the process ended in between, is taken up; one that
// was given up as lost is taken back, with what it still holds.
func (e *Engine) AddVolume(ctx context.Context, v NewVolume) (metadb.Volume, error) {
	if v.Weight == 0 {
		v.Weight = 1
	}
	if v.Weight < 1 || v.Weight > MaxWeight {
		return metadb.Volume{}, refuseChange("weight %d: want 1 to %d", v.Weight, MaxWeight)
	}
	p := probeAll(ctx, []Volume{v.Volume})[0]
	if lost, ok := e.lostVolume(func(l metadb.Volume) bool { return l.UUID == p.identity.Volume }); ok {
		err := e.takeBack(ctx, lost, v.Volume)
		back, _ := e.layouts.now().volume(lost.Number)
		return back, err
	}
	e.changing.Lock()
	defer e.changing.Unlock()
	if err := e.admissible(p); err != nil {
		return metadb.Volume{}, err
	}
	cluster := e.layouts.now().topology.Cluster
	if err := p.expecting(p.identity.Volume).Claim(ctx, cluster); err != nil {
		return metadb.Volume{}, fmt.Errorf("claim volume %s: %w", v.Name, err)
	}
	failpoint.At("volume/claimed")
	p.identity.Cluster = cluster
	var joined metadb.Volume
	err := e.changeTopology(ctx, topologyChange{
		apply: func(t *metadb.Topology) {
			joined = metadb.Volume{Number: t.NextVolume, UUID: p.identity.Volume, Name: v.Name, Zone: v.Zone}
			t.NextVolume++
			t.Volumes = append(t.Volumes, joined)
			giveSlots(t, joined.Number, v.Weight)
		},
		bind: func(t metadb.Topology, bound map[meta.VolumeID]*boundVolume) {
			bound[joined.Number] = e.bindVolume(joined, t.Cluster, p)
		},
	})
	return joined, err
}

// giveSlots binds dead slots to a volume, those that stand first, and appends
// what more it needs.
func giveSlots(t *metadb.Topology, number meta.VolumeID, n int) {
	for i := range t.Slots {
		if n > 0 && t.Slots[i].State == uint8(placement.Dead) {
			t.Slots[i] = metadb.Slot{Volume: number, State: uint8(placement.Active)}
			n--
		}
	}
	for range n {
		t.Slots = append(t.Slots, metadb.Slot{Volume: number, State: uint8(placement.Active)})
	}
}

// admissible refuses volumes that can not join.
func (e *Engine) admissible(p probe) error {
	if p.err != nil {
		return fmt.Errorf("volume %s: %w", p.Name, p.err)
	}
	t := e.layouts.now().topology
	for _, v := range t.Volumes {
		switch {
		case v.UUID != p.identity.Volume:
		case v.State == metadb.VolumeRemoved:
			return refuseChange("%s is volume %d (%s), which was deleted from this cluster: to use its disk again, empty its directory first, so that it comes as a new volume", p.Name, v.Number, v.UUID)
		default:
			return refuseChange("%s is already in the cluster, as volume %d (%s)", p.Name, v.Number, v.UUID)
		}
	}
	switch {
	case p.identity.Cluster != "" && p.identity.Cluster != t.Cluster:
		return refuseChange("%s (volume %s) belongs to cluster %s", p.Name, p.identity.Volume, p.identity.Cluster)
	case p.status.Blobs > 0:
		return refuseChange("%s (volume %s) holds %d blobs that are not of this cluster", p.Name, p.identity.Volume, p.status.Blobs)
	}
	return nil
}

// member returns a volume that is in the cluster.
func (e *Engine) member(number meta.VolumeID) (metadb.Volume, error) {
	v, ok := e.layouts.now().volume(number)
	switch {
	case !ok:
		return v, refuseChange("there is no volume %d", number)
	case v.State == metadb.VolumeRemoved:
		return v, refuseChange("volume %d (%s) was deleted already", number, v.UUID)
	case v.State == metadb.VolumeLost:
		return v, refuseChange("volume %d (%s) is lost", number, v.UUID)
	}
	return v, nil
}

// setVolumeState changes a volume and those of its slots that are in a state.
func (e *Engine) setVolumeState(ctx context.Context, number meta.VolumeID, to metadb.VolumeState, from, slots placement.State) error {
	return e.changeTopology(ctx, topologyChange{apply: func(t *metadb.Topology) { mark(t, number, to, from, slots) }})
}

// mark changes a volume and those of its slots that are in a state.
func mark(t *metadb.Topology, number meta.VolumeID, to metadb.VolumeState, from, slots placement.State) {
	for i := range t.Volumes {
		if t.Volumes[i].Number == number {
			t.Volumes[i].State = to
		}
	}
	for i := range t.Slots {
		if t.Slots[i].Volume == number && t.Slots[i].State == uint8(from) {
			t.Slots[i].State = uint8(slots)
		}
	}
}

// changeable returns the topology of a layout, to be changed.
func (l *layout) changeable() metadb.Topology {
	t := l.topology
	t.Volumes, t.Slots = slices.Clone(t.Volumes), slices.Clone(t.Slots)
	return t
}

// topologyChange is a change of what is to lie where. Each of its steps may be
// nil.
type topologyChange struct {
	apply func(*metadb.Topology)
	bind  func(metadb.Topology, map[meta.VolumeID]*boundVolume) // adds the ways to volumes that are new
	also  func(metadb.Tx) error                                 // what is recorded with it
}

// changeTopology records a change and puts it in force: the epoch rises and the
// rebalance begins anew, in one transaction. The caller holds e.changing.
func (e *Engine) changeTopology(ctx context.Context, c topologyChange) error {
	old := e.layouts.now()
	t := old.changeable()
	if c.apply != nil {
		c.apply(&t)
	}
	t.Version++
	t.Epoch++
	bound := maps.Clone(old.volumes)
	if c.bind != nil {
		c.bind(t, bound)
	}
	l, err := newLayout(t, bound)
	if err != nil {
		return err
	}
	row, err := metadb.MarshalTopology(&t)
	if err != nil {
		return err
	}
	unknown, err := e.update(metadb.Upkeep(ctx), func(tx metadb.Tx) error {
		if c.also != nil {
			if err := c.also(tx); err != nil {
				return err
			}
		}
		if err := tx.Set(metadb.TopologyKey(), row); err != nil {
			return err
		}
		return e.rebalance.restart(tx, t.Epoch, e.now())
	})
	if err != nil {
		if unknown {
			err = fmt.Errorf("%w (the change may be found in force after a restart)", err)
		}
		return fmt.Errorf("record topology: %w", err)
	}
	failpoint.At("topology/recorded")
	e.layouts.replace(l)
	e.journalChanged()
	e.rebalance.wake()
	return nil
}

// removeVolumes takes drained volumes out of the cluster, unless the topology has
// changed since: a drain may have been cancelled. Nothing names them.
func (e *Engine) removeVolumes(ctx context.Context, epoch uint64, drained []meta.VolumeID) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	if e.layouts.now().topology.Epoch != epoch {
		return nil
	}
	for _, number := range drained {
		if err := e.journalNeeds(number); err != nil {
			return err
		}
		if err := e.emptyVolume(ctx, number); err != nil {
			return fmt.Errorf("empty volume %d: %w", number, err)
		}
		failpoint.At("drain/emptied")
		if err := e.forget(ctx, number); err != nil {
			return err
		}
		e.log.InfoContext(ctx, "volume has been deleted: it holds nothing any more", "volume", number)
	}
	return nil
}

// unheld fails with errHeld when a reader has pinned a blob on a volume.
func (e *Engine) unheld(ctx context.Context, number meta.VolumeID) error {
	blobs, err := e.volume(ctx, number)
	if err != nil {
		return err
	}
	var after volume.BlobID
	for {
		infos, err := blobs.List(ctx, after, listBatch)
		if err != nil || len(infos) == 0 {
			return err
		}
		for i := range infos {
			if e.pins.holdsBlob(meta.BlobID(infos[i].ID)) {
				return errHeld
			}
		}
		after = infos[len(infos)-1].ID
	}
}

// listBatch is the number of blobs that a volume is asked for at once.
const listBatch = 1000

// emptyVolume deletes what is left on a volume that nothing names: blobs that
// wait in the garbage queue, and those of writes that a crash cut off.
func (e *Engine) emptyVolume(ctx context.Context, number meta.VolumeID) error {
	blobs, err := e.volume(ctx, number)
	if err != nil {
		return err
	}
	for {
		infos, err := blobs.List(ctx, volume.BlobID{}, listBatch)
		if err != nil {
			return err
		}
		if len(infos) == 0 {
			return deleteJournal(ctx, blobs)
		}
		ids := make([]volume.BlobID, len(infos))
		for i := range infos {
			ids[i] = infos[i].ID
		}
		if err := blobs.Delete(ctx, ids); err != nil {
			return err
		}
	}
}

// forget records that a volume has left. Its slots are dead: the next volume
// that joins takes them. No key moves, so the epoch stays.
func (e *Engine) forget(ctx context.Context, number meta.VolumeID) error {
	old := e.layouts.now()
	t := old.changeable()
	mark(&t, number, metadb.VolumeRemoved, placement.Draining, placement.Dead)
	t.Version++
	l, err := newLayout(t, old.volumes)
	if err != nil {
		return err
	}
	if err := e.saveTopology(ctx, nil, t); err != nil {
		return err
	}
	failpoint.At("drain/forgotten")
	e.layouts.replace(l)
	e.journalChanged()
	return nil
}

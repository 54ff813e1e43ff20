package master

import (
	"context"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
)

// StartRebalance compares every extent with where it should lie, and moves and
// makes what is not there.
func (e *Engine) StartRebalance(ctx context.Context) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	return e.changeTopology(ctx, topologyChange{}) // a new epoch: nothing of a pass under way is taken for part of this one
}

// SetReplicas says how many copies are kept of what lies in a bucket, and the
// rebalance begins to make or to drop them. 0 stands for the store's number; an
// empty bucket for the store as a whole, which takes 1 or more. It is refused,
// with a *ChangeError, where there are fewer volumes that take data;
// KindNoSuchBucket where there is no such bucket.
func (e *Engine) SetReplicas(ctx context.Context, bucket string, n int) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	if bucket == "" {
		return e.setStoreReplicas(ctx, n, 0)
	}
	return fault("set bucket replicas", bucket, "", e.setBucketReplicas(ctx, bucket, n))
}

func (e *Engine) setBucketReplicas(ctx context.Context, bucket string, n int) error {
	if err := checkBucket(bucket); err != nil {
		return err
	}
	if n != 0 {
		if err := e.replicable(n); err != nil {
			return err
		}
	}
	b, err := e.Bucket(ctx, bucket)
	if err != nil || b.Replicas == n {
		return err
	}
	return e.changeTopology(ctx, topologyChange{also: func(tx metadb.Tx) error {
		return editBucket(tx, bucket, func(b *meta.Bucket) error {
			b.Replicas = n
			return nil
		})
	}})
}

// setStoreReplicas sets the number of copies where a bucket does not say.
// configured, where it is not 0, is what the configuration says.
func (e *Engine) setStoreReplicas(ctx context.Context, n, configured int) error {
	if err := e.replicable(n); err != nil {
		return err
	}
	t := e.layouts.now().topology
	if max(1, t.Replicas) == n && configured == 0 {
		return nil
	}
	return e.changeTopology(ctx, topologyChange{apply: func(t *metadb.Topology) {
		t.Replicas = n
		if configured != 0 {
			t.ReplicasConfigured = configured
		}
	}})
}

// replicable refuses a number of copies that can not be kept.
func (e *Engine) replicable(n int) error {
	if n < 1 || n > meta.MaxReplicas {
		return refuseChange("%d replicas: want 1 to %d", n, meta.MaxReplicas)
	}
	if volumes := e.layouts.now().slots.Volumes(); n > volumes {
		return refuseChange("%d replicas need as many volumes, and %d take data: add volumes first", n, volumes)
	}
	return nil
}

// configureReplicas applies the number of copies that the configuration says,
// once: a change made while the store runs holds until the configuration says
// something else.
func (e *Engine) configureReplicas(ctx context.Context, n int) error {
	if n == 0 || n == e.layouts.now().topology.ReplicasConfigured {
		return nil
	}
	e.changing.Lock()
	defer e.changing.Unlock()
	return e.setStoreReplicas(ctx, n, n)
}

// SetWeight gives a volume n slots, and so its share of the keys, which move to
// it or off it. It is refused, with a *ChangeError, for a volume that is not
// active.
func (e *Engine) SetWeight(ctx context.Context, number meta.VolumeID, n int) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	if n < 1 || n > MaxWeight {
		return refuseChange("weight %d: want 1 to %d", n, MaxWeight)
	}
	v, err := e.member(number)
	if err != nil {
		return err
	}
	if v.State != metadb.VolumeActive {
		return refuseChange("volume %d is %s: only an active one has a weight", number, v.State)
	}
	t := e.layouts.now().topology
	if activeSlots(&t, number) == n {
		return nil
	}
	return e.changeTopology(ctx, topologyChange{apply: func(t *metadb.Topology) { weigh(t, number, n) }})
}

// weigh gives a volume more slots, or takes those that stand last.
func weigh(t *metadb.Topology, number meta.VolumeID, n int) {
	over := activeSlots(t, number) - n
	if over < 0 {
		giveSlots(t, number, -over)
		return
	}
	for i := len(t.Slots) - 1; i >= 0 && over > 0; i-- {
		if s := &t.Slots[i]; s.Volume == number && s.State == uint8(placement.Active) {
			s.State = uint8(placement.Dead)
			over--
		}
	}
}

func activeSlots(t *metadb.Topology, number meta.VolumeID) int {
	n := 0
	for _, s := range t.Slots {
		if s.Volume == number && s.State == uint8(placement.Active) {
			n++
		}
	}
	return n
}

// LoseVolume gives a volume up: what it held counts as gone, and is made anew
// from what is elsewhere. What lies nowhere else can not be, and is listed as
// damaged. It is refused, with a *ChangeError, for the last volume that takes
// data.
func (e *Engine) LoseVolume(ctx context.Context, number meta.VolumeID) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	l := e.layouts.now()
	v, known := l.volume(number)
	if known && v.State == metadb.VolumeLost {
		return nil
	}
	v, err := e.member(number)
	if err != nil {
		return err
	}
	others := l.slots.Volumes()
	if v.State == metadb.VolumeActive {
		others--
	}
	if others == 0 {
		return refuseChange("volume %d is the last one that can take data, and with it would go everything in the store that has no copy elsewhere (%d replicas are kept): add another volume first",
			number, max(1, l.topology.Replicas))
	}
	err = e.changeTopology(ctx, topologyChange{apply: func(t *metadb.Topology) {
		mark(t, number, metadb.VolumeLost, placement.Draining, placement.Dead)
		mark(t, number, metadb.VolumeLost, placement.Active, placement.Dead)
	}})
	if err == nil {
		failpoint.At("volume/lost")
		e.lost[number] = l.volumes[number]
		e.log.WarnContext(ctx, "a volume is lost: what it held is made anew from what is elsewhere", "volume", number, "uuid", v.UUID)
	}
	return err
}

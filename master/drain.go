package master

import (
	"context"
	"fmt"
	"math"
	"slices"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
)

// DrainVolume begins to move everything off a volume, after which it leaves the
// cluster. It is refused, before anything moves, for a volume that is down, for
// the last one, when the others are too few for the copies and shards that the
// store keeps, and when they have too little space. For a volume that is being
// emptied, and could not be, it looks again at once.
func (e *Engine) DrainVolume(ctx context.Context, number meta.VolumeID) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	v, err := e.member(number)
	if err != nil {
		return err
	}
	if v.State == metadb.VolumeDraining {
		return e.rebalance.lookAgain(ctx)
	}
	if err := e.canDrain(ctx, v); err != nil {
		return err
	}
	failpoint.At("drain/allowed")
	return e.setVolumeState(ctx, number, metadb.VolumeDraining, placement.Active, placement.Draining)
}

// CancelDrain puts a draining volume back to where it was: its slots are active
// again, and what has moved comes back. A volume that was given up as lost is
// taken back, once it answers.
func (e *Engine) CancelDrain(ctx context.Context, number meta.VolumeID) error {
	if lost, ok := e.lostVolume(func(l metadb.Volume) bool { return l.Number == number }); ok {
		return e.takeBackLost(ctx, lost)
	}
	e.changing.Lock()
	defer e.changing.Unlock()
	v, err := e.member(number)
	if err != nil {
		return err
	}
	if v.State != metadb.VolumeDraining {
		return refuseChange("volume %d is not being deleted", number)
	}
	return e.setVolumeState(ctx, number, metadb.VolumeActive, placement.Draining, placement.Active)
}

// canDrain refuses a drain that can not come to its end.
func (e *Engine) canDrain(ctx context.Context, v metadb.Volume) error {
	l := e.layouts.now()
	var others []VolumeHealth // that take data
	var leaving []VolumeHealth
	e.Probe(ctx)
	for _, h := range e.Health(ctx).Volumes {
		of, _ := l.volume(h.Number)
		switch {
		case h.Number == v.Number && h.Err != nil:
			return refuseChange("volume %d at %s does not answer, so nothing can be moved off it: %v", v.Number, v.Name, h.Err)
		case h.Number == v.Number, of.State == metadb.VolumeDraining && h.Err == nil:
			leaving = append(leaving, h) // what is being drained already needs room, too
		case of.State == metadb.VolumeActive && h.Err == nil && h.Status.ReadOnly == "":
			others = append(others, h)
		}
	}
	if len(others) == 0 {
		return refuseChange("volume %d is the last one that can take data: add another first", v.Number)
	}
	n, what, err := e.widest(ctx)
	if err != nil {
		return err
	}
	if len(others) < n {
		return refuseChange("%s %d volumes, and without volume %d there are %d that take data: add a volume first", what, n, v.Number, len(others))
	}
	return roomFor(l, v.Number, leaving, others)
}

// widest returns the most volumes that something in the store is spread over, or
// may come to be, and what that is: the beginning of a sentence.
func (e *Engine) widest(ctx context.Context) (n int, what string, err error) {
	n, what = max(1, e.layouts.now().topology.Replicas), "the replicas of the store need"
	for name, c := range e.classes {
		if shards := c.Code.Shards(); shards > n {
			n, what = shards, fmt.Sprintf("the shards of storage class %s need", name)
		}
	}
	err = e.view(ctx, func(tx metadb.Tx) error {
		r := metadb.BucketRange("")
		return tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
			b, err := metadb.UnmarshalBucket(row)
			if name, _ := metadb.ParseBucketKey(k); b.Replicas > n {
				n, what = b.Replicas, fmt.Sprintf("the replicas of bucket %s need", name)
			}
			return true, err
		})
	})
	if err != nil {
		return 0, "", fmt.Errorf("buckets: %w", err)
	}
	return n, what, nil
}

// drainMargin is how much more room the others must have than a volume holds:
// what is written meanwhile, and headers and compaction, take space, too.
const drainMargin = 1.05

// roomFor refuses a drain for which the others have too little room: all
// together, or one of them for its part.
func roomFor(l *layout, number meta.VolumeID, leaving, others []VolumeHealth) error {
	var held int64
	for _, h := range leaving {
		held += h.Status.Bytes
	}
	var all uint64
	for _, h := range others {
		all += room(h)
	}
	if need := uint64(float64(held) * drainMargin); need > all {
		return refuseChange("%d bytes are to be moved and the other %d volumes have room for %d: add a volume first", held, len(others), all)
	}
	parts := heirs(l, number)
	for _, h := range others {
		part := float64(held) * parts[h.Number]
		if uint64(part*drainMargin) > room(h) {
			return refuseChange("%d bytes are to be moved off volume %d, about %.0f of them to volume %d at %s, which has room for %d: give it more, or add a volume first",
				held, number, part, h.Number, h.Name, room(h))
		}
	}
	return nil
}

// room is how many bytes a volume can take.
func room(h VolumeHealth) uint64 {
	return h.Status.Free - min(h.Status.Free, h.Status.Reserve)
}

// heirs looks at so many keys at most, and at no more of the volume in question.
const (
	heirTries   = 200_000
	heirSamples = 4096
)

// heirs returns which part of what lies on a volume comes at least to each of the
// others when it leaves. It depends on weights, zones and the number of copies, so
// it is counted over keys that lie on the volume; three standard deviations are
// left to chance.
func heirs(l *layout, number meta.VolumeID) map[meta.VolumeID]float64 {
	others := func(v uint32) bool { return meta.VolumeID(v) != number }
	copies := max(1, l.topology.Replicas)
	var before, after []int
	came, sampled := make(map[meta.VolumeID]float64), 0
	for i := 0; i < heirTries && sampled < heirSamples; i++ {
		hash := placement.PartHash("", "", i)
		before = l.slots.Choose(hash, copies, before[:0])
		if !slices.Contains(l.volumesOf(before), number) {
			continue
		}
		sampled++
		after = l.slots.ChooseWhere(hash, copies, others, after[:0])
		for _, v := range l.volumesOf(after) {
			if !slices.Contains(l.volumesOf(before), v) {
				came[v]++
			}
		}
	}
	for v, n := range came {
		came[v] = max(0, n-3*math.Sqrt(n)) / float64(sampled)
	}
	return came
}

package master

import (
	"context"
	"slices"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
)

// lostVolume returns the record of a volume that was given up as lost.
func (e *Engine) lostVolume(is func(metadb.Volume) bool) (metadb.Volume, bool) {
	for _, v := range e.layouts.now().topology.Volumes {
		if v.State == metadb.VolumeLost && is(v) {
			return v, true
		}
	}
	return metadb.Volume{}, false
}

// takeBackLost takes a lost volume back by the way to it that was known when it
// was given up.
func (e *Engine) takeBackLost(ctx context.Context, v metadb.Volume) error {
	e.changing.Lock()
	was := e.lost[v.Number]
	e.changing.Unlock()
	if was == nil {
		return refuseChange("volume %d (%s) is lost, and where it is is not known since the start: add it with its URL, and it is taken back", v.Number, v.UUID)
	}
	return e.takeBack(ctx, v, Volume{Name: v.Name, Blobs: was.blobs})
}

// takeBack makes a volume that was given up as lost active again, in its slots as
// far as no other has taken them. What it holds that nothing names any more, as it
// was made anew elsewhere, replaced or deleted, is left to the look for leftovers,
// which the same transaction asks for: nothing else would come to remove it.
func (e *Engine) takeBack(ctx context.Context, v metadb.Volume, from Volume) error {
	p := probeAll(ctx, []Volume{from})[0]
	cluster := e.layouts.now().topology.Cluster
	switch {
	case p.err != nil:
		return refuseChange("volume %d at %s does not answer, so it stays lost: %v", v.Number, from.Name, p.err)
	case p.identity.Volume != v.UUID || p.identity.Cluster != cluster:
		return refuseChange("%s is volume %s of cluster %s, not %s of %s, so volume %d stays lost",
			from.Name, p.identity.Volume, p.identity.Cluster, v.UUID, cluster, v.Number)
	}
	e.changing.Lock()
	defer e.changing.Unlock()
	if now, _ := e.layouts.now().volume(v.Number); now.State != metadb.VolumeLost {
		return nil // somebody else has
	}
	// An entry of the garbage queue that a step has taken for done, as it names a
	// volume that is lost, must have left the queue before the look reads that.
	e.garbage.mu.Lock()
	defer e.garbage.mu.Unlock()
	v.State, v.Name = metadb.VolumeActive, from.Name
	err := e.changeTopology(ctx, topologyChange{
		apply: func(t *metadb.Topology) { revive(t, v) },
		bind: func(t metadb.Topology, bound map[meta.VolumeID]*boundVolume) {
			bound[v.Number] = e.bindVolume(v, t.Cluster, p)
		},
		also: func(tx metadb.Tx) error { return e.leftovers.askAbout(tx, v.Number) },
	})
	if err == nil {
		failpoint.At("volume/returned")
		delete(e.lost, v.Number)
		e.volumeIsBack()
		e.journalReturned(v.Number)
		e.log.InfoContext(ctx, "a volume that was lost is back; what nothing names on it is looked for", "volume", v.Number, "uuid", v.UUID)
	}
	return err
}

// revive makes a volume active, in those of its slots that are still its own.
func revive(t *metadb.Topology, v metadb.Volume) {
	for i := range t.Volumes {
		if t.Volumes[i].Number == v.Number {
			t.Volumes[i] = v
		}
	}
	mark(t, v.Number, metadb.VolumeActive, placement.Dead, placement.Active)
	if activeSlots(t, v.Number) == 0 {
		giveSlots(t, v.Number, 1)
	}
}

// names reports whether a row names the piece that has a descriptor: that of a
// part in progress, or any version of the key.
func (e *Engine) names(ctx context.Context, d metadb.Descriptor, p meta.Piece) (named bool, err error) {
	if d.UploadID != "" && e.completing.has(d.UploadID) {
		return true, nil // it is about to be
	}
	err = e.view(ctx, func(tx metadb.Tx) error {
		at, err := e.whereNamed(tx, d, p)
		named = at != nil
		return err
	})
	return named, err
}

// whereNamed returns the extent that names a piece; nil where none does. It costs
// a read for each version of the key.
func (e *Engine) whereNamed(tx metadb.Tx, d metadb.Descriptor, p meta.Piece) (*target, error) {
	holder, err := getBucket(tx, d.Bucket)
	if meta.KindOf(err) == meta.KindNoSuchBucket {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if d.UploadID != "" {
		found, err := e.resolveUpload(tx, &metadb.Repair{Bucket: d.Bucket, Key: d.Key, UploadID: d.UploadID, Part: d.PartNumber}, holder)
		if at := found.naming(p); err != nil || at != nil {
			return at, err
		}
	}
	var at *target
	look := func(row, value []byte) (bool, error) {
		o, err := unmarshalVersion(value, d.Bucket, d.Key)
		if err != nil || o.UploadID != d.UploadID {
			return err == nil, err
		}
		found, err := resolveVersion(tx, o, slices.Clone(row), d.PartNumber, holder)
		at = found.naming(p)
		return at == nil, err
	}
	key := metadb.ObjectKey(d.Bucket, d.Key)
	if err := tx.Scan(key, metadb.After(key), look); err != nil || at != nil {
		return at, err
	}
	versions := metadb.VersionRange(d.Bucket, d.Key)
	err = tx.Scan(versions.Start, versions.End, look)
	return at, err
}

// naming returns the extent among those found that names a piece; nil where none
// does.
func (r resolved) naming(p meta.Piece) *target {
	for i := range r.targets {
		if slices.Contains(r.targets[i].extent.Pieces, p) {
			return &r.targets[i]
		}
	}
	return nil
}

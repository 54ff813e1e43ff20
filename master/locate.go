package master

import (
	"context"
	"slices"

	"tdkvs/master/meta"
	"tdkvs/placement"
)

// Placement is where something should lie.
type Placement struct {
	Hash    uint64          // that picks the slots
	Slots   []int           // best first
	Volumes []meta.VolumeID // of these slots
}

// Location is where a version of an object lies and where it should.
type Location struct {
	Object meta.Object
	// Placement is that of the key. The parts of an assembled object have places
	// of their own.
	Placement
	Extents []ExtentLocation
}

// ExtentLocation is where one extent lies and where it should.
type ExtentLocation struct {
	Part   int   // its number; 0: the object was written in one piece
	Offset int64 // in the object, bytes
	meta.Extent
	Placement
}

// InPlace reports whether a piece lies on one of the volumes that should hold
// one.
func (x ExtentLocation) InPlace(p meta.Piece) bool { return slices.Contains(x.Volumes, p.Volume) }

// Settled reports whether an extent has nothing left to be moved or made.
func (x ExtentLocation) Settled() bool {
	return len(x.Pieces) == len(x.Volumes) && !slices.ContainsFunc(x.Pieces, func(p meta.Piece) bool { return !x.InPlace(p) })
}

// locateAttempts is how often an object may be replaced while its manifest is
// read, before Locate gives up.
const locateAttempts = 3

// Locate says where a version of an object lies; the current one when versionID
// is empty. Errors are those of Object; KindConflict where the key changes all
// the time.
func (e *Engine) Locate(ctx context.Context, bucket, key, versionID string) (Location, error) {
	var l Location
	var err error
	for range locateAttempts {
		l, err = e.locate(ctx, bucket, key, versionID)
		if meta.KindOf(err) != meta.KindConflict {
			break
		}
	}
	return l, err
}

func (e *Engine) locate(ctx context.Context, bucket, key, versionID string) (Location, error) {
	o, err := e.Object(ctx, bucket, key, versionID)
	if err != nil {
		return Location{}, err
	}
	parts, err := e.ObjectParts(ctx, o, 0, 0)
	if err != nil {
		return Location{}, err
	}
	b, err := e.Bucket(ctx, bucket)
	if err != nil {
		return Location{}, err
	}
	now := e.layouts.now()
	hash := placement.KeyHash(bucket, key)
	at := Location{Object: o, Placement: now.placement(hash, e.copies(now, b, o.Headers.StorageClass))}
	add := func(part int, offset int64, extents []meta.Extent, hash uint64) {
		for _, x := range extents {
			where := now.placement(hash, e.redundancyOf(now, b, o.Headers.StorageClass, x).pieces())
			at.Extents = append(at.Extents, ExtentLocation{Part: part, Offset: offset, Extent: x, Placement: where})
			offset += x.Size
		}
	}
	add(0, 0, o.Extents, hash)
	for _, p := range parts {
		add(p.Number, p.Offset, p.Extents, placement.PartHash(bucket, key, p.Number))
	}
	return at, nil
}

// placement returns where a layout wants the n pieces of what has a hash. There
// may be fewer places.
func (l *layout) placement(hash uint64, n int) Placement {
	slots := l.slots.Choose(hash, n, nil)
	return Placement{Hash: hash, Slots: slots, Volumes: l.volumesOf(slots)}
}

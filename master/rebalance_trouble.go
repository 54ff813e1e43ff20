package master

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// blame turns the failure at a piece into that of the move, and remembers the
// volume where it is to blame as a whole, not for this blob alone.
func (m *move) blame(at meta.Piece, err error) error {
	if !ofTheBlob(err) {
		m.blamed = append(m.blamed, at.Volume)
	}
	return fmt.Errorf("volume %d: blob %s: %w", at.Volume, volume.BlobID(at.Blob), err)
}

// ofTheBlob reports that an error says nothing of other blobs on the volume.
func ofTheBlob(err error) bool {
	for _, target := range []error{volume.ErrNotFound, volume.ErrCorrupt, volume.ErrExists, volume.ErrInvalid, context.Canceled} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// judge leaves the volumes that have failed alone for a while. Without it a volume that is down would be asked
// for every blob in turn, and leave a garbage entry each time.
func (r *rebalancer) judge(moves []*move) {
	failed, fine := make(map[meta.VolumeID]error), make(map[meta.VolumeID]bool)
	for _, m := range moves {
		for _, number := range m.blamed {
			failed[number] = m.err
		}
		if m.err == nil {
			for _, p := range slices.Concat(m.add, m.extent.Pieces) {
				fine[p.Volume] = true
			}
		}
	}
	for number := range fine {
		if failed[number] == nil {
			delete(r.down, number)
		}
	}
	for number, err := range failed {
		b := r.down[number].failed(r.e.now(), maxVolumeDelay)
		r.down[number] = b
		r.e.log.Warn("nothing can be moved from or to a volume for now", "volume", number, "retry", b.until, "error", err)
	}
}

// avoid returns what reports whether a move needs a volume that is left alone.
func (r *rebalancer) avoid() func(*move) bool {
	now := r.e.now()
	alone := func(p meta.Piece) bool { return r.down[p.Volume].until.After(now) }
	return func(m *move) bool {
		if len(m.add) == 0 {
			return false
		}
		return slices.ContainsFunc(m.add, alone) ||
			!slices.ContainsFunc(m.extent.Pieces, func(p meta.Piece) bool { return !alone(p) })
	}
}

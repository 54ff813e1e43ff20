package master

import (
	"context"
	"errors"
	"fmt"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
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

// blameSource is blame for a piece that there should be; one that is not there, or
// not what it should be, is noted.
func (m *move) blameSource(at meta.Piece, err error) error {
	if isBad(err) {
		m.bad = append(m.bad, at)
	}
	m.noteStranger(at, err)
	return m.blame(at, err)
}

// noteStranger remembers of a piece that it is part of something else.
func (m *move) noteStranger(at meta.Piece, err error) {
	var s *strangerError
	if !errors.As(err, &s) {
		return
	}
	if m.strange == nil {
		m.strange = make(map[meta.Piece]metadb.Descriptor)
	}
	m.strange[at] = s.descriptor
}

// isBad reports that a piece is not there, or is not what it should be. It says
// nothing of a volume that does not answer.
func isBad(err error) bool {
	return isAny(err, volume.ErrNotFound, volume.ErrCorrupt)
}

// ofTheBlob reports that an error says nothing of other blobs on the volume.
func ofTheBlob(err error) bool {
	return isAny(err, volume.ErrNotFound, volume.ErrCorrupt, volume.ErrExists, volume.ErrInvalid, context.Canceled)
}

// judge leaves the volumes that have failed alone for a while. Without it a volume that is down would be asked
// for every blob in turn, and leave a garbage entry each time.
func (r *rebalancer) judge(moves []*move) {
	failed, fine := make(map[meta.VolumeID]error), make(map[meta.VolumeID]bool)
	for _, m := range moves {
		for _, number := range m.blamed {
			failed[number] = m.err
		}
		for _, number := range m.fine {
			fine[number] = true
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

// outlook is what is planned by at the moment: volumes that are down, or that
// have failed, are left alone for a while.
func (r *rebalancer) outlook(l *layout) outlook {
	now := r.e.now()
	alone := func(number meta.VolumeID) bool { return r.down[number].until.After(now) }
	return outlook{
		layout: l,
		down:   func(number meta.VolumeID) bool { return alone(number) || !r.e.usable(number) },
		silent: func(number meta.VolumeID) bool { return alone(number) || !r.e.readable(number) },
	}
}

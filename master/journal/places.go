package journal

import (
	"slices"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// Place is a volume of the store, as the journal sees it.
type Place struct {
	Number meta.VolumeID
	Name   string
	Zone   string // what fails together with it; empty: nothing else does
	Blobs  Blobs
	Leaves bool         // it is being emptied: what it holds does not count
	Now    func() State // how it is at the moment; it must not block
	// PutUnsynced is that of volume.Store, where the volume is one of this process; nil:
	// it is not.
	PutUnsynced func(id volume.BlobID, payload, desc []byte) bool
}

// State is how a volume is.
type State struct {
	Up    bool
	Since time.Time // when it came to be up, or down
	Takes bool      // it takes writes
	Full  bool      // it takes none, but perhaps those of the journal
}

// rank orders volumes by how fit they are for an entry, the lowest first.
func (s State) rank() int {
	switch {
	case s.Up && s.Takes:
		return 0
	case s.Up && s.Full:
		return 1
	}
	return unfit
}

// unfit is the rank of a volume that can not be written to.
const unfit = 2

// home orders the volumes: those that hold the journal come first. They stay the same
// from one snapshot to the next, so that few volumes need to be there for it to be
// whole, and others take their turn then, so that none has all the work. Zones come
// before volumes of a zone that is there already.
func home(all []Place, turn uint64) []Place {
	places := slices.DeleteFunc(slices.Clone(all), func(p Place) bool { return p.Leaves })
	if n := uint64(len(places)); n > 0 {
		first := int(turn % n)
		places = append(slices.Clone(places[first:]), places[:first]...)
	}
	seen := make(map[string]bool)
	var front, back []Place
	for _, p := range places {
		if p.Zone != "" && seen[p.Zone] {
			back = append(back, p)
			continue
		}
		seen[p.Zone] = true
		front = append(front, p)
	}
	return append(front, back...)
}

// byNumber are volumes by their numbers.
type byNumber map[meta.VolumeID]Place

func (m byNumber) has(number meta.VolumeID) bool {
	_, ok := m[number]
	return ok
}

// holders are the volumes that hold a blob. There are never more copies than fit.
type holders [4]meta.VolumeID

func (h *holders) add(number meta.VolumeID) {
	if h.has(number) {
		return
	}
	for i := range h {
		if h[i] == 0 {
			h[i] = number
			return
		}
	}
}

func (h *holders) remove(number meta.VolumeID) {
	for i := range h {
		if h[i] == number {
			h[i] = 0
		}
	}
}

func (h *holders) has(number meta.VolumeID) bool { return slices.Contains(h[:], number) }

// count returns how many holders there are of which keep approves.
func (h *holders) count(keep func(meta.VolumeID) bool) (n int) {
	for _, number := range h {
		if number != 0 && keep(number) {
			n++
		}
	}
	return n
}

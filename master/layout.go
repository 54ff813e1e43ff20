package master

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
	"tdkvs/volume"
)

// layout is the topology as the engine uses it. It is immutable; a change of the
// topology makes another.
type layout struct {
	topology metadb.Topology
	slots    *placement.Map
	volumes  map[meta.VolumeID]*boundVolume // those that are not removed
	leaving  map[meta.VolumeID]bool         // those that are to be emptied
}

// newLayout binds a topology to the ways to its volumes.
func newLayout(t metadb.Topology, bound map[meta.VolumeID]*boundVolume) (*layout, error) {
	zones := make(map[meta.VolumeID]string, len(t.Volumes))
	l := &layout{
		topology: t, volumes: make(map[meta.VolumeID]*boundVolume, len(t.Volumes)), leaving: make(map[meta.VolumeID]bool),
	}
	for _, v := range t.Volumes {
		zones[v.Number] = v.Zone
		if v.State.Member() {
			l.volumes[v.Number] = bound[v.Number]
		}
		if v.State == metadb.VolumeDraining {
			l.leaving[v.Number] = true
		}
	}
	slots := make([]placement.Slot, len(t.Slots))
	for i, s := range t.Slots {
		slots[i] = placement.Slot{Volume: uint32(s.Volume), State: placement.State(s.State), Zone: zones[s.Volume]}
	}
	var err error
	if l.slots, err = placement.New(slots); err != nil {
		return nil, fmt.Errorf("recorded topology: %w", err)
	}
	return l, nil
}

// volume returns a volume of the topology, by its record.
func (l *layout) volume(number meta.VolumeID) (metadb.Volume, bool) {
	for _, v := range l.topology.Volumes {
		if v.Number == number {
			return v, true
		}
	}
	return metadb.Volume{}, false
}

// draining returns the volumes that are to leave.
func (l *layout) draining() []meta.VolumeID {
	var volumes []meta.VolumeID
	for _, v := range l.topology.Volumes {
		if v.State == metadb.VolumeDraining {
			volumes = append(volumes, v.Number)
		}
	}
	return volumes
}

// place returns the volumes that should hold the n pieces of an extent, best
// first. Where there are fewer volumes, all of them; ErrUnavailable where there is
// none.
func (l *layout) place(hash uint64, n int) ([]meta.VolumeID, error) {
	var room [8]int
	slots := l.slots.Choose(hash, n, room[:0])
	if len(slots) == 0 {
		return nil, fmt.Errorf("%w: no volume takes data", volume.ErrUnavailable)
	}
	return l.volumesOf(slots), nil
}

// candidates returns where to write the n pieces of an extent now: where place
// wants them, and for a volume that is not usable the next one of the hash that
// is. Where none is left, the volume stays: what it says to the attempt is the
// reason. home reports that all n pieces are where they belong.
func (l *layout) candidates(hash uint64, n int, usable func(meta.VolumeID) bool) (volumes []meta.VolumeID, home bool, err error) {
	volumes, err = l.place(hash, n)
	if err != nil {
		return nil, false, err
	}
	home = len(volumes) == n
	if !slices.ContainsFunc(volumes, func(v meta.VolumeID) bool { return !usable(v) }) {
		return volumes, home, nil
	}
	var room [8]int
	slots := l.slots.ChooseWhere(hash, n, func(v uint32) bool { return usable(meta.VolumeID(v)) }, room[:0])
	instead := l.volumesOf(slots)
	instead = slices.DeleteFunc(instead, func(v meta.VolumeID) bool { return slices.Contains(volumes, v) })
	for i, v := range volumes {
		if len(instead) > 0 && !usable(v) {
			volumes[i], instead, home = instead[0], instead[1:], false
		}
	}
	return volumes, home, nil
}

// volumesOf returns the volumes of slots, in their order.
func (l *layout) volumesOf(slots []int) []meta.VolumeID {
	volumes := make([]meta.VolumeID, len(slots))
	for i, s := range slots {
		volumes[i] = meta.VolumeID(l.slots.Slot(s).Volume)
	}
	return volumes
}

// layouts holds the layout in force and counts who writes by which. A write is
// placed by one layout and recorded later; whoever moves pieces to where a new
// layout wants them must come behind the last write that an older one placed.
type layouts struct {
	current atomic.Pointer[layout] // changed with mu held

	mu      sync.Mutex // owns what follows
	writers map[*layout]int
	turn    uint64
	turns   map[uint64]int // writers that began in each turn
	wrote   bool           // a write has begun since stirred was asked last
	began   func()         // called at the first of these; it must not block
}

func newLayouts(l *layout, began func()) *layouts {
	ls := &layouts{writers: make(map[*layout]int), turns: make(map[uint64]int), began: began}
	ls.current.Store(l)
	return ls
}

// now returns the layout in force.
func (ls *layouts) now() *layout { return ls.current.Load() }

// write returns the layout in force for a write, which calls done once what it
// has placed is recorded or given up.
func (ls *layouts) write() (l *layout, done func()) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.stirLocked()
	l, turn := ls.current.Load(), ls.turn
	count(ls.writers, l, 1)
	count(ls.turns, turn, 1)
	return l, func() {
		ls.mu.Lock()
		defer ls.mu.Unlock()
		count(ls.writers, l, -1)
		count(ls.turns, turn, -1)
	}
}

// stir has stirred report a write.
func (ls *layouts) stir() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.stirLocked()
}

func (ls *layouts) stirLocked() {
	if !ls.wrote {
		ls.wrote = true
		ls.began()
	}
}

// stirred reports whether a write is under way, or was since it was asked last.
func (ls *layouts) stirred() bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	was := ls.wrote
	ls.wrote = false
	return was || len(ls.turns) > 0
}

// writing reports whether a write is under way.
func (ls *layouts) writing() bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.turns) > 0
}

// turnOver begins another turn: writers that begin from now on are of it.
func (ls *layouts) turnOver() uint64 {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.turn++
	return ls.turn
}

// over reports whether no write is under way that began before a turn.
func (ls *layouts) over(turn uint64) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for began := range ls.turns {
		if began < turn {
			return false
		}
	}
	return true
}

// replace puts another layout in force. What is asked of volumes that are not in
// it any more ends: nobody watches over them.
func (ls *layouts) replace(l *layout) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for number, v := range ls.current.Swap(l).volumes {
		if l.volumes[number] == nil {
			v.condition.Load().ended(fmt.Errorf("%w: volume %d has left the cluster", volume.ErrUnavailable, number))
		}
	}
}

// settled reports whether no write is under way that an older layout has placed.
func (ls *layouts) settled() bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.writers {
		if l != ls.current.Load() {
			return false
		}
	}
	return true
}

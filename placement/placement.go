package placement

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Version names the algorithm of this package. A topology records the version that it was laid out with; the same
// version, slots and key give the same answer for ever.
const Version byte = 1

// ErrInvalidSlot is returned, wrapped, by New for a slot list that makes no sense.
var ErrInvalidSlot = errors.New("invalid slot")

// State says whether a slot receives keys.
type State uint8

// The states of a slot. Placement treats draining and dead alike, as slots that receive nothing; they differ for those
// who move data (a draining slot may still be read from).
const (
	Active   State = iota // receives its share of the keys
	Draining              // its keys are moving elsewhere
	Dead                  // its volume is gone; a future volume may take the slot over
)

// String returns the lower-case name of the state.
func (s State) String() string {
	switch s {
	case Active:
		return "active"
	case Draining:
		return "draining"
	case Dead:
		return "dead"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Slot is one position of the topology. A slot's index in the list is its identity.
type Slot struct {
	Volume uint32 // the volume's number in the topology; 0 means never bound, allowed only for a slot that is not active
	State  State
	Zone   string // what fails together with this volume: a rack, a room; empty: nothing else does
}

// Map is an immutable list of slots ready to place keys. It is safe for use by any number of goroutines.
type Map struct {
	slots   []Slot
	volumes int      // distinct volumes that have an active slot
	zones   int      // distinct zones of those volumes; a volume without a zone is one of its own
	members []member // those volumes, the members of a zone side by side
}

// member is a volume that has an active slot.
type member struct {
	volume uint32
	zone   string
}

// New returns the map of the given slots, which it copies. An empty list is a valid map that places nothing. It returns
// ErrInvalidSlot when a state is unknown, an active slot has no volume, or the active slots of a volume name different
// zones.
func New(slots []Slot) (*Map, error) {
	live := make(map[uint32]string, len(slots)) // the zones of the volumes
	for i, s := range slots {
		zone, seen := live[s.Volume]
		switch {
		case s.State > Dead:
			return nil, fmt.Errorf("placement: slot %d: %w: unknown %v", i, ErrInvalidSlot, s.State)
		case s.State != Active:
		case s.Volume == 0:
			return nil, fmt.Errorf("placement: slot %d: %w: active but bound to no volume", i, ErrInvalidSlot)
		case seen && zone != s.Zone:
			return nil, fmt.Errorf("placement: slot %d: %w: volume %d is in zone %q and in zone %q", i, ErrInvalidSlot, s.Volume, zone, s.Zone)
		default:
			live[s.Volume] = s.Zone
		}
	}
	m := &Map{slots: slices.Clone(slots), members: make([]member, 0, len(live))}
	for volume, zone := range live {
		m.members = append(m.members, member{volume, zone})
	}
	slices.SortFunc(m.members, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.zone, b.zone), cmp.Compare(a.volume, b.volume))
	})
	m.volumes, m.zones = m.count(everyVolume)
	return m, nil
}

func everyVolume(uint32) bool { return true }

// count returns how many volumes with an active slot are usable, and in how many zones they lie.
func (m *Map) count(usable func(volume uint32) bool) (volumes, zones int) {
	last := -1 // the latest of members that is usable
	for i, v := range m.members {
		if !usable(v.volume) {
			continue
		}
		volumes++
		if last < 0 || v.zone == "" || m.members[last].zone != v.zone {
			zones++
		}
		last = i
	}
	return volumes, zones
}

// Len returns the number of slots, whatever their state.
func (m *Map) Len() int { return len(m.slots) }

// Slot returns slot i, 0 <= i < Len.
func (m *Map) Slot(i int) Slot { return m.slots[i] }

// Volumes returns the number of distinct volumes that have an active slot: the largest r that Choose can satisfy.
func (m *Map) Volumes() int { return m.volumes }

// Zones returns the number of distinct zones that have an active slot: the largest r for which Choose keeps all copies
// in zones of their own. A volume without a zone counts as one.
func (m *Map) Zones() int { return m.zones }

// Choose appends to dst the indexes of the r slots that should hold the key of the given hash, best first, and returns
// the extended slice. The slots are active, on distinct volumes, and in distinct zones as far as there are enough: where
// there are fewer zones than r, every zone has one of the slots before any has two. When fewer than r volumes have an
// active slot it appends one slot for each of them, so a caller that needs r copies must check the length (or Volumes
// beforehand).
//
// Given room in dst, Choose does not allocate unless more than 64 slots have to be considered.
func (m *Map) Choose(hash uint64, r int, dst []int) []int {
	return m.pick(hash, r, m.volumes, m.zones, everyVolume, dst)
}

// ChooseWhere is Choose among the volumes that are usable: it passes over the others as if they had no active slot, so
// that it answers what Choose does on a map where their slots drain. Where usable changes its mind meanwhile, the answer
// may be one of either, or shorter.
func (m *Map) ChooseWhere(hash uint64, r int, usable func(volume uint32) bool, dst []int) []int {
	volumes, zones := m.count(usable)
	return m.pick(hash, r, volumes, zones, usable, dst)
}

// pick chooses among usable volumes, of which there are so many, in so many zones.
func (m *Map) pick(hash uint64, r, volumes, zones int, usable func(volume uint32) bool, dst []int) []int {
	r = min(r, volumes)
	base := len(dst)
	dst = m.choose(hash, min(r, zones), dst, base, usable, m.zoneTaken)
	if len(dst)-base < r {
		dst = m.choose(hash, r, dst, base, usable, m.volumeTaken)
	}
	return dst
}

// choose walks the preference list of a key from its beginning and appends the active slots of usable volumes that
// taken does not refuse, until r slots are chosen behind base or none is left.
func (m *Map) choose(hash uint64, r int, dst []int, base int, usable func(uint32) bool, taken func([]int, Slot) bool) []int {
	var room [64]int
	l, seen := list{key: hash, slots: len(m.slots)}, room[:0]
	for len(dst)-base < r && len(seen) < len(m.slots) {
		var i int
		seen, i = l.next(seen)
		if s := m.slots[i]; s.State == Active && usable(s.Volume) && !taken(dst[base:], s) {
			dst = append(dst, i)
		}
	}
	return dst
}

// volumeTaken reports whether one of the chosen slots lies on the volume of s.
func (m *Map) volumeTaken(chosen []int, s Slot) bool {
	for _, i := range chosen {
		if m.slots[i].Volume == s.Volume {
			return true
		}
	}
	return false
}

// zoneTaken reports whether one of the chosen slots lies in the zone of s, or on its volume.
func (m *Map) zoneTaken(chosen []int, s Slot) bool {
	for _, i := range chosen {
		if m.slots[i].Volume == s.Volume || s.Zone != "" && m.slots[i].Zone == s.Zone {
			return true
		}
	}
	return false
}

package placement

import (
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
}

// Map is an immutable list of slots ready to place keys. It is safe for use by any number of goroutines.
type Map struct {
	slots   []Slot
	volumes int // distinct volumes that have an active slot
}

// New returns the map of the given slots, which it copies. An empty list is a valid map that places nothing. It returns
// ErrInvalidSlot when a state is unknown or an active slot has no volume.
func New(slots []Slot) (*Map, error) {
	live := make(map[uint32]struct{}, len(slots))
	for i, s := range slots {
		switch {
		case s.State > Dead:
			return nil, fmt.Errorf("placement: slot %d: %w: unknown %v", i, ErrInvalidSlot, s.State)
		case s.State == Active && s.Volume == 0:
			return nil, fmt.Errorf("placement: slot %d: %w: active but bound to no volume", i, ErrInvalidSlot)
		case s.State == Active:
			live[s.Volume] = struct{}{}
		}
	}
	return &Map{slots: slices.Clone(slots), volumes: len(live)}, nil
}

// Len returns the number of slots, whatever their state.
func (m *Map) Len() int { return len(m.slots) }

// Slot returns slot i, 0 <= i < Len.
func (m *Map) Slot(i int) Slot { return m.slots[i] }

// Volumes returns the number of distinct volumes that have an active slot: the largest r that Choose can satisfy.
func (m *Map) Volumes() int { return m.volumes }

// Choose appends to dst the indexes of the r slots that should hold the key of the given hash, best first, and returns
// the extended slice. The slots are active and on distinct volumes. When fewer than r volumes have an active slot it
// appends one slot for each of them, so a caller that needs r copies must check the length (or Volumes beforehand).
//
// Given room in dst, Choose does not allocate unless more than 64 slots have to be considered.
func (m *Map) Choose(hash uint64, r int, dst []int) []int {
	r = min(r, m.volumes)
	if r <= 0 {
		return dst
	}
	var room [64]int
	l, seen := list{key: hash, slots: len(m.slots)}, room[:0]
	base := len(dst)
	for len(dst)-base < r {
		var i int
		seen, i = l.next(seen)
		if m.slots[i].State == Active && !m.taken(dst[base:], m.slots[i].Volume) {
			dst = append(dst, i)
		}
	}
	return dst
}

// taken reports whether one of the chosen slots lies on the volume.
func (m *Map) taken(chosen []int, volume uint32) bool {
	for _, i := range chosen {
		if m.slots[i].Volume == volume {
			return true
		}
	}
	return false
}

package placement

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// slotsOf returns n active slots on the volumes 1..n.
func slotsOf(n int) []Slot {
	s := make([]Slot, n)
	for i := range s {
		s[i] = Slot{Volume: uint32(i + 1)}
	}
	return s
}

// with returns a copy of the slots in which those listed have the state.
func with(slots []Slot, state State, idx ...int) []Slot {
	c := slices.Clone(slots)
	for _, i := range idx {
		c[i].State = state
	}
	return c
}

func mapOf(t testing.TB, slots []Slot) *Map {
	t.Helper()
	m, err := New(slots)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// keyOf is the hash of the i-th test object.
func keyOf(i int) uint64 { return KeyHash("bucket", fmt.Sprintf("key-%07d", i)) }

// subtract returns what is in a but not in b.
func subtract(a, b []int) []int {
	var d []int
	for _, x := range a {
		if !slices.Contains(b, x) {
			d = append(d, x)
		}
	}
	return d
}

func TestNewRefusesSenselessSlots(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		slots []Slot
		ok    bool
	}{
		"none":                    {nil, true},
		"active and bound":        {[]Slot{{Volume: 1}}, true},
		"dead and never bound":    {[]Slot{{State: Dead}}, true},
		"draining and bound":      {[]Slot{{Volume: 7, State: Draining}}, true},
		"active and never bound":  {[]Slot{{Volume: 1}, {}}, false},
		"a state of a later date": {[]Slot{{Volume: 1, State: Dead + 1}}, false},
	} {
		m, err := New(tc.slots)
		if (err == nil) != tc.ok || (err != nil && !errors.Is(err, ErrInvalidSlot)) || (m == nil) == tc.ok {
			t.Errorf("%s: map %v, error %v, want ok %v", name, m, err, tc.ok)
		}
	}
}

func TestMapIsImmutable(t *testing.T) {
	t.Parallel()
	slots := slotsOf(4)
	m := mapOf(t, slots)
	slots[0] = Slot{Volume: 9, State: Dead}
	if got := m.Slot(0); got != (Slot{Volume: 1}) || m.Len() != 4 || m.Volumes() != 4 {
		t.Errorf("slot 0 is %+v of %d, %d volumes, after the caller changed its slice", got, m.Len(), m.Volumes())
	}
}

func TestChooseGivesAtMostOneSlotPerVolume(t *testing.T) {
	t.Parallel()
	m := mapOf(t, []Slot{{Volume: 1}, {Volume: 1}, {Volume: 2}, {Volume: 3, State: Dead}, {Volume: 4, State: Draining}, {State: Dead}})
	for i := range 1000 {
		for r, want := range []int{0, 1, 2, 2, 2} {
			got := m.Choose(keyOf(i), r, nil)
			if len(got) != want {
				t.Fatalf("r=%d gave %v, want %d slots", r, got, want)
			}
		}
	}
	if got := m.Choose(1, -1, nil); got != nil {
		t.Errorf("r=-1 gave %v", got)
	}
	if got := mapOf(t, nil).Choose(1, 3, nil); got != nil {
		t.Errorf("no slots gave %v", got)
	}
}

func TestChooseAppends(t *testing.T) {
	t.Parallel()
	m := mapOf(t, slotsOf(8))
	alone := m.Choose(42, 3, nil)
	// What dst holds already must not be mistaken for chosen slots.
	got := m.Choose(42, 3, slices.Clone(alone))
	if want := append(slices.Clone(alone), alone...); !slices.Equal(got, want) {
		t.Errorf("appended %v, want %v", got, want)
	}
}

func TestStateString(t *testing.T) {
	t.Parallel()
	for s, want := range map[State]string{Active: "active", Draining: "draining", Dead: "dead", 9: "state(9)"} {
		if got := s.String(); got != want {
			t.Errorf("State(%d) is %q, want %q", s, got, want)
		}
	}
}

func TestHashesAreOfTheDocumentedText(t *testing.T) {
	t.Parallel()
	if KeyHash("b", "k#7") != PartHash("b", "k", 7) {
		t.Error(`PartHash("b", "k", 7) is not the hash of "b/k#7"`)
	}
	if KeyHash("b", "c/d") == KeyHash("bc", "d") || KeyHash("b", "k") == KeyHash("b", "l") {
		t.Error("different keys hash alike")
	}
	// XXH64 of "a/b" with seed 0, computed by an implementation apart from the one in use.
	const want = 0x828712809a185aae
	if got := KeyHash("a", "b"); got != want {
		t.Errorf("KeyHash(a, b) = %#016x, want %#016x", got, uint64(want))
	}
}

package placement_test

import (
	"fmt"

	"tdkvs/placement"
)

// The worked example of the package comment: one key, two copies, while a slot is appended, another drains, and the
// drain is cancelled.
func ExampleMap_Choose() {
	key := placement.KeyHash("photos", "fox.jpg")
	show := func(what string, slots []placement.Slot) {
		m, err := placement.New(slots)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%-16s %v %v\n", what, m.Choose(key, m.Volumes(), nil), m.Choose(key, 2, nil))
	}
	slots := []placement.Slot{{Volume: 1}, {Volume: 2}, {Volume: 3}, {Volume: 4}}
	show("four slots", slots)
	slots = append(slots, placement.Slot{Volume: 5})
	show("slot 4 appended", slots)
	slots[3].State = placement.Draining
	show("slot 3 drains", slots)
	slots[3].State = placement.Active
	show("drain cancelled", slots)
	// Output:
	// four slots       [3 2 0 1] [3 2]
	// slot 4 appended  [3 4 2 0 1] [3 4]
	// slot 3 drains    [4 2 0 1] [4 2]
	// drain cancelled  [3 4 2 0 1] [3 4]
}

// A volume twice the size gets two slots, and about two thirds of the keys.
func Example_weight() {
	m, err := placement.New([]placement.Slot{{Volume: 1}, {Volume: 2}, {Volume: 2}})
	if err != nil {
		fmt.Println(err)
		return
	}
	share := map[uint32]int{}
	for i := range 200000 {
		slot := m.Choose(placement.PartHash("films", "tour.mkv", i), 1, nil)[0]
		share[m.Slot(slot).Volume]++
	}
	fmt.Printf("volume 2 has %.1f times the keys of volume 1\n", float64(share[2])/float64(share[1]))
	// Output:
	// volume 2 has 2.0 times the keys of volume 1
}

package placement

// list is the preference list of one key: a permutation of 0..slots-1 whose first k entries are the set S(k, slots) of
// the package comment.
type list struct {
	key   uint64
	slots int
}

// sample is the i-th probe among the first m slots: a slot of i..m-1, i < m.
func (l list) sample(i, m int) int {
	return i + jump(mix64(l.key+uint64(i)*golden), m-i)
}

// next returns the entry of the list that follows the first k ones, k < l.slots. It is given S(k), in ascending order,
// and turns it into S(k+1). (The set travels by value, not in list, so that the caller's array can stay on its stack.)
//
// S(k+1) has one slot more than S(k). Either that is the new probe, beyond all chosen so far; or the largest chosen
// stays the largest and, by the recursion, the remaining k slots are S(k, largest), of which S(k-1, largest) is known.
// The loop walks that recursion down until a probe brings something new; on the way each probe that loses to the known
// maximum shifts the known slots up by one place.
func (l list) next(chosen []int) (grown []int, slot int) {
	k := len(chosen)
	probe := l.sample(k, l.slots)
	if k == 0 || chosen[k-1] < probe {
		return append(chosen, probe), probe
	}
	largest := chosen[k-1]
	bound, added := largest, 0
	for i := k - 1; i >= 0; i-- {
		if chosen[i] < bound {
			added = i + 1
			break
		}
		chosen[i] = l.sample(i, bound)
		if i > 0 {
			chosen[i] = max(chosen[i], chosen[i-1])
		}
		bound = chosen[i]
	}
	chosen = append(chosen, largest)
	return chosen, chosen[added]
}

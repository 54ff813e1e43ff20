package master

import (
	"slices"

	"tdkvs/master/metadb"
)

// stuck counts what has to stay on volumes that are to leave.
type stuck []metadb.Stuck

// add counts an extent of which pieces stay on such volumes: too few are left of
// it, or it has too few volumes to go to.
func (s *stuck) add(l *layout, m *move) {
	stay := m.next
	if m.damage != "" {
		stay = m.extent.Pieces
	}
	for number := range l.leaving {
		if !holds(stay, number) {
			continue
		}
		one := metadb.Stuck{Volume: number}
		switch {
		case m.damage == "":
			one.Short = 1
		case m.kind == partRow:
			one.Parts = 1
		default:
			one.Damaged = 1
		}
		*s = stuck{one}.addTo(*s)
	}
}

// addTo adds the counts to others, in order of volume.
func (s stuck) addTo(others []metadb.Stuck) []metadb.Stuck {
	sum := slices.Clone(others)
	for _, one := range s {
		i, found := slices.BinarySearchFunc(sum, one, func(a, b metadb.Stuck) int { return int(a.Volume) - int(b.Volume) })
		if !found {
			sum = slices.Insert(sum, i, metadb.Stuck{Volume: one.Volume})
		}
		sum[i].Damaged += one.Damaged
		sum[i].Parts += one.Parts
		sum[i].Short += one.Short
	}
	return sum
}

// stuckBy is what has to stay once the batches are recorded: what was found to be
// damaged only when it was to be moved, too.
func (f finding) stuckBy(l *layout) stuck {
	all := slices.Clone(f.stuck)
	for _, m := range slices.Concat(f.batches...) {
		if m.outcome == damaged && !m.stuck {
			all.add(l, m)
		}
	}
	return all
}

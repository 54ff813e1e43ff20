package master

import (
	"fmt"
	"slices"

	"tdkvs/master/meta"
)

// outlook is what a plan is made by.
type outlook struct {
	layout *layout
	bad    func(meta.Piece) bool    // is known not to be there, or not to be readable; nil: none
	down   func(meta.VolumeID) bool // nothing can be written to it for now
	silent func(meta.VolumeID) bool // nothing can be read from it for now
}

// there reports whether a piece may be taken to be where it is recorded.
func (o outlook) there(p meta.Piece) bool {
	_, member := o.layout.volumes[p.Volume]
	return member && !p.Missing() && (o.bad == nil || !o.bad(p))
}

// lost reports whether a piece lies on a volume that is not in the cluster any
// more.
func (o outlook) lost(p meta.Piece) bool {
	_, member := o.layout.volumes[p.Volume]
	return !member && !p.Missing()
}

// needed is how many of an extent's pieces are needed to read it.
func needed(x meta.Extent) int { return max(1, x.Code.Data) }

// plan compares where an extent lies with where the layout wants it. The result
// changes nothing where that is the same.
func (e *Engine) plan(o outlook, at location, x meta.Extent) (*move, error) {
	keep := e.redundancyOf(o.layout, at.holder, at.class, x)
	want, err := o.layout.place(at.hash(), keep.pieces())
	if err != nil {
		return nil, err
	}
	m := &move{location: at, extent: x, sources: make([]meta.Piece, len(x.Pieces))}
	left := 0
	for i, p := range x.Pieces {
		if o.there(p) {
			m.sources[i] = p
			left++
		}
	}
	if left < needed(x) {
		m.next = x.Pieces
		m.damage = fmt.Sprintf("%d of its %d pieces are left, %d are needed", left, len(x.Pieces), needed(x))
		m.stuck = onDraining(o.layout, m.next)
		return m, nil
	}
	m.short = len(want) < keep.pieces()
	if x.Code == (meta.Code{}) {
		m.planCopies(o, want, keep.copies)
	} else {
		m.planShards(o, want)
	}
	m.finishPlan(o)
	return m, nil
}

// planCopies wants a copy on each volume. Those that lie elsewhere stay as long
// as there are too few in place; so do those on lost volumes while nothing is
// made, for nothing has shown then that the others can be read.
func (m *move) planCopies(o outlook, want []meta.VolumeID, copies int) {
	for _, number := range want {
		i := slices.IndexFunc(m.sources, func(p meta.Piece) bool { return p.Volume == number })
		switch {
		case i >= 0:
			m.next = append(m.next, m.sources[i])
		case o.down(number):
			m.waits = true
		default:
			m.make(number)
		}
	}
	for _, p := range m.sources {
		if len(m.next) < copies && !p.Missing() && !holds(m.next, p.Volume) {
			m.next = append(m.next, p)
		}
	}
	for _, p := range m.extent.Pieces {
		if len(m.next) < copies && len(m.add) == 0 && o.lost(p) && !holds(m.next, p.Volume) {
			m.next = append(m.next, p)
		}
	}
}

func (m *move) make(number meta.VolumeID) {
	p := meta.Piece{Volume: number, Blob: meta.BlobID(newBlobID())}
	m.next, m.add = append(m.next, p), append(m.add, p)
}

func holds(pieces []meta.Piece, number meta.VolumeID) bool {
	return slices.ContainsFunc(pieces, func(p meta.Piece) bool { return p.Volume == number })
}

// planShards wants a shard on each volume, no matter which. The volumes without
// one take those that are not there, and then those that lie elsewhere; what is
// left over when there are too few volumes stays where it is.
func (m *move) planShards(o outlook, want []meta.VolumeID) {
	m.next = slices.Clone(m.extent.Pieces)
	var kept []meta.Piece
	var missing, elsewhere []int
	for i, p := range m.sources {
		switch {
		case p.Missing():
			missing = append(missing, i)
		case slices.Contains(want, p.Volume) && !holds(kept, p.Volume):
			kept = append(kept, p)
		default:
			elsewhere = append(elsewhere, i)
		}
	}
	todo := slices.Concat(missing, elsewhere)
	for _, number := range want {
		if len(todo) == 0 {
			break
		}
		switch {
		case holds(kept, number):
		case o.down(number):
			m.waits = true
		default:
			p := meta.Piece{Volume: number, Blob: meta.BlobID(newBlobID())}
			m.next[todo[0]], m.add = p, append(m.add, p)
			todo = todo[1:]
		}
	}
	for _, i := range todo {
		if m.sources[i].Missing() && !o.lost(m.next[i]) {
			m.next[i] = meta.Piece{} // it is known to be bad
		}
	}
}

// finishPlan works out what is given up, and what must be read first to be sure
// that it can be spared: fewer are made than are given up.
func (m *move) finishPlan(o outlook) {
	spared := 0
	for _, p := range m.extent.Pieces {
		if p.Missing() || slices.Contains(m.next, p) {
			continue
		}
		m.drop = append(m.drop, p)
		if o.there(p) || o.lost(p) {
			spared++
		}
	}
	if spared > len(m.add) {
		for _, p := range m.next {
			if !p.Missing() && !slices.Contains(m.add, p) {
				m.confirm = append(m.confirm, p)
			}
		}
	}
	m.stuck = onDraining(o.layout, m.next)
}

// onDraining reports whether a piece lies on a volume that is to leave.
func onDraining(l *layout, pieces []meta.Piece) bool {
	return slices.ContainsFunc(pieces, func(p meta.Piece) bool { return l.leaving[p.Volume] })
}

// idle reports that the extent is as it should be, as far as it can be.
func (m *move) idle() bool { return len(m.add) == 0 && len(m.drop) == 0 && m.damage == "" }

// reachable reports whether enough of what a move reads is on volumes that
// answer.
func (m *move) reachable(o outlook) bool {
	up := 0
	for _, p := range m.sources {
		if !p.Missing() && !o.silent(p.Volume) {
			up++
		}
	}
	if slices.ContainsFunc(m.confirm, func(p meta.Piece) bool { return o.silent(p.Volume) }) {
		return false
	}
	if len(m.add) == 0 || up >= needed(m.extent) {
		return true
	}
	if m.extent.Code == (meta.Code{}) {
		return false
	}
	for i, p := range m.next { // shards that are only moved need no others
		if slices.Contains(m.add, p) && (m.sources[i].Missing() || o.silent(m.sources[i].Volume)) {
			return false
		}
	}
	return true
}

// restored is how many of the pieces to be made take the place of ones that are
// not there; the others are moved, or make more of what there is.
func (m *move) restored() int {
	gone, given := 0, 0
	for i, p := range m.extent.Pieces {
		switch {
		case m.sources[i].Missing():
			gone++
		case slices.Contains(m.drop, p):
			given++
		}
	}
	if gone == 0 && !m.queued {
		return 0
	}
	return max(0, len(m.add)-given)
}

package master

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// targets hands out the volumes for the pieces of one extent: those where the
// pieces belong, and for one that fails the next that takes data.
type targets struct {
	e      *Engine
	layout *layout
	hash   uint64
	home   []meta.VolumeID // where the pieces belong, best first

	mu     sync.Mutex // owns what follows
	taken  []meta.VolumeID
	failed []meta.VolumeID
}

// targets are those of n pieces.
func (e *Engine) targets(req storing, n int) (*targets, error) {
	home, err := req.layout.place(req.hash, n)
	if err != nil {
		return nil, err
	}
	return &targets{e: e, layout: req.layout, hash: req.hash, home: home}, nil
}

// first takes a volume for each of the pieces; 0 where there is none. Where less
// than need take data, the others are tried all the same: they say why they can
// not.
func (t *targets) first(need int) []meta.VolumeID {
	t.mu.Lock()
	defer t.mu.Unlock()
	volumes := t.choose()
	t.taken = slices.Clone(volumes)
	t.taken = slices.DeleteFunc(t.taken, func(v meta.VolumeID) bool { return !t.takes(v) })
	if len(t.taken) < need {
		t.taken = slices.Clone(volumes)
		return volumes
	}
	for i, v := range volumes {
		if !t.takes(v) {
			volumes[i] = 0
		}
	}
	return volumes
}

// instead takes another volume for a piece whose write has failed; not ok where
// none is left.
func (t *targets) instead(of meta.VolumeID) (number meta.VolumeID, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = append(t.failed, of)
	for _, v := range t.choose() {
		if t.takes(v) && !slices.Contains(t.taken, v) {
			t.taken = append(t.taken, v)
			return v, true
		}
	}
	return 0, false
}

// choose returns as many volumes as there are pieces. Its caller holds mu.
func (t *targets) choose() []meta.VolumeID {
	if !slices.ContainsFunc(t.home, func(v meta.VolumeID) bool { return !t.takes(v) }) {
		return slices.Clone(t.home)
	}
	volumes, _, err := t.layout.candidates(t.hash, len(t.home), t.takes)
	if err != nil {
		return nil
	}
	return volumes
}

func (t *targets) takes(v meta.VolumeID) bool {
	return t.e.usable(v) && !slices.Contains(t.failed, v)
}

// settled reports whether pieces are all that there should be, and where.
func (t *targets) settled(made []meta.Piece) bool {
	return len(made) == len(t.home) && !slices.ContainsFunc(made, func(p meta.Piece) bool { return !slices.Contains(t.home, p.Volume) })
}

// tooFew says that not enough pieces of an extent could be made durable. Where all
// failed for one reason that is none of the connection, it is that one.
func tooFew(durable, need int, failures []error) error {
	cause := volume.ErrUnavailable
	for _, reason := range []error{volume.ErrNoSpace, volume.ErrReadOnly} {
		if len(failures) > 0 && !slices.ContainsFunc(failures, func(err error) bool { return !errors.Is(err, reason) }) {
			cause = reason
		}
	}
	return fmt.Errorf("%w: %d pieces are durable, %d are needed: %v", cause, durable, need, failures)
}

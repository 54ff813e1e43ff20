package master

import (
	"context"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

const (
	searchRest  = 100 * time.Millisecond // between two pages, at most
	searchPause = 10 * time.Minute       // from the end of a search to the next
	maxWanted   = 1 << 16                // pieces that a search looks for by name
)

// wanted is what a search looks for: single pieces, and whatever should be on a
// volume and is not there, or can not be read.
type wanted struct {
	pieces  map[meta.Piece]bool
	volumes map[meta.VolumeID]bool
}

func newWanted() wanted {
	return wanted{pieces: make(map[meta.Piece]bool), volumes: make(map[meta.VolumeID]bool)}
}

func (w wanted) empty() bool { return len(w.pieces)+len(w.volumes) == 0 }

// add adds what another wants. Of too many pieces their volumes are remembered.
func (w wanted) add(other wanted) {
	maps.Copy(w.volumes, other.volumes)
	for p := range other.pieces {
		if len(w.pieces) < maxWanted {
			w.pieces[p] = true
		} else {
			w.volumes[p.Volume] = true
		}
	}
}

// search finds by the rows what damaged pieces are part of that can not say so
// themselves. It goes over all rows once for as many as there are; what moves from
// row to row meanwhile, as a version that becomes current again, may be missed:
// another round of the scrub, or a reader, finds it again.
type search struct {
	asked   wanted // of the next
	running bool
	now     wanted
	next    position
	rest    time.Time // no other begins before
}

// searchOn looks at a page of rows. It reports whether there are more.
func (f *findings) searchOn(ctx context.Context) (more bool, err error) {
	s := &f.search
	if !s.running {
		if f.e.now().Before(s.rest) {
			return false, nil
		}
		s.now = f.due()
		if s.now.empty() {
			return false, nil
		}
		s.running, s.next = true, position{}
		f.e.log.InfoContext(ctx, "all rows are looked at for pieces that are damaged", "pieces", len(s.now.pieces), "volumes", len(s.now.volumes))
	}
	page, next, end, err := f.searchPage(ctx)
	if err != nil {
		return false, err
	}
	bad, err := f.confirmPage(ctx, page)
	if err != nil {
		return false, err
	}
	if err := f.queueRepairs(ctx, bad); err != nil {
		return false, err
	}
	s.next = next
	if end {
		s.running, s.now, s.rest = false, wanted{}, f.e.now().Add(searchPause)
		f.e.log.InfoContext(ctx, "all rows were looked at for pieces that are damaged")
	}
	return !end, nil
}

// due takes what can be looked for now out of what is asked for. A volume that is
// down is waited for, and one that has left holds nothing any more.
func (f *findings) due() wanted {
	due, later := f.search.asked, newWanted()
	l := f.e.layouts.now()
	for number := range due.volumes {
		v, member := l.volumes[number]
		if !member || v.condition.Load().down != nil {
			delete(due.volumes, number)
			if member {
				later.volumes[number] = true
			}
		}
	}
	f.search.asked = later
	return due
}

// searchPage returns the pieces on some rows that are looked for, and where to go
// on.
func (f *findings) searchPage(ctx context.Context) (page []absence, next position, end bool, err error) {
	err = f.e.view(ctx, func(tx metadb.Tx) error {
		page = nil
		s := &scanner{ctx: ctx, e: f.e, broken: func([]byte, error) {}}
		s.visit = func(at location, extents []meta.Extent, _ int) {
			for i, x := range extents {
				at.index = i
				for _, p := range x.Pieces {
					if f.search.now.pieces[p] || !p.Missing() && f.search.now.volumes[p.Volume] {
						page = append(page, absence{at, x, p})
					}
				}
			}
		}
		s.full = func() bool { return s.scanned >= checkPage || len(page) >= checkPage }
		s.next = f.search.next
		err := s.run(tx)
		next, end = s.next, s.end
		return err
	})
	return page, next, end, err
}

// confirmPage returns those pieces of a page that are damaged or missing. A volume
// that does not answer is searched for again later.
func (f *findings) confirmPage(ctx context.Context, page []absence) ([]badPiece, error) {
	var mu sync.Mutex // guards bad and the search's wishes
	var bad []badPiece
	var group errgroup.Group
	group.SetLimit(checkAtOnce)
	for _, a := range page {
		if f.search.now.pieces[a.piece] {
			bad = append(bad, badPiece{a.location, a.piece})
		}
	}
	for _, a := range page {
		if f.search.now.pieces[a.piece] {
			continue
		}
		group.Go(func() error {
			err := f.probe(ctx, a)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case isBad(err):
				bad = append(bad, badPiece{a.location, a.piece})
			case err != nil && !f.search.asked.volumes[a.piece.Volume]:
				f.e.log.WarnContext(ctx, "a volume does not answer, and is looked at again later", "volume", a.piece.Volume, "error", err)
				f.search.asked.volumes[a.piece.Volume] = true
			}
			return nil
		})
	}
	_ = group.Wait() // no error is returned above
	return bad, ctx.Err()
}

// probe asks a volume whether it has a piece.
func (f *findings) probe(ctx context.Context, a absence) error {
	ctx, cancel := context.WithTimeout(ctx, checkStatTimeout)
	defer cancel()
	_, _, err := f.e.statRecorded(ctx, a.recorded(a.extent, a.piece))
	return err
}

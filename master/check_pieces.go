package master

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"golang.org/x/sync/errgroup"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// idRange is a run of blob ids: those whose first 8 bytes are from first to
// last. Ids are random, so ranges of a length hold about as many blobs.
type idRange struct{ first, last uint64 }

// passRange returns the range of pass i of n.
func passRange(i, n int) idRange {
	width := ^uint64(0)/uint64(n) + 1 // 0 where there is one pass: all
	r := idRange{first: uint64(i) * width, last: uint64(i)*width + width - 1}
	if i == n-1 {
		r.last = ^uint64(0)
	}
	return r
}

func (r idRange) has(id meta.BlobID) bool {
	n := binary.BigEndian.Uint64(id[:8])
	return r.first <= n && n <= r.last
}

// before returns the last id in front of the range; the zero id where there is
// none.
func (r idRange) before() (id volume.BlobID) {
	if r.first > 0 {
		binary.BigEndian.PutUint64(id[:8], r.first-1)
		for i := 8; i < len(id); i++ {
			id[i] = 0xFF
		}
	}
	return id
}

// What is known of a blob that was listed.
const (
	markLive    = 1 << iota // a row names it
	markGarbage             // the garbage queue names it
	markCorrupt             // it was read, and is not whole
)

// listing is the blobs of one volume, within a range, in order of id.
type listing struct {
	ids   []meta.BlobID
	sizes []int64
	marks []uint8
	says  []uint64 // of a deep check: prints of what they say that they are; 0: nothing
}

// find returns the index of a blob; -1 where it is not listed.
func (l *listing) find(id meta.BlobID) int {
	i := sort.Search(len(l.ids), func(i int) bool { return bytes.Compare(l.ids[i][:], id[:]) >= 0 })
	if i == len(l.ids) || l.ids[i] != id {
		return -1
	}
	return i
}

// pass looks at one range of blob ids. The volumes are listed first: a blob that
// is named later and was not there is asked for, and one that was there and is
// not named is a suspect.
func (c *check) pass(ctx context.Context, in idRange) error {
	listed, err := c.list(ctx, in)
	if err != nil {
		return err
	}
	w := &walk{check: c, in: in, listed: listed, layout: c.e.layouts.now(), first: in.first == 0}
	if err := w.rows(ctx); err != nil {
		return err
	}
	if err := w.garbage(ctx); err != nil {
		return err
	}
	for number, l := range listed {
		for i, mark := range l.marks {
			p := meta.Piece{Volume: number, Blob: l.ids[i]}
			switch {
			case mark&(markLive|markGarbage) == 0, mark&markLive != 0 && mark&markGarbage != 0:
				c.suspect(p)
				c.suspects[p].corrupt = mark&(markCorrupt|markLive) == markCorrupt
			}
			if err := c.confirmSome(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// list reads which blobs the volumes have, all volumes at once.
func (c *check) list(ctx context.Context, in idRange) (map[meta.VolumeID]*listing, error) {
	listed := make(map[meta.VolumeID]*listing)
	var group errgroup.Group
	group.SetLimit(checkAtOnce)
	for number, v := range c.e.layouts.now().volumes {
		if c.skipped(number) {
			continue
		}
		l := new(listing)
		listed[number] = l
		group.Go(func() error {
			if err := c.listVolume(ctx, v, in, l); err != nil {
				c.giveUpOn(number, v.Name, err)
			}
			return ctx.Err()
		})
	}
	err := group.Wait()
	for number := range listed {
		if c.skipped(number) {
			delete(listed, number)
		}
	}
	return listed, err
}

func (c *check) listVolume(ctx context.Context, v *boundVolume, in idRange, l *listing) error {
	for after := in.before(); ; {
		infos, err := c.e.listPage(ctx, v.Number, after, checkPage)
		if err != nil {
			return err
		}
		var bytes uint64
		from := len(l.ids)
		for _, info := range infos {
			if !in.has(meta.BlobID(info.ID)) {
				break
			}
			l.ids, l.sizes, l.marks = append(l.ids, meta.BlobID(info.ID)), append(l.sizes, info.Size), append(l.marks, 0)
			bytes += uint64(info.Size)
		}
		c.mu.Lock()
		c.report.Blobs += uint64(len(l.ids) - from)
		c.report.Bytes += bytes
		c.progress.Blobs = c.report.Blobs
		c.mu.Unlock()
		if c.opts.Deep {
			l.says = append(l.says, make([]uint64, len(l.ids)-from)...)
			if err := c.verify(ctx, v, l, from); err != nil {
				return err
			}
		}
		c.tell()
		if len(l.ids)-from < checkPage {
			return nil
		}
		after = volume.BlobID(l.ids[len(l.ids)-1])
	}
}

// listPage lists the next blobs of a volume.
func (e *Engine) listPage(ctx context.Context, number meta.VolumeID, after volume.BlobID, limit int) ([]volume.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, checkListTimeout)
	defer cancel()
	blobs, err := e.volume(ctx, number)
	if err != nil {
		return nil, err
	}
	return blobs.List(ctx, after, limit)
}

// verify reads the blobs of a listing from an index on, and what they say that they
// are.
func (c *check) verify(ctx context.Context, v *boundVolume, l *listing, from int) error {
	for i := from; i < len(l.ids); i++ {
		err := c.pace(ctx, l.sizes[i])
		if err != nil {
			return err
		}
		l.says[i], err = c.verifyBlob(ctx, v, volume.BlobID(l.ids[i]), l.sizes[i])
		switch {
		case err == nil:
		case errors.Is(err, volume.ErrCorrupt):
			l.marks[i] |= markCorrupt
		case errors.Is(err, volume.ErrNotFound): // removed meanwhile
		default:
			return err
		}
		c.mu.Lock()
		c.report.Verified += uint64(l.sizes[i])
		c.progress.Verified = c.report.Verified
		c.mu.Unlock()
	}
	return nil
}

// pace waits until so many bytes may be read.
func (c *check) pace(ctx context.Context, size int64) error {
	for left := size; left > 0; left -= rateBurst {
		if err := c.limiter.WaitN(ctx, int(min(left, rateBurst))); err != nil {
			return err
		}
	}
	return nil
}

// slowestVerify is the pace, in bytes per second, below which a volume that reads
// a blob is taken for one that does not answer.
const slowestVerify = 1 << 20

func (c *check) verifyBlob(ctx context.Context, v *boundVolume, id volume.BlobID, size int64) (says uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkStatTimeout+time.Duration(size/slowestVerify)*time.Second)
	defer cancel()
	blobs, err := c.e.volume(ctx, v.Number)
	if err != nil {
		return 0, err
	}
	info, err := blobs.Stat(ctx, id)
	if err == nil {
		err = blobs.Verify(ctx, id)
	}
	return printIn(info.Descriptor), err
}

// walk compares what rows and queue name with what was listed.
type walk struct {
	*check
	in     idRange
	listed map[meta.VolumeID]*listing
	layout *layout
	first  bool // pass: that which also looks at how extents are kept
	absent []absence
}

// absence is a piece that a row names and that was not listed.
type absence struct {
	location
	extent meta.Extent
	piece  meta.Piece
}

func (a absence) bad() badPlace {
	return badPlace{location: a.location, extent: a.extent, piece: a.piece}
}

// rows goes over all rows, in transactions of bounded length: what moves from a
// row to another meanwhile may be missed here, and is a suspect then.
func (w *walk) rows(ctx context.Context) error {
	var next position
	for {
		began := time.Now()
		var s *scanner
		err := w.e.view(ctx, func(tx metadb.Tx) error {
			w.absent = nil
			s = &scanner{ctx: ctx, e: w.e, visit: w.visit, broken: func([]byte, error) {}}
			s.full = func() bool { return s.scanned >= checkPage || len(w.absent) >= checkPage }
			s.next = next
			return s.run(tx)
		})
		if err != nil {
			return err
		}
		next = s.next
		w.progress.Rows += s.scanned
		if err := w.resolve(ctx); err != nil {
			return err
		}
		if err := w.confirmSome(ctx); err != nil {
			return err
		}
		w.tell()
		if s.end {
			return nil
		}
		if err := rest(ctx, began); err != nil {
			return err
		}
	}
}

func (w *walk) visit(at location, extents []meta.Extent, _ int) {
	for i, x := range extents {
		at.index = i
		if w.first {
			w.report.Extents++
			w.judge(w.layout, at, x)
		}
		for shard, p := range x.Pieces {
			if w.first && !p.Missing() {
				w.report.Pieces++
			}
			if !p.Missing() && w.in.has(p.Blob) {
				w.see(at, x, shard)
			}
		}
	}
}

// see compares one piece of an extent with the listing of its volume.
func (w *walk) see(at location, x meta.Extent, shard int) {
	p := x.Pieces[shard]
	l, ok := w.listed[p.Volume]
	if !ok {
		if _, member := w.layout.volumes[p.Volume]; member && !w.skipped(p.Volume) {
			w.absent = append(w.absent, absence{at, x, p}) // a volume that has joined meanwhile
		}
		return
	}
	i := l.find(p.Blob)
	if i < 0 {
		w.absent = append(w.absent, absence{at, x, p})
		return
	}
	if l.marks[i]&markLive != 0 {
		w.suspect(p) // of being part of two extents
		return
	}
	l.marks[i] |= markLive
	bad := badPlace{location: at, extent: x, piece: p}
	switch {
	case l.marks[i]&markCorrupt != 0:
		w.foundBad(at.finding(FindingCorrupt, p, l.sizes[i]), bad)
	case w.opts.Deep && !at.owner(x).piece(p, shard).prints(l.says[i]):
		f := at.finding(FindingCorrupt, p, l.sizes[i])
		f.Detail = "it says that it is something else"
		w.foundBad(f, bad)
	}
	w.compareSize(bad, l.sizes[i])
}

func (c *check) compareSize(b badPlace, size int64) {
	if want := pieceSize(b.extent); size != want {
		f := b.finding(FindingSize, b.piece, want)
		f.Detail = fmt.Sprintf("it has %d bytes, want %d", size, want)
		c.foundBad(f, b)
	}
}

// garbage marks what the queue names.
func (w *walk) garbage(ctx context.Context) error {
	r := metadb.GarbageRange()
	for {
		n := 0
		var last []byte
		err := w.e.view(ctx, func(tx metadb.Tx) error {
			return tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
				n++
				last = append(last[:0], k...)
				g, err := metadb.UnmarshalGarbage(row)
				if err != nil {
					return true, nil // the collector reports it
				}
				for _, p := range g.Pieces {
					if l := w.listed[p.Volume]; l != nil && w.in.has(p.Blob) {
						if i := l.find(p.Blob); i >= 0 {
							l.marks[i] |= markGarbage
						}
					}
				}
				return n < checkPage, nil
			})
		})
		if err != nil || n < checkPage {
			return err
		}
		r.Start = metadb.After(last)
	}
}

// resolve asks the volumes for pieces that were not listed.
func (w *walk) resolve(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(checkAtOnce)
	for _, a := range w.absent {
		group.Go(func() error { return w.ask(ctx, a) })
	}
	return group.Wait()
}

// ask looks again at a piece: it may have been written, or moved, after the
// listing. A piece that a row names after its volume did not have it is missing:
// no blob is removed while a row names it, and none gets its name again.
func (c *check) ask(ctx context.Context, a absence) error {
	if c.skipped(a.piece.Volume) {
		return nil
	}
	size, err := c.stat(ctx, a.piece)
	switch {
	case err == nil:
		c.compareSize(a.bad(), size)
		return nil
	case errors.Is(err, volume.ErrCorrupt):
		c.foundBad(a.finding(FindingCorrupt, a.piece, pieceSize(a.extent)), a.bad())
		return nil
	case !errors.Is(err, volume.ErrNotFound):
		if ctx.Err() == nil {
			c.giveUpOn(a.piece.Volume, c.nameOf(a.piece.Volume), err)
		}
		return ctx.Err()
	}
	named, err := c.stillNamed(ctx, a)
	if err != nil || !named {
		return err
	}
	c.foundBad(a.finding(FindingMissing, a.piece, pieceSize(a.extent)), a.bad())
	return c.askRest(ctx, a)
}

// askRest looks at whether an extent of which a piece is missing can be read. It
// is said once, at the first missing piece.
func (c *check) askRest(ctx context.Context, a absence) error {
	there := 0
	var missing []meta.Piece
	for _, p := range a.extent.Pieces {
		if p.Missing() {
			continue
		}
		_, err := c.stat(ctx, p)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, volume.ErrNotFound):
			missing = append(missing, p)
		default:
			there++ // or not known
		}
	}
	need := max(1, a.extent.Code.Data)
	if len(missing) == 0 || missing[0] != a.piece || there >= need {
		return nil
	}
	f := a.finding(FindingUnreadable, meta.Piece{}, a.extent.Size)
	f.Detail = fmt.Sprintf("%d of its pieces are there, %d are needed", there, need)
	c.foundAtOnce(f, RemedyList)
	return nil
}

// stat asks a volume for the size of a blob.
func (c *check) stat(ctx context.Context, p meta.Piece) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, checkStatTimeout)
	defer cancel()
	blobs, err := c.e.volume(ctx, p.Volume)
	if err != nil {
		return 0, err
	}
	info, err := blobs.Stat(ctx, volume.BlobID(p.Blob))
	return info.Size, err
}

func (c *check) nameOf(number meta.VolumeID) string {
	v, _ := c.e.layouts.now().volume(number)
	return v.Name
}

// stillNamed reports whether a row names a piece at the moment.
func (c *check) stillNamed(ctx context.Context, a absence) (named bool, err error) {
	err = c.e.view(ctx, func(tx metadb.Tx) error {
		x, err := c.recorded(tx, a.location)
		named = x != nil && slices.Contains(x.Pieces, a.piece)
		return err
	})
	return named, err
}

// recorded returns the extent at a place; nil where there is none.
func (c *check) recorded(tx metadb.Tx, at location) (*meta.Extent, error) {
	row, err := (&recorder{e: c.e, tx: tx}).open(at)
	if err != nil {
		return nil, err
	}
	return row.extent(at), nil
}

package metadb

import (
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"tdkvs/master/meta"
)

// headers writes the system headers but the storage class as seven fields from
// first on.
func (e *encoder) headers(first protowire.Number, h *meta.Headers) {
	e.str(first, h.ContentType)
	e.str(first+1, h.CacheControl)
	e.str(first+2, h.ContentDisposition)
	e.str(first+3, h.ContentEncoding)
	e.str(first+4, h.ContentLanguage)
	e.str(first+5, h.Expires)
	e.str(first+6, h.WebsiteRedirect)
}

// header reads the i-th of the fields that headers writes.
func (d *decoder) header(i int, h *meta.Headers) {
	switch i {
	case 0:
		h.ContentType = d.str()
	case 1:
		h.CacheControl = d.str()
	case 2:
		h.ContentDisposition = d.str()
	case 3:
		h.ContentEncoding = d.str()
	case 4:
		h.ContentLanguage = d.str()
	case 5:
		h.Expires = d.str()
	case 6:
		h.WebsiteRedirect = d.str()
	}
}

func (e *encoder) extents(num protowire.Number, extents []meta.Extent) {
	for i := range extents {
		e.message(num, func(sub *encoder) {
			sub.int(1, extents[i].Size)
			sub.pieces(2, extents[i].Pieces)
		})
	}
}

func (d *decoder) extent() meta.Extent {
	var x meta.Extent
	sub := d.message()
	for sub.next() {
		switch sub.num {
		case 1:
			x.Size = sub.size()
		case 2:
			x.Pieces = append(x.Pieces, sub.piece())
		}
	}
	d.end(&sub)
	return x
}

func (e *encoder) pieces(num protowire.Number, pieces []meta.Piece) {
	for i := range pieces {
		e.message(num, func(sub *encoder) {
			sub.uint(1, uint64(pieces[i].Volume))
			sub.bytes(2, pieces[i].Blob[:])
		})
	}
}

var errBlobID = errors.New("want 16 bytes")

func (d *decoder) piece() meta.Piece {
	var p meta.Piece
	sub := d.message()
	for sub.next() {
		switch sub.num {
		case 1:
			p.Volume = meta.VolumeID(sub.uintMax(math.MaxUint32))
		case 2:
			if id := sub.bytes(); len(id) == len(p.Blob) {
				copy(p.Blob[:], id)
			} else {
				sub.fail("blob id", errBlobID)
			}
		}
	}
	d.end(&sub)
	return p
}

package metadb

import (
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"tdkvs/master/meta"
)

// attributes writes, as nine fields from first on, what objects and uploads have
// in common: system headers, user metadata, tags. The storage class and the lock
// have fields of their own.
func (e *encoder) attributes(first protowire.Number, a *meta.Attributes) {
	e.str(first, a.Headers.ContentType)
	e.str(first+1, a.Headers.CacheControl)
	e.str(first+2, a.Headers.ContentDisposition)
	e.str(first+3, a.Headers.ContentEncoding)
	e.str(first+4, a.Headers.ContentLanguage)
	e.str(first+5, a.Headers.Expires)
	e.str(first+6, a.Headers.WebsiteRedirect)
	e.strings(first+7, a.UserMeta)
	e.strings(first+8, a.Tags)
}

// attribute reads the field at hand if it is one of those that attributes writes
// from first on, and reports whether it is.
func (d *decoder) attribute(first protowire.Number, a *meta.Attributes) bool {
	switch d.num - first {
	case 0:
		a.Headers.ContentType = d.str()
	case 1:
		a.Headers.CacheControl = d.str()
	case 2:
		a.Headers.ContentDisposition = d.str()
	case 3:
		a.Headers.ContentEncoding = d.str()
	case 4:
		a.Headers.ContentLanguage = d.str()
	case 5:
		a.Headers.Expires = d.str()
	case 6:
		a.Headers.WebsiteRedirect = d.str()
	case 7:
		a.UserMeta = d.entry(a.UserMeta)
	case 8:
		a.Tags = d.entry(a.Tags)
	default:
		return false
	}
	return true
}

// lock writes a lock as one field, left out where nothing locks.
func (e *encoder) lock(num protowire.Number, l meta.Lock) {
	if l == (meta.Lock{}) {
		return
	}
	at := e.open(num)
	e.str(1, string(l.Retention.Mode))
	e.time(2, l.Retention.Until)
	e.str(3, string(l.LegalHold))
	e.close(at)
}

func (d *decoder) lock() meta.Lock {
	var l meta.Lock
	sub := d.message()
	for sub.next() {
		switch sub.num {
		case 1:
			l.Retention.Mode = meta.LockMode(sub.str())
		case 2:
			l.Retention.Until = sub.time()
		case 3:
			l.LegalHold = meta.LegalHold(sub.str())
		}
	}
	d.end(&sub)
	return l
}

func (e *encoder) extents(num protowire.Number, extents []meta.Extent) {
	for i := range extents {
		at := e.open(num)
		e.int(1, extents[i].Size)
		e.pieces(2, extents[i].Pieces)
		e.code(3, extents[i].Code)
		e.close(at)
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
		case 3:
			x.Code = sub.code()
		}
	}
	d.end(&sub)
	return x
}

// code writes an erasure code as one field, left out where there is none.
func (e *encoder) code(num protowire.Number, c meta.Code) {
	if c == (meta.Code{}) {
		return
	}
	at := e.open(num)
	e.int(1, int64(c.Data))
	e.int(2, int64(c.Parity))
	e.close(at)
}

func (d *decoder) code() meta.Code {
	var c meta.Code
	sub := d.message()
	for sub.next() {
		switch sub.num {
		case 1:
			c.Data = int(sub.uintMax(math.MaxUint8))
		case 2:
			c.Parity = int(sub.uintMax(math.MaxUint8))
		}
	}
	d.end(&sub)
	return c
}

func (e *encoder) pieces(num protowire.Number, pieces []meta.Piece) {
	for i := range pieces {
		at := e.open(num)
		if !pieces[i].Missing() {
			e.uint(1, uint64(pieces[i].Volume))
			e.bytes(2, pieces[i].Blob[:])
		}
		e.close(at)
	}
}

var (
	errBlobID   = errors.New("want 16 bytes")
	errNoVolume = errors.New("a blob on no volume")
)

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
	if p.Missing() && p != (meta.Piece{}) {
		sub.fail("piece", errNoVolume)
	}
	d.end(&sub)
	return p
}

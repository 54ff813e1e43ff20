package backup

import (
	"encoding/binary"
)

// ID names the bytes of a body.
type ID = [16]byte

// Row is a row of a store with its bodies.
type Row struct {
	Key, Value []byte
	Bodies     []Body
}

// Body is a body of a row.
type Body struct {
	ID     ID
	Size   int64
	Handle []byte // leads the store to it, while it is backed up
	runs   []run  // where it is in the backup
}

// run is where a run of a body is.
type run struct {
	pack   uint32 // its place in the list of packs
	offset uint32
	crc    uint32 // CRC32C of its bytes
}

// runs is how many runs a body has.
func runs(size int64) int { return int((size + runLen - 1) / runLen) }

// runSize is the length of the n-th run of a body, in bytes.
func runSize(size int64, n int) int64 { return min(runLen, size-int64(n)*runLen) }

func appendBytes(b, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendRow encodes a row as a backup has it.
//
//	key, value                  uvarint length, bytes
//	number of bodies            uvarint
//	each: id                    16 bytes
//	      size                  uvarint
//	      each run: pack        uvarint, place in the list of packs
//	                offset      uvarint, in the pack
//	                CRC32C      4 bytes
func appendRow(b []byte, r *Row) []byte {
	b = appendBytes(appendBytes(b, r.Key), r.Value)
	b = binary.AppendUvarint(b, uint64(len(r.Bodies)))
	for i := range r.Bodies {
		body := &r.Bodies[i]
		b = binary.AppendUvarint(append(b, body.ID[:]...), uint64(body.Size))
		for _, x := range body.runs {
			b = binary.AppendUvarint(b, uint64(x.pack))
			b = binary.AppendUvarint(b, uint64(x.offset))
			b = binary.LittleEndian.AppendUint32(b, x.crc)
		}
	}
	return b
}

// appendSpooled encodes a row on its way into a backup: handles stand where the
// runs will.
func appendSpooled(b []byte, r *Row) []byte {
	b = appendBytes(appendBytes(b, r.Key), r.Value)
	b = binary.AppendUvarint(b, uint64(len(r.Bodies)))
	for i := range r.Bodies {
		body := &r.Bodies[i]
		b = binary.AppendUvarint(append(b, body.ID[:]...), uint64(body.Size))
		b = appendBytes(b, body.Handle)
	}
	return b
}

// rowReader takes rows apart. The first error sticks.
type rowReader struct {
	b   []byte
	err error
}

func (r *rowReader) fail() {
	if r.err == nil {
		r.err = damaged("a row that is none")
	}
	r.b = nil
}

func (r *rowReader) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > most {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *rowReader) take(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *rowReader) bytes() []byte { return r.take(int(r.uvarint(maxName))) }

// row reads the next row. Its slices are those of the reader's bytes.
func (r *rowReader) row(rest func(*Body)) (Row, error) {
	x := Row{Key: r.bytes(), Value: r.bytes()}
	n := r.uvarint(maxBodies)
	for ; n > 0 && r.err == nil; n-- {
		var body Body
		copy(body.ID[:], r.take(len(body.ID)))
		body.Size = int64(r.uvarint(maxBody))
		rest(&body)
		x.Bodies = append(x.Bodies, body)
	}
	return x, r.err
}

// backedUp reads a row as appendRow has written it.
func (r *rowReader) backedUp() (Row, error) {
	return r.row(func(body *Body) {
		for n := runs(body.Size); n > 0 && r.err == nil; n-- {
			x := run{pack: uint32(r.uvarint(1<<32 - 1)), offset: uint32(r.uvarint(maxPack))}
			if sum := r.take(4); sum != nil {
				x.crc = binary.LittleEndian.Uint32(sum)
			}
			body.runs = append(body.runs, x)
		}
	})
}

// spooled reads a row as appendSpooled has written it.
func (r *rowReader) spooled() (Row, error) {
	return r.row(func(body *Body) { body.Handle = r.bytes() })
}

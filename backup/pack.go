package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path"
)

// A pack: runs back to back, an index of them, and a trailer. Integers are little
// endian.
//
//	 0  'tdkvsPCK'            8 bytes
//	 8  version = 1           4
//	12  0                     4
//	16  runs, back to back
//	    index, for each run:  id 16, run 4, offset 4, length 4, CRC32C 4
//	    trailer:              offset of the index 4, number of runs 4,
//	                          CRC32C of the index 4, CRC32C of these 12 bytes 4,
//	                          'tdkvsEND' 8
const (
	packMagic   = "tdkvsPCK"
	packEnd     = "tdkvsEND"
	packHeader  = 16
	indexRowLen = 32
	trailerLen  = 24
	maxPackRuns = 64 << 10
)

// runID names a run of a body.
type runID struct {
	id ID
	n  uint32
}

// indexed is a run in the index of a pack.
type indexed struct {
	runID
	offset, length, crc uint32
}

// packBuilder gathers runs.
type packBuilder struct {
	b    []byte
	runs []indexed
}

// newPackBuilder begins a pack in a buffer that may be used again.
func newPackBuilder(b []byte) *packBuilder {
	b = append(b[:0], packMagic...)
	b = binary.LittleEndian.AppendUint32(b, Format)
	return &packBuilder{b: binary.LittleEndian.AppendUint32(b, 0)}
}

// add appends a run.
func (p *packBuilder) add(id runID, content []byte) indexed {
	x := indexed{runID: id, offset: uint32(len(p.b)), length: uint32(len(content)), crc: castagnoli(content)}
	p.b = append(p.b, content...)
	p.runs = append(p.runs, x)
	return x
}

// full reports that no more runs should be added.
func (p *packBuilder) full() bool { return len(p.b) >= packSealed || len(p.runs) >= maxPackRuns }

// seal returns the whole pack.
func (p *packBuilder) seal() []byte {
	at := len(p.b)
	for _, x := range p.runs {
		p.b = append(p.b, x.id[:]...)
		for _, v := range []uint32{x.n, x.offset, x.length, x.crc} {
			p.b = binary.LittleEndian.AppendUint32(p.b, v)
		}
	}
	sum := castagnoli(p.b[at:])
	trailer := len(p.b)
	for _, v := range []uint32{uint32(at), uint32(len(p.runs)), sum} {
		p.b = binary.LittleEndian.AppendUint32(p.b, v)
	}
	p.b = binary.LittleEndian.AppendUint32(p.b, castagnoli(p.b[trailer:]))
	p.b = append(p.b, packEnd...)
	return p.b
}

// packName is where a pack of this sum is.
func packName(sum [sha256.Size]byte) string {
	name := hex.EncodeToString(sum[:])
	return path.Join("packs", name[:2], name)
}

// parsePackName inverts packName.
func parsePackName(name string) (sum [sha256.Size]byte, ok bool) {
	b, err := hex.DecodeString(path.Base(name))
	if err != nil || len(b) != len(sum) {
		return sum, false
	}
	copy(sum[:], b)
	return sum, packName(sum) == name
}

// trailer is the end of a pack.
type trailer struct {
	index, runs, sum uint32
}

// readTrailer reads the last bytes of a pack of a size.
func readTrailer(b []byte, size int64) (t trailer, err error) {
	if len(b) != trailerLen || string(b[16:]) != packEnd || castagnoli(b[:12]) != binary.LittleEndian.Uint32(b[12:]) {
		return t, damaged("the end of a pack is not that of one")
	}
	t = trailer{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])}
	if int64(t.index) < packHeader || t.runs > maxPackRuns || int64(t.index)+int64(t.runs)*indexRowLen+trailerLen != size {
		return t, damaged("the index of a pack is not where it should be")
	}
	return t, nil
}

// readIndex reads the index of a pack.
func readIndex(b []byte, t trailer) ([]indexed, error) {
	if len(b) != int(t.runs)*indexRowLen || castagnoli(b) != t.sum {
		return nil, damaged("the checksum of the index of a pack is wrong")
	}
	all := make([]indexed, 0, t.runs)
	for ; len(b) > 0; b = b[indexRowLen:] {
		var x indexed
		copy(x.id[:], b)
		x.n, x.offset = binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[20:])
		x.length, x.crc = binary.LittleEndian.Uint32(b[24:]), binary.LittleEndian.Uint32(b[28:])
		if x.offset < packHeader || uint64(x.offset)+uint64(x.length) > uint64(t.index) || x.length > runLen {
			return nil, damaged("a run of a pack is outside of it")
		}
		all = append(all, x)
	}
	return all, nil
}

// checkPack checks a whole pack, every run of it, and returns its index.
func checkPack(b []byte, sum [sha256.Size]byte) ([]indexed, error) {
	if sha256.Sum256(b) != sum {
		return nil, damaged("pack %x is not what its name says", sum[:8])
	}
	if err := checkPackHeader(b); err != nil {
		return nil, err
	}
	if len(b) < packHeader+trailerLen {
		return nil, damaged("a pack of %d bytes", len(b))
	}
	t, err := readTrailer(b[len(b)-trailerLen:], int64(len(b)))
	if err != nil {
		return nil, err
	}
	index, err := readIndex(b[t.index:len(b)-trailerLen], t)
	if err != nil {
		return nil, err
	}
	for _, x := range index {
		if castagnoli(b[x.offset:x.offset+x.length]) != x.crc {
			return nil, damaged("run %d of %x in pack %x", x.n, x.id, sum[:8])
		}
	}
	return index, nil
}

func checkPackHeader(b []byte) error { return checkHeader(b, packMagic) }

// checkHeader checks what a file begins with.
func checkHeader(b []byte, magic string) error {
	if len(b) < packHeader || string(b[:8]) != magic {
		return damaged("a file does not begin as %s", magic)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != Format {
		if v > Format {
			return fmt.Errorf("%w: %s of format %d", ErrNewer, magic, v)
		}
		return damaged("%s of format %d", magic, v)
	}
	return nil
}

// appendHeader begins a file.
func appendHeader(b []byte, magic string, number int) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, magic...), Format)
	return binary.LittleEndian.AppendUint32(b, uint32(number))
}

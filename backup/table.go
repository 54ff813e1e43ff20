package backup

import (
	"crypto/sha256"
	"encoding/binary"
)

// The packs that a backup refers to: a header as that of a pack, 'tdkvsTBL' and
// their number, and for each its SHA-256 (32 bytes), its size (4) and how many bytes
// of it the backup uses (8).
const (
	tableMagic  = "tdkvsTBL"
	tableRowLen = 44
)

// packRef is a pack that a backup refers to.
type packRef struct {
	sum  [sha256.Size]byte
	size uint32
	used uint64
}

func sealTable(packs []packRef) []byte {
	b := appendHeader(make([]byte, 0, packHeader+len(packs)*tableRowLen), tableMagic, len(packs))
	for _, p := range packs {
		b = binary.LittleEndian.AppendUint32(append(b, p.sum[:]...), p.size)
		b = binary.LittleEndian.AppendUint64(b, p.used)
	}
	return b
}

func openTable(b []byte) ([]packRef, error) {
	if err := checkHeader(b, tableMagic); err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(b[12:]))
	if b = b[packHeader:]; int64(len(b)) != n*tableRowLen {
		return nil, damaged("a list of %d packs has %d bytes", n, len(b))
	}
	packs := make([]packRef, 0, n)
	for ; len(b) > 0; b = b[tableRowLen:] {
		p := packRef{size: binary.LittleEndian.Uint32(b[32:]), used: binary.LittleEndian.Uint64(b[36:])}
		copy(p.sum[:], b)
		packs = append(packs, p)
	}
	return packs, nil
}

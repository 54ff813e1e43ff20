package volume

import (
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// BlockCRC returns the checksum of one block of a payload: the CRC32C of the
// blob's id, the block's number as four bytes little-endian, and the data. The
// seed makes a block of another blob, or from another place in the same blob,
// as wrong as a flipped bit. The store keeps it on disk and the wire carries it
// unchanged.
func BlockCRC(id BlobID, index uint32, data []byte) uint32 {
	var seed [len(id) + 4]byte
	copy(seed[:], id[:])
	binary.LittleEndian.PutUint32(seed[len(id):], index)
	return crc32.Update(crc32.Update(0, castagnoli, seed[:]), castagnoli, data)
}

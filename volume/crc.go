package volume

import "hash/crc32"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// BlockCRC returns the checksum of one block of a payload: the CRC32C of the
// blob's id, the block's number as four bytes little-endian, and the data. The
// seed makes a block of another blob, or from another place in the same blob,
// as wrong as a flipped bit. The store keeps it on disk and the wire carries it
// unchanged.
func BlockCRC(id BlobID, index uint32, data []byte) uint32 {
	// Byte by byte: what is handed to package crc32 would be allocated.
	sum := ^uint32(0)
	for _, b := range id {
		sum = castagnoli[byte(sum)^b] ^ sum>>8
	}
	for range 4 {
		sum = castagnoli[byte(sum)^byte(index)] ^ sum>>8
		index >>= 8
	}
	return crc32.Update(^sum, castagnoli, data)
}

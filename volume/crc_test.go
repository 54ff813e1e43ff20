package volume_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"tdkvs/volume"
)

// TestBlockCRC computes the sum of a block as docs/formats.md has it.
func TestBlockCRC(t *testing.T) {
	t.Parallel()
	for i, id := range []volume.BlobID{{}, {1}, {15: 0xFF}, volume.BlobID(bytes.Repeat([]byte{0xA5}, 16))} {
		for _, index := range []uint32{0, 1, 0x01020304, 0xFFFFFFFF} {
			data := bytes.Repeat([]byte{byte(i)}, i*1000)
			whole := append(binary.LittleEndian.AppendUint32(id[:], index), data...)
			if got, want := volume.BlockCRC(id, index, data), crc32.Checksum(whole, crc32.MakeTable(crc32.Castagnoli)); got != want {
				t.Errorf("block %d of %s: %08x, want %08x", index, id, got, want)
			}
		}
	}
}

func TestBlockCRCAllocatesNothing(t *testing.T) {
	data := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() { volume.BlockCRC(volume.BlobID{1}, 2, data) }); n != 0 {
		t.Errorf("a sum makes %v allocations", n)
	}
}

package volume_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// TestNextBlock: the blocks of a range are its bytes, none reaches over the edge of a
// block, and whole ones bring the sum that the volume keeps of them.
func TestNextBlock(t *testing.T) {
	t.Parallel()
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	for i, size := range []int{0, 1, 4096, volume.BlockSize, volume.BlockSize + 1, 3*volume.BlockSize - 1, 2 << 20} {
		id, data := blob(i, size)
		mustPut(t, s, id, data)
		for _, span := range [][2]int{{0, size}, {0, size / 2}, {size / 3, size}, {size, size}, {max(0, size-1), size}} {
			from, to := span[0], span[1]
			r, err := s.Get(t.Context(), id, int64(from), int64(to-from))
			if err != nil {
				t.Fatal(err)
			}
			if from < to { // what was read so is not given again
				from++
				if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			checkBlocks(t, id, r.(volume.BlockReader), data[:to], from)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := r.(volume.BlockReader).NextBlock(); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("after Close: %v", err)
			}
		}
	}
}

func sizeOf(blocks []volume.Block) (n int) {
	for _, b := range blocks {
		n += len(b.Bytes)
	}
	return n
}

func checkBlocks(t *testing.T, id volume.BlobID, r volume.BlockReader, data []byte, at int) {
	t.Helper()
	var stays []volume.Block
	for first := at; ; {
		b, err := r.NextBlock()
		for _, was := range stays {
			if !bytes.HasPrefix(data[first:], was.Bytes) {
				t.Fatalf("the block at %d does not stay as it was", first)
			}
			first += len(was.Bytes)
		}
		if first -= sizeOf(stays); b.Stays {
			stays = append(stays, b)
		} else {
			stays, first = nil, at+len(b.Bytes)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || len(b.Bytes) == 0 || !bytes.HasPrefix(data[at:], b.Bytes) || at/volume.BlockSize != (at+len(b.Bytes)-1)/volume.BlockSize {
			t.Fatalf("%d bytes at %d of %d: %v", len(b.Bytes), at, len(data), err)
		}
		if b.Whole && (at%volume.BlockSize != 0 || b.Sum != volume.BlockCRC(id, uint32(at/volume.BlockSize), b.Bytes)) {
			t.Errorf("%d bytes at %d: not a whole block, or another sum", len(b.Bytes), at)
		}
		if !b.Whole && len(b.Bytes) == volume.BlockSize {
			t.Errorf("the block at %d is not known to be whole", at)
		}
		at += len(b.Bytes)
	}
	if at != len(data) {
		t.Errorf("%d of %d bytes", at, len(data))
	}
}

package volume

import (
	"bytes"
	"testing"
)

func TestMetadataID(t *testing.T) {
	t.Parallel()
	last := MetadataStart()
	for _, kind := range []MetadataKind{MetadataEntry, MetadataChunk} {
		for _, seq := range []uint64{0, 1, 255, 256, 1 << 40, MetadataSequences - 1} {
			for _, chunk := range []uint32{0, 1, 1<<32 - 1} {
				id := MetadataID(kind, seq, chunk)
				if k, s, c, ok := ParseMetadataID(id); k != kind || s != seq || c != chunk || !ok {
					t.Errorf("%d %d %d: %s parses as %d %d %d %v", kind, seq, chunk, id, k, s, c, ok)
				}
				if bytes.Compare(last[:], id[:]) >= 0 {
					t.Errorf("%s is not above %s", id, last)
				}
				last = id
			}
		}
	}
	for _, id := range []BlobID{{}, {0xFF, 0xFF, 0xFF, 0xFF}, {0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}} {
		if _, _, _, ok := ParseMetadataID(id); ok || id.Metadata() {
			t.Errorf("%s is taken for one of metadata", id)
		}
	}
}

package volumetest

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"tdkvs/volume"
)

// metadataIDs are in the order in which they are listed.
func metadataIDs() []volume.BlobID {
	return []volume.BlobID{
		volume.MetadataID(volume.MetadataEntry, 1, 0),
		volume.MetadataID(volume.MetadataEntry, 2, 0),
		volume.MetadataID(volume.MetadataEntry, volume.MetadataSequences-1, 0),
		volume.MetadataID(volume.MetadataChunk, 1, 0),
		volume.MetadataID(volume.MetadataChunk, 1, 1),
		volume.MetadataID(volume.MetadataChunk, 300, 1<<32-1),
	}
}

// ordinaryIDs are near the ids of metadata, and not of them.
func ordinaryIDs() []volume.BlobID {
	below := volume.BlobID{0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	near := volume.BlobID{0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}
	return []volume.BlobID{{1}, {0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 1}, near, below}
}

func (s *suite) putMetadata(t *testing.T) {
	t.Helper()
	for i, id := range ordinaryIDs() {
		s.put(t, id, payload(100+i))
	}
	for i, id := range metadataIDs() {
		s.put(t, id, payload(1000+i))
	}
}

// expectPages lists from an id on, in pages of each size.
func (s *suite) expectPages(t *testing.T, after volume.BlobID, want []volume.BlobID) {
	t.Helper()
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []volume.BlobID
		for from := after; ; {
			page, err := s.List(t.Context(), from, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, idsOf(page)...)
			from = page[len(page)-1].ID
		}
		if !slices.Equal(got, want) {
			t.Errorf("list after %s, %d at a time: %v, want %v", after, limit, got, want)
		}
	}
}

func testMetadata(t *testing.T, s *suite) {
	s.putMetadata(t)
	s.expectPages(t, volume.BlobID{}, ordinaryIDs())
	s.expectPages(t, ordinaryIDs()[2], ordinaryIDs()[3:])
	s.expectPages(t, volume.MetadataStart(), metadataIDs())
	s.expectPages(t, volume.MetadataID(volume.MetadataEntry, 2, 5), metadataIDs()[2:])

	status, err := s.Status(t.Context())
	want := volume.Held{Blobs: 6, Bytes: 6015}
	if err != nil || status.Metadata != want || status.Blobs != 4 || status.Bytes != 406 {
		t.Errorf("status %+v, %v; want %+v of metadata and 4 other blobs of 406 bytes", status, err, want)
	}
	id := metadataIDs()[1]
	s.expect(t, id, payload(1001))
	err = s.Put(t.Context(), id, 1, bytes.NewReader([]byte{0}), noDescriptor)
	if !errors.Is(err, volume.ErrExists) {
		t.Errorf("put of an id that is taken: %v", err)
	}
	if err := s.Delete(t.Context(), metadataIDs()[:2]); err != nil {
		t.Fatal(err)
	}
	s.expectPages(t, volume.MetadataStart(), metadataIDs()[2:])
	if status, err = s.Status(t.Context()); err != nil || status.Metadata.Blobs != 4 {
		t.Errorf("after a delete: %+v, %v", status.Metadata, err)
	}
}

func testMetadataReopen(t *testing.T, s *suite) {
	s.putMetadata(t)
	s.Blobs = s.Reopen(t, s.Blobs)
	s.expectPages(t, volume.BlobID{}, ordinaryIDs())
	s.expectPages(t, volume.MetadataStart(), metadataIDs())
}

package volume

import "encoding/binary"

// Ids of blobs that hold copies of the metadata are not random: they are in the order
// of what they hold, so that it is found without a look at all other blobs.
//
//	0         5      6                12             16
//	+---------+------+----------------+--------------+
//	| FF x 5  | kind | sequence u48   | chunk u32    |   big-endian
//	+---------+------+----------------+--------------+
//
// A volume treats them like any other, but counts and lists them apart.
const (
	metadataByte = 0xFF
	metadataLen  = 5 // bytes of the prefix

	// MetadataSequences is how many sequence numbers an id can tell apart.
	MetadataSequences = 1 << 48
)

// MetadataKind says what a metadata blob is.
type MetadataKind uint8

// The kinds. None is the kind of no blob: its id with the numbers 0 and 0 is below
// all others.
const (
	MetadataNone  MetadataKind = 0
	MetadataEntry MetadataKind = 1 // one commit
	MetadataChunk MetadataKind = 2 // a part of a snapshot
)

// MetadataID returns the id of a metadata blob. sequence is below MetadataSequences.
func MetadataID(kind MetadataKind, sequence uint64, chunk uint32) BlobID {
	var id BlobID
	binary.BigEndian.PutUint64(id[4:12], sequence&(MetadataSequences-1))
	binary.BigEndian.PutUint32(id[12:], chunk)
	for i := range metadataLen {
		id[i] = metadataByte
	}
	id[metadataLen] = byte(kind)
	return id
}

// MetadataStart is below the ids of all metadata blobs and above those of all others:
// a List after it gives the former.
func MetadataStart() BlobID { return MetadataID(MetadataNone, 0, 0) }

// Metadata reports that the id is one of those that MetadataID makes.
func (id BlobID) Metadata() bool {
	for _, b := range id[:metadataLen] {
		if b != metadataByte {
			return false
		}
	}
	return true
}

// ParseMetadataID inverts MetadataID; ok is false for any other id.
func ParseMetadataID(id BlobID) (kind MetadataKind, sequence uint64, chunk uint32, ok bool) {
	if !id.Metadata() {
		return 0, 0, 0, false
	}
	sequence = binary.BigEndian.Uint64(id[4:12]) & (MetadataSequences - 1)
	return MetadataKind(id[metadataLen]), sequence, binary.BigEndian.Uint32(id[12:]), true
}

// Held is how much of something a volume holds.
type Held struct {
	Blobs int64
	Bytes int64 // their payload bytes
}

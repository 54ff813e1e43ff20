package metadb

import (
	"math"
	"slices"
	"time"

	"tdkvs/master/meta"
)

// The manifest of an assembled object, as a .proto listing: an index (chunk 0)
// and from chunk 1 on the object's parts in order, with their offsets.
//
//	message ManifestIndex { repeated Chunk chunks = 1; }
//	message Chunk         { uint32 part = 1; uint64 offset = 2; }  // of its first part
//	message ManifestChunk { repeated Part parts = 1; }
//
// The marker of a completed upload: the object it made, without attributes.
//
//	message Completed { bytes bucket = 1; bytes key = 2; Object object = 3; int64 completed_ms = 4; }

// MaxChunkParts bounds the parts in one chunk of a manifest; a chunk also stays
// within meta.MaxRecordPayload, whatever number of copies its extents may come to
// have.
const MaxChunkParts = 1000

// pieceLen is the most that a piece adds to a record, in bytes.
const pieceLen = 28

// growth is how much longer the record of a part can become, in bytes, when
// copies are added to its extents.
func growth(p *meta.Part) int {
	n := 0
	for _, x := range p.Extents {
		if x.Code == (meta.Code{}) {
			n += max(0, meta.MaxReplicas-len(x.Pieces)) * pieceLen
		}
	}
	return n
}

// ChunkStart is where a manifest chunk begins.
type ChunkStart struct {
	Part   int   // number of its first part
	Offset int64 // of that part in the object, in bytes
}

// ManifestIndex leads to the chunks of a manifest: Chunks[i] describes chunk
// i+1.
type ManifestIndex struct{ Chunks []ChunkStart }

// ForOffset returns the chunk (from 1) that holds the byte at offset, which must
// lie within the object; 0 when there is no chunk.
func (x ManifestIndex) ForOffset(offset int64) uint32 {
	i, found := slices.BinarySearchFunc(x.Chunks, offset, func(c ChunkStart, offset int64) int {
		return compare(c.Offset, offset)
	})
	if found {
		// Parts of no bytes share their offset with the part behind them.
		for i+1 < len(x.Chunks) && x.Chunks[i+1].Offset == offset {
			i++
		}
		return uint32(i + 1)
	}
	return uint32(i)
}

// ForPart returns the chunk (from 1) in which a part of this number lies or
// would lie; 0 when there is no chunk.
func (x ManifestIndex) ForPart(number int) uint32 {
	i, found := slices.BinarySearchFunc(x.Chunks, number, func(c ChunkStart, number int) int {
		return compare(int64(c.Part), int64(number))
	})
	if found || (i == 0 && len(x.Chunks) > 0) {
		return uint32(i + 1)
	}
	return uint32(i)
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// MarshalManifestIndex encodes chunk 0 of a manifest.
func MarshalManifestIndex(x ManifestIndex) ([]byte, error) {
	e := newRecord(16 * (1 + len(x.Chunks)))
	for _, c := range x.Chunks {
		at := e.open(1)
		e.int(1, int64(c.Part))
		e.int(2, c.Offset)
		e.close(at)
	}
	return e.record("manifest index")
}

// UnmarshalManifestIndex decodes chunk 0 of a manifest.
func UnmarshalManifestIndex(b []byte) (ManifestIndex, error) {
	var x ManifestIndex
	d := openRecord(b)
	for d.next() {
		if d.num != 1 {
			continue
		}
		var c ChunkStart
		sub := d.message()
		for sub.next() {
			switch sub.num {
			case 1:
				c.Part = int(sub.uintMax(math.MaxUint16))
			case 2:
				c.Offset = sub.size()
			}
		}
		d.end(&sub)
		x.Chunks = append(x.Chunks, c)
	}
	return x, d.err
}

// MarshalManifestChunk encodes as many of parts, from the first on, as one chunk
// holds, and returns how many those are: at least one, unless the first alone is
// KindMetadataTooLarge.
func MarshalManifestChunk(parts []meta.Part) (row []byte, n int, err error) {
	e := newRecord(160 * min(len(parts), MaxChunkParts))
	grown := 0
	for n < len(parts) && n < MaxChunkParts {
		before := len(e.b)
		at := e.open(1)
		e.part(&parts[n])
		e.close(at)
		grown += growth(&parts[n])
		if len(e.b)+grown > meta.MaxRecordPayload && n > 0 {
			e.b = e.b[:before]
			break
		}
		n++
	}
	row, err = e.record("manifest chunk")
	return row, n, err
}

// MarshalManifestRow encodes the parts of a chunk that exists, whose pieces have
// changed places. Their number stays, so the chunk may grow beyond the limit that
// new ones keep to, by a few bytes a part.
func MarshalManifestRow(parts []meta.Part) ([]byte, error) {
	e := newRecord(160 * len(parts))
	for i := range parts {
		at := e.open(1)
		e.part(&parts[i])
		e.close(at)
	}
	if len(e.b) > MaxValue {
		return e.record("manifest chunk")
	}
	return e.b, nil
}

// UnmarshalManifestChunk decodes a chunk of a manifest.
func UnmarshalManifestChunk(b []byte) ([]meta.Part, error) {
	var parts []meta.Part
	d := openRecord(b)
	for d.next() {
		if d.num != 1 {
			continue
		}
		var p meta.Part
		sub := d.message()
		sub.part(&p)
		d.end(&sub)
		parts = append(parts, p)
	}
	return parts, d.err
}

// Completed marks an upload that was completed, so that completing it twice can
// give the same answer.
type Completed struct {
	Object    meta.Object // bucket, key and what a listing shows; no attributes
	Completed time.Time
}

// MarshalCompleted encodes the marker of a completed upload.
func MarshalCompleted(c *Completed) ([]byte, error) {
	e := newRecord(256)
	e.str(1, c.Object.Bucket)
	e.str(2, c.Object.Key)
	at := e.open(3)
	e.object(&c.Object)
	e.close(at)
	e.time(4, c.Completed)
	return e.record("completed upload")
}

// UnmarshalCompleted decodes the marker of a completed upload.
func UnmarshalCompleted(b []byte) (Completed, error) {
	var c Completed
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			c.Object.Bucket = d.str()
		case 2:
			c.Object.Key = d.str()
		case 3:
			sub := d.message()
			sub.object(&c.Object)
			d.end(&sub)
		case 4:
			c.Completed = d.time()
		}
	}
	return c, d.err
}

package metadb

import (
	"math"
	"time"

	"tdkvs/master/meta"
)

// GarbageKind says what a garbage entry gives up.
type GarbageKind uint8

// The kinds of garbage. Their numbers are on disk.
const (
	// GarbageBlobs: the pieces named in the entry.
	GarbageBlobs GarbageKind = 1
	// GarbageUpload: the parts of an upload that has ended, with their rows, but
	// for the parts of Manifest, and its manifests but for Manifest. An empty
	// Manifest keeps nothing.
	GarbageUpload GarbageKind = 2
	// GarbageManifest: the rows of Manifest and the blobs they name: an
	// assembled object that was replaced or deleted.
	GarbageManifest GarbageKind = 3
	// GarbageCompleted: the marker of a completed upload.
	GarbageCompleted GarbageKind = 4
	// GarbageIntent: pieces that are being made to take the place of others. The
	// entry goes when they are recorded; it is found only if they were not.
	GarbageIntent GarbageKind = 5
	// GarbageLeftovers: pieces that nothing named when they were found, which a
	// crash has left. Whether something names them is looked at again before they
	// are removed.
	GarbageLeftovers GarbageKind = 6
)

// NamesBlobs reports whether the entry gives up the pieces that it names.
func (k GarbageKind) NamesBlobs() bool {
	return k == GarbageBlobs || k == GarbageIntent || k == GarbageLeftovers
}

// Garbage is one entry of the queue of what is to be removed. One entry may
// stand for many blobs; the worker expands it in bounded steps.
//
//	message Garbage {
//	  uint32 kind      = 1;
//	  int64  queued_ms = 2;
//	  repeated Piece pieces = 3;
//	  bytes  upload_id = 4;
//	  bytes  manifest  = 5;
//	  uint32 attempts  = 6;  // failed so far: sets the delay until the next
//	}
type Garbage struct {
	Kind     GarbageKind
	Queued   time.Time
	Pieces   []meta.Piece
	UploadID string
	Manifest string
	Attempts int
}

// MarshalGarbage encodes a garbage entry.
func MarshalGarbage(g *Garbage) ([]byte, error) {
	e := newRecord(48 + 32*len(g.Pieces))
	e.uint(1, uint64(g.Kind))
	e.time(2, g.Queued)
	e.pieces(3, g.Pieces)
	e.str(4, g.UploadID)
	e.str(5, g.Manifest)
	e.int(6, int64(g.Attempts))
	return e.record("garbage")
}

// UnmarshalGarbage decodes a garbage entry.
func UnmarshalGarbage(b []byte) (Garbage, error) {
	var g Garbage
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			g.Kind = GarbageKind(d.uintMax(math.MaxUint8))
		case 2:
			g.Queued = d.time()
		case 3:
			g.Pieces = append(g.Pieces, d.piece())
		case 4:
			g.UploadID = d.str()
		case 5:
			g.Manifest = d.str()
		case 6:
			g.Attempts = int(d.uintMax(math.MaxInt32))
		}
	}
	return g, d.err
}

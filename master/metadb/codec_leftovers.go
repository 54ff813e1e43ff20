package metadb

import (
	"time"

	"tdkvs/master/meta"
)

// Leftovers is what is known of blobs that nothing names, as the writes leave them
// that were under way when a process was killed: when that may have been, and how
// far the look for them is.
//
//	message Leftovers {
//	  int64  alive_ms  = 1;
//	  bool   clean     = 2;
//	  int64  unsure_ms = 3;
//	  int64  from_ms   = 4;
//	  int64  until_ms  = 5;
//	  repeated Piece volumes = 6;
//	  int64  looked_ms = 7;
//	  uint64 found     = 8;
//	  uint64 bytes     = 9;
//	  uint64 excess    = 10;
//	  uint64 asked     = 11;
//	  repeated Piece returned = 12;
//	  uint64 awaited   = 13;
//	  int64  again_ms  = 14;
//	}
type Leftovers struct {
	Alive  time.Time // when a process was last known to write, give or take a while
	Clean  bool      // it has ended with no write under way
	Unsure time.Time // of the first write of which it did not learn how it ended; zero: none

	// The look: over blobs that were created between two times, or before the second
	// where the first is zero, on the volumes that are left to be looked over.
	From, Until time.Time
	Volumes     []meta.Piece // each with the blob behind which to go on; zero: at the first
	Looked      time.Time    // when the last look ended
	Again       time.Time    // when the second round of the look is due, or was; zero: the first has not ended, or both have
	Found       uint64       // blobs that nothing names, by the last look or so far
	Bytes       uint64       // of these
	Excess      uint64       // blobs that nothing names and that stay, as they are more than a crash leaves; at least so many
	Asked       uint64       // times that a lost volume came back, which adds to Volumes
	Returned    []meta.Piece // volumes among those of the look that were lost; nothing but the volume is set
	Awaited     uint64       // of Found, what was on these
}

// MarshalLeftovers encodes what is known of leftovers.
func MarshalLeftovers(l *Leftovers) ([]byte, error) {
	e := newRecord(64 + 32*len(l.Volumes))
	e.time(1, l.Alive)
	e.bool(2, l.Clean)
	e.time(3, l.Unsure)
	e.time(4, l.From)
	e.time(5, l.Until)
	e.pieces(6, l.Volumes)
	e.time(7, l.Looked)
	e.uint(8, l.Found)
	e.uint(9, l.Bytes)
	e.uint(10, l.Excess)
	e.uint(11, l.Asked)
	e.pieces(12, l.Returned)
	e.uint(13, l.Awaited)
	e.time(14, l.Again)
	return e.record("leftovers")
}

// UnmarshalLeftovers decodes what is known of leftovers.
func UnmarshalLeftovers(b []byte) (Leftovers, error) {
	var l Leftovers
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			l.Alive = d.time()
		case 2:
			l.Clean = d.bool()
		case 3:
			l.Unsure = d.time()
		case 4:
			l.From = d.time()
		case 5:
			l.Until = d.time()
		case 6:
			l.Volumes = append(l.Volumes, d.piece())
		case 7:
			l.Looked = d.time()
		case 8:
			l.Found = d.uint()
		case 9:
			l.Bytes = d.uint()
		case 10:
			l.Excess = d.uint()
		case 11:
			l.Asked = d.uint()
		case 12:
			l.Returned = append(l.Returned, d.piece())
		case 13:
			l.Awaited = d.uint()
		case 14:
			l.Again = d.time()
		}
	}
	return l, d.err
}

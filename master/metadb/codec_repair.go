package metadb

import (
	"math"
	"time"

	"tdkvs/master/meta"
)

// Repair asks that the pieces of an extent be compared with those that there
// should be, and made so. It names the extent of one version of an object, of one
// of its parts, or of a part of an upload in progress. What it names may be gone
// or changed by the time that it is looked at: there is nothing to be done then.
//
//	message Repair {
//	  bytes  bucket     = 1;
//	  bytes  key        = 2;
//	  uint64 seq        = 3;  // of the version
//	  bytes  upload_id  = 4;  // of a part
//	  uint32 part       = 5;  //   "
//	  repeated Piece suspects = 6;
//	  int64  queued_ms  = 7;
//	  uint32 attempts   = 8;
//	}
type Repair struct {
	Bucket   string
	Key      string
	Seq      uint64
	UploadID string       // of a part: that which it was uploaded by
	Part     int          // its number; 0: the version was written in one piece
	Suspects []meta.Piece // found bad or missing by whoever asks; to be verified first
	Queued   time.Time
	Attempts int // that have failed so far: sets the delay until the next
}

// MarshalRepair encodes an entry of the repair queue.
func MarshalRepair(r *Repair) ([]byte, error) {
	e := newRecord(64 + len(r.Key) + 32*len(r.Suspects))
	e.str(1, r.Bucket)
	e.str(2, r.Key)
	e.uint(3, r.Seq)
	e.str(4, r.UploadID)
	e.int(5, int64(r.Part))
	e.pieces(6, r.Suspects)
	e.time(7, r.Queued)
	e.int(8, int64(r.Attempts))
	return e.record("repair")
}

// UnmarshalRepair decodes an entry of the repair queue.
func UnmarshalRepair(b []byte) (Repair, error) {
	var r Repair
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			r.Bucket = d.str()
		case 2:
			r.Key = d.str()
		case 3:
			r.Seq = d.uint()
		case 4:
			r.UploadID = d.str()
		case 5:
			r.Part = int(d.uintMax(math.MaxUint16))
		case 6:
			r.Suspects = append(r.Suspects, d.piece())
		case 7:
			r.Queued = d.time()
		case 8:
			r.Attempts = int(d.uintMax(math.MaxInt32))
		}
	}
	return r, d.err
}

// Damage records that an extent can not be read and not be restored: too few of
// its pieces are left. What is named by it stays as it is, in case a volume comes
// back with what it held.
//
//	message Damage { int64 found_ms = 1; bytes cause = 2; bytes version_id = 3; uint64 size = 4; }
type Damage struct {
	Found     time.Time
	Cause     string
	VersionID string
	Size      int64 // bytes that are lost
}

// MarshalDamage encodes a record of damage.
func MarshalDamage(x *Damage) ([]byte, error) {
	e := newRecord(64 + len(x.Cause))
	e.time(1, x.Found)
	e.str(2, x.Cause)
	e.str(3, x.VersionID)
	e.int(4, x.Size)
	return e.record("damage")
}

// UnmarshalDamage decodes a record of damage.
func UnmarshalDamage(b []byte) (Damage, error) {
	var x Damage
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			x.Found = d.time()
		case 2:
			x.Cause = d.str()
		case 3:
			x.VersionID = d.str()
		case 4:
			x.Size = d.size()
		}
	}
	return x, d.err
}

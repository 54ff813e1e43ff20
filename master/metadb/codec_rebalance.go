package metadb

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"tdkvs/master/meta"
)

// Rebalance is the state of the work that brings every piece to where the
// topology places it. It goes over all rows in passes, until one finds nothing
// left to do; Cursor is where the pass stands.
//
//	message Rebalance {
//	  uint64 epoch       = 1;  // of the topology that it works towards
//	  bool   active      = 2;
//	  bool   paused      = 3;
//	  uint32 pass        = 4;  // from 1
//	  bytes  cursor      = 5;  // empty: at the start of the pass
//	  bool   again       = 6;  // another pass must follow this one
//	  uint64 scanned     = 7;  // extents looked at in this pass
//	  uint64 moved       = 8;  // pieces moved, in all passes
//	  uint64 moved_bytes = 9;
//	  uint64 failed      = 10; // attempts that failed, in all passes
//	  int64  started_ms  = 11;
//	  int64  finished_ms = 12;
//	  uint32 concurrency = 13; // pieces moved at the same time; 0: the default
//	  uint64 rate        = 14; // bytes per second; 0: no limit
//	  bytes  last_error  = 15; // of the last pass with failures; empty once one had none
//	  uint64 short       = 16; // extents seen in this pass for whose pieces there are too few volumes
//	  uint64 repaired    = 17; // pieces made in place of ones that were not there, ever
//	  repeated Stuck stuck = 18;     // as the last pass under this topology has found it
//	  repeated Stuck stuck_now = 19; // as far as this pass has come
//	}
//	message Stuck { uint32 volume = 1; uint64 damaged = 2; uint64 parts = 3; uint64 short = 4; }
type Rebalance struct {
	Epoch       uint64
	Active      bool
	Paused      bool
	Pass        int
	Cursor      []byte
	Again       bool
	Scanned     uint64
	Moved       uint64
	MovedBytes  uint64
	Failed      uint64
	Started     time.Time
	Finished    time.Time
	Concurrency int
	Rate        int64
	LastError   string
	Short       uint64
	Repaired    uint64
	Stuck       []Stuck
	StuckNow    []Stuck
}

// Stuck counts the extents that have to stay on a volume that is to leave.
type Stuck struct {
	Volume  meta.VolumeID
	Damaged uint64 // can not be read and can not be restored
	Parts   uint64 // the same, of uploads in progress
	Short   uint64 // there are too few volumes to hold their pieces
}

// MarshalRebalance encodes the state of the rebalance.
func MarshalRebalance(r *Rebalance) ([]byte, error) {
	e := newRecord(128 + len(r.Cursor))
	e.uint(1, r.Epoch)
	e.bool(2, r.Active)
	e.bool(3, r.Paused)
	e.int(4, int64(r.Pass))
	e.bytes(5, r.Cursor)
	e.bool(6, r.Again)
	e.uint(7, r.Scanned)
	e.uint(8, r.Moved)
	e.uint(9, r.MovedBytes)
	e.uint(10, r.Failed)
	e.time(11, r.Started)
	e.time(12, r.Finished)
	e.int(13, int64(r.Concurrency))
	e.int(14, r.Rate)
	e.str(15, r.LastError)
	e.uint(16, r.Short)
	e.uint(17, r.Repaired)
	e.stuck(18, r.Stuck)
	e.stuck(19, r.StuckNow)
	return e.record("rebalance")
}

// UnmarshalRebalance decodes the state of the rebalance.
func UnmarshalRebalance(b []byte) (Rebalance, error) {
	var r Rebalance
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			r.Epoch = d.uint()
		case 2:
			r.Active = d.bool()
		case 3:
			r.Paused = d.bool()
		case 4:
			r.Pass = int(d.uintMax(math.MaxInt32))
		case 5:
			r.Cursor = append([]byte(nil), d.bytes()...)
		case 6:
			r.Again = d.bool()
		case 7:
			r.Scanned = d.uint()
		case 8:
			r.Moved = d.uint()
		case 9:
			r.MovedBytes = d.uint()
		case 10:
			r.Failed = d.uint()
		case 11:
			r.Started = d.time()
		case 12:
			r.Finished = d.time()
		case 13:
			r.Concurrency = int(d.uintMax(math.MaxInt32))
		case 14:
			r.Rate = d.int()
		case 15:
			r.LastError = d.str()
		case 16:
			r.Short = d.uint()
		case 17:
			r.Repaired = d.uint()
		case 18:
			r.Stuck = append(r.Stuck, d.stuck())
		case 19:
			r.StuckNow = append(r.StuckNow, d.stuck())
		}
	}
	return r, d.err
}

func (e *encoder) stuck(num protowire.Number, all []Stuck) {
	for _, s := range all {
		at := e.open(num)
		e.uint(1, uint64(s.Volume))
		e.uint(2, s.Damaged)
		e.uint(3, s.Parts)
		e.uint(4, s.Short)
		e.close(at)
	}
}

func (d *decoder) stuck() Stuck {
	var s Stuck
	sub := d.message()
	for sub.next() {
		switch sub.num {
		case 1:
			s.Volume = meta.VolumeID(sub.uintMax(math.MaxUint32))
		case 2:
			s.Damaged = sub.uint()
		case 3:
			s.Parts = sub.uint()
		case 4:
			s.Short = sub.uint()
		}
	}
	d.end(&sub)
	return s
}

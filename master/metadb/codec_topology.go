package metadb

import (
	"math"
	"time"

	"tdkvs/master/meta"
)

// SchemaVersion is the version of the key schema that this program writes.
const SchemaVersion = 1

// Identity names the cluster that a metadata store belongs to.
//
//	message Identity { uint32 schema = 1; bytes cluster = 2; int64 created_ms = 3; }
type Identity struct {
	Schema  int
	Cluster string // UUID
	Created time.Time
}

// Topology is the volumes of a cluster and the slots that keys are placed on.
//
//	message Topology {
//	  uint64 version     = 1;  // rises with every change of this record
//	  uint64 epoch       = 2;  // rises with every change of the slots
//	  bytes  cluster     = 3;
//	  bool   ready       = 4;  // every volume has been claimed
//	  uint32 placement   = 5;  // version of the placement algorithm
//	  uint32 next_volume = 6;  // the number the next new volume gets
//	  repeated Volume volumes = 7;
//	  repeated Slot   slots   = 8;
//	  uint32 replicas    = 9;  // copies of each extent, where a bucket does not say; 0: 1
//	  uint32 replicas_configured = 10;  // what the configuration said when it was last applied
//	}
//	message Volume { uint32 number = 1; bytes uuid = 2; bytes name = 3; uint32 state = 4; bytes zone = 5; }
//	message Slot   { uint32 volume = 1; uint32 state = 2; }
type Topology struct {
	Version    uint64
	Epoch      uint64
	Cluster    string // UUID
	Ready      bool
	Placement  byte
	NextVolume meta.VolumeID
	Volumes    []Volume
	Slots      []Slot
	// Replicas is how many copies are kept of what lies in a bucket that does not
	// say. ReplicasConfigured is what the configuration said when it was last
	// applied: a change made while the store runs holds until the file changes.
	Replicas           int
	ReplicasConfigured int
}

// VolumeState says what part a volume has in the cluster. The numbers are on
// disk.
type VolumeState uint8

// The states. A removed volume stays in the topology, so that it is known again
// when it turns up: its number is not used a second time.
const (
	VolumeActive   VolumeState = 0 // its slots receive keys
	VolumeDraining VolumeState = 1 // what it holds is moving elsewhere
	VolumeRemoved  VolumeState = 2 // it holds nothing any more, and no slot
	VolumeLost     VolumeState = 3 // what it held is gone, and is made anew from elsewhere; it has no slot
)

// Member reports that the volume is part of the cluster: it may hold pieces.
func (s VolumeState) Member() bool { return s == VolumeActive || s == VolumeDraining }

// String returns the state in a word.
func (s VolumeState) String() string {
	switch s {
	case VolumeActive:
		return "active"
	case VolumeDraining:
		return "draining"
	case VolumeRemoved:
		return "removed"
	case VolumeLost:
		return "lost"
	}
	return "unknown"
}

// Volume is one volume of the topology.
type Volume struct {
	Number meta.VolumeID
	UUID   string
	Name   string // where it was last seen: a URL or a directory; a hint, not identity
	State  VolumeState
	Zone   string // what fails together with it; empty: nothing else does
}

// Slot is one placement slot. State is that of package placement.
type Slot struct {
	Volume meta.VolumeID
	State  uint8
}

// MarshalIdentity encodes the cluster's identity.
func MarshalIdentity(x Identity) ([]byte, error) {
	e := newRecord(64)
	e.int(1, int64(x.Schema))
	e.str(2, x.Cluster)
	e.time(3, x.Created)
	return e.record("identity")
}

// UnmarshalIdentity decodes the cluster's identity.
func UnmarshalIdentity(b []byte) (Identity, error) {
	var x Identity
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			x.Schema = int(d.uintMax(math.MaxInt32))
		case 2:
			x.Cluster = d.str()
		case 3:
			x.Created = d.time()
		}
	}
	return x, d.err
}

// MarshalTopology encodes the topology.
func MarshalTopology(t *Topology) ([]byte, error) {
	e := newRecord(64 + 96*len(t.Volumes) + 16*len(t.Slots))
	e.uint(1, t.Version)
	e.uint(2, t.Epoch)
	e.str(3, t.Cluster)
	e.bool(4, t.Ready)
	e.uint(5, uint64(t.Placement))
	e.uint(6, uint64(t.NextVolume))
	for _, v := range t.Volumes {
		at := e.open(7)
		e.uint(1, uint64(v.Number))
		e.str(2, v.UUID)
		e.str(3, v.Name)
		e.uint(4, uint64(v.State))
		e.str(5, v.Zone)
		e.close(at)
	}
	for _, s := range t.Slots {
		at := e.open(8)
		e.uint(1, uint64(s.Volume))
		e.uint(2, uint64(s.State))
		e.close(at)
	}
	e.int(9, int64(t.Replicas))
	e.int(10, int64(t.ReplicasConfigured))
	return e.record("topology")
}

// UnmarshalTopology decodes the topology.
func UnmarshalTopology(b []byte) (Topology, error) {
	var t Topology
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			t.Version = d.uint()
		case 2:
			t.Epoch = d.uint()
		case 3:
			t.Cluster = d.str()
		case 4:
			t.Ready = d.bool()
		case 5:
			t.Placement = byte(d.uintMax(math.MaxUint8))
		case 6:
			t.NextVolume = meta.VolumeID(d.uintMax(math.MaxUint32))
		case 7:
			t.Volumes = append(t.Volumes, d.volume())
		case 8:
			t.Slots = append(t.Slots, d.slot())
		case 9:
			t.Replicas = int(d.uintMax(meta.MaxReplicas))
		case 10:
			t.ReplicasConfigured = int(d.uintMax(meta.MaxReplicas))
		}
	}
	return t, d.err
}

func (d *decoder) volume() Volume {
	var v Volume
	sub := d.message()
	for sub.next() {
		switch sub.num {
		case 1:
			v.Number = meta.VolumeID(sub.uintMax(math.MaxUint32))
		case 2:
			v.UUID = sub.str()
		case 3:
			v.Name = sub.str()
		case 4:
			v.State = VolumeState(sub.uintMax(math.MaxUint8))
		case 5:
			v.Zone = sub.str()
		}
	}
	d.end(&sub)
	return v
}

func (d *decoder) slot() Slot {
	var s Slot
	sub := d.message()
	for sub.next() {
		switch sub.num {
		case 1:
			s.Volume = meta.VolumeID(sub.uintMax(math.MaxUint32))
		case 2:
			s.State = uint8(sub.uintMax(math.MaxUint8))
		}
	}
	d.end(&sub)
	return s
}

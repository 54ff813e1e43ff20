package master

import (
	"fmt"

	"tdkvs/master/erasure"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// Class is what a storage class means to the store.
type Class struct {
	// Code is that of the large objects in it: those of MinSize bytes or more.
	// Smaller ones are kept as copies, one more than the code has parity shards, so
	// that they survive the loss of as many volumes.
	Code    meta.Code
	MinSize int64
}

// redundancy is how an extent is to be kept: as copies, or as the shards of a
// code.
type redundancy struct {
	copies int
	code   meta.Code // zero: copies
}

// pieces is how many pieces an extent has when it is whole.
func (r redundancy) pieces() int {
	if r.code != (meta.Code{}) {
		return r.code.Shards()
	}
	return r.copies
}

// copies is how many copies the store keeps of what lies in a bucket, in a
// storage class, and is not coded.
func (e *Engine) copies(l *layout, b meta.Bucket, class string) int {
	n := max(1, l.topology.Replicas)
	if b.Replicas > 0 {
		n = b.Replicas
	}
	return max(n, e.classes[class].Code.Parity+1)
}

// redundancyOf is how an extent that there is should be kept: it keeps its code.
func (e *Engine) redundancyOf(l *layout, b meta.Bucket, class string, x meta.Extent) redundancy {
	return redundancy{copies: e.copies(l, b, class), code: x.Code}
}

// redundancyFor is how a new extent of size bytes (-1: not known) is to be kept.
func (e *Engine) redundancyFor(l *layout, b meta.Bucket, class string, size int64) redundancy {
	r := redundancy{copies: e.copies(l, b, class)}
	if c := e.classes[class]; c.Code != (meta.Code{}) && (size < 0 || size >= c.MinSize) {
		r.code = c.Code
	}
	return r
}

// pieceSize is the length of each piece of an extent, in bytes.
func pieceSize(x meta.Extent) int64 {
	if x.Code == (meta.Code{}) {
		return x.Size
	}
	return erasure.Scheme{Data: x.Code.Data, Parity: x.Code.Parity}.ShardSize(x.Size)
}

// enoughVolumes refuses classes with more shards than there are volumes, those
// that join counted. One that was lost counts as well: a store that has lost it
// must start, and keeps what it can until another comes.
func enoughVolumes(classes map[string]Class, t metadb.Topology, joining int) error {
	volumes := joining
	for _, v := range t.Volumes {
		if v.State != metadb.VolumeRemoved {
			volumes++
		}
	}
	for name, c := range classes {
		if c.Code.Shards() > volumes {
			return refuseChange("storage class %s: %d+%d needs %d volumes, and there are %d", className(name), c.Code.Data, c.Code.Parity, c.Code.Shards(), volumes)
		}
	}
	return nil
}

// className is a storage class as people know it.
func className(name string) string {
	if name == "" {
		return "STANDARD"
	}
	return name
}

// checkClasses refuses classes whose code is none.
func checkClasses(classes map[string]Class) error {
	for name, c := range classes {
		if err := (erasure.Scheme{Data: c.Code.Data, Parity: c.Code.Parity}).Validate(); err != nil {
			return fmt.Errorf("storage class %s: %w", name, err)
		}
		if c.Code.Parity >= meta.MaxReplicas {
			return fmt.Errorf("storage class %s: %d parity shards: want fewer than %d", name, c.Code.Parity, meta.MaxReplicas)
		}
	}
	return nil
}

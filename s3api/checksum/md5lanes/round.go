package md5lanes

import (
	"crypto/md5"
	"encoding"
	"encoding/binary"
	"errors"
	"hash"
	"slices"
)

// Lanes is how many streams are hashed side by side at most.
const Lanes = 8

// vectors are the four words of the state of each lane.
type vectors [4][Lanes]uint32

// kernel is a way to hash lanes side by side.
type kernel struct {
	// blocks hashes so many blocks of each lane into its state; nil: there is no way.
	blocks func(state *vectors, lanes *[Lanes]*byte, blocks int)
	// worthwhile is how many lanes must be in use: fewer are hashed as fast, or faster,
	// by crypto/md5, one after the other.
	worthwhile int
}

// digest is a hash of crypto/md5 that gives and takes its state.
type digest interface {
	hash.Hash
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// The state of a hash of crypto/md5 in binary: a name, the four words, the bytes
// of a block that is not full, and how many bytes there were. TestState pins it.
const (
	stateWords  = 4
	statePart   = stateWords + 16
	stateLength = statePart + md5.BlockSize
	stateSize   = stateLength + 8
	stateName   = "md5\x01"
)

var errState = errors.New("md5lanes: the state of a hash of crypto/md5 is not as expected")

// lane is what a round hashes of one stream.
type lane struct {
	hash  digest
	rest  []byte // that is not hashed yet; whole blocks of 64 bytes, but at a stream's end
	state [stateSize]byte
	err   error
}

// skip leaves n bytes out, which were hashed.
func (l *lane) skip(n int) {
	l.rest = l.rest[n:]
	length := l.state[stateLength:]
	binary.BigEndian.PutUint64(length, binary.BigEndian.Uint64(length)+uint64(n))
}

// load moves the state of the hash to a place among the vectors.
func (l *lane) load(v *vectors, at int) bool {
	b, err := l.hash.AppendBinary(l.state[:0])
	switch {
	case err != nil:
		l.err = err
	case len(b) != stateSize || string(b[:stateWords]) != stateName || binary.BigEndian.Uint64(b[stateLength:])%md5.BlockSize != 0:
		l.err = errState
	}
	for i := range v {
		v[i][at] = binary.BigEndian.Uint32(l.state[stateWords+4*i:])
	}
	return l.err == nil
}

// store moves the state back.
func (l *lane) store(v *vectors, at int) {
	for i := range v {
		binary.BigEndian.PutUint32(l.state[stateWords+4*i:], v[i][at])
	}
	l.err = l.hash.UnmarshalBinary(l.state[:])
}

// round is what is hashed together.
type round struct {
	streams [Lanes]*Stream
	blocks  [Lanes]*block // of each stream
	lanes   [Lanes]lane   // of each stream
	n       int           // streams

	state vectors
	in    [Lanes]bool  // the lane's state is in state
	data  [Lanes]*byte // where the lane goes on
}

// hash hashes all that the lanes have, as long as it pays side by side, and the
// rest one after the other. An error is in its lane.
func (r *round) hash(k kernel) {
	if k.blocks != nil && r.n >= k.worthwhile {
		r.sideBySide(k)
	}
	for i := range r.n {
		if r.lanes[i].err == nil {
			r.lanes[i].hash.Write(r.lanes[i].rest)
		}
	}
}

// sideBySide hashes whole blocks until too few lanes have any.
func (r *round) sideBySide(k kernel) {
	for i := range r.n {
		r.in[i] = r.lanes[i].load(&r.state, i)
	}
	for {
		used, blocks := r.align()
		for i := range r.n {
			if r.in[i] && (used < k.worthwhile || r.data[i] == nil) {
				r.lanes[i].store(&r.state, i)
				r.in[i] = false
			}
		}
		if used < k.worthwhile {
			return
		}
		some := r.data[slices.IndexFunc(r.data[:], func(p *byte) bool { return p != nil })]
		for i := range r.data {
			if r.data[i] == nil {
				r.data[i] = some // what comes of it is nobody's
			}
		}
		k.blocks(&r.state, &r.data, blocks)
		for i := range r.n {
			if r.in[i] {
				r.lanes[i].skip(blocks * md5.BlockSize)
			}
		}
	}
}

// align finds out where each lane goes on, how many do, and how many blocks all of
// these have.
func (r *round) align() (used, blocks int) {
	for i := range r.data {
		r.data[i] = nil
		if !r.in[i] {
			continue
		}
		rest := r.lanes[i].rest
		n := len(rest) / md5.BlockSize
		if n == 0 {
			continue
		}
		r.data[i] = &rest[0]
		if used++; used == 1 || n < blocks {
			blocks = n
		}
	}
	return used, blocks
}

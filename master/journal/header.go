package journal

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"tdkvs/volume"
)

// ErrBad says that bytes are no journal blob, or not the one that their id says.
var ErrBad = errors.New("journal: bad blob")

const (
	magic     = "TKJN"
	version   = 1
	headerLen = 96
	sumAt     = 88 // of the sum in the header

	flagLast = 1
)

// Cluster is the UUID of a cluster in its binary form.
type Cluster [16]byte

// ParseCluster reads the usual text form.
func ParseCluster(s string) (Cluster, error) {
	var c Cluster
	plain := strings.ReplaceAll(s, "-", "")
	if len(plain) != 2*len(c) {
		return c, fmt.Errorf("%w: cluster %q is no UUID", ErrBad, s)
	}
	if _, err := hex.Decode(c[:], []byte(plain)); err != nil {
		return c, fmt.Errorf("%w: cluster %q is no UUID", ErrBad, s)
	}
	return c, nil
}

// String is the usual text form.
func (c Cluster) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", c[:4], c[4:6], c[6:8], c[8:10], c[10:])
}

// Header says what a journal blob is. See the package comment for the layout.
type Header struct {
	Kind    volume.MetadataKind
	Last    bool // the last chunk of its snapshot
	Cluster Cluster
	Line    uint64    // when the history began, in ns since 1970
	Run     uint64    // when the master that wrote it was started, in ns since 1970
	Time    time.Time // when the commit was made
	Seq     uint64    // number of the commit
	Chunk   uint32
	Rows    uint64 // of an entry; of a snapshot up to the end of this chunk
	Bytes   uint64 // their length, encoded
	Prev    uint64 // sum of what came before
	Sum     uint64
}

// ID is the id of the blob.
func (h Header) ID() volume.BlobID { return volume.MetadataID(h.Kind, h.Seq, h.Chunk) }

// append adds the header; its sum is yet to be set.
func (h Header) append(b []byte) []byte {
	var flags uint16
	if h.Last {
		flags = flagLast
	}
	b = append(append(b, magic...), version, byte(h.Kind))
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = append(b, h.Cluster[:]...)
	b = binary.LittleEndian.AppendUint64(b, h.Line)
	b = binary.LittleEndian.AppendUint64(b, h.Run)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Time.UnixNano()))
	b = binary.LittleEndian.AppendUint64(b, h.Seq)
	b = binary.LittleEndian.AppendUint32(b, h.Chunk)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, h.Rows)
	b = binary.LittleEndian.AppendUint64(b, h.Bytes)
	b = binary.LittleEndian.AppendUint64(b, h.Prev)
	return binary.LittleEndian.AppendUint64(b, h.Sum)
}

// Mark is the header alone: a blob's descriptor, and what a commit is stored with.
func (h Header) Mark() []byte { return h.append(make([]byte, 0, headerLen)) }

// ParseHeader reads what Mark writes; what follows it is left alone.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < headerLen || string(b[:len(magic)]) != magic {
		return Header{}, fmt.Errorf("%w: no header", ErrBad)
	}
	if b[4] != version {
		return Header{}, fmt.Errorf("%w: format version %d, this program knows version %d: use the release that wrote it, or a later one", ErrBad, b[4], version)
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	h := Header{
		Kind: volume.MetadataKind(b[5]), Cluster: Cluster(b[8:24]), Line: u64(24), Run: u64(32),
		Time: time.Unix(0, int64(u64(40))).UTC(), Seq: u64(48), Chunk: binary.LittleEndian.Uint32(b[56:]),
		Rows: u64(64), Bytes: u64(72), Prev: u64(80), Sum: u64(sumAt),
	}
	flags := binary.LittleEndian.Uint16(b[6:])
	h.Last = flags == flagLast
	known := h.Kind == volume.MetadataEntry && flags == 0 && h.Chunk == 0 || h.Kind == volume.MetadataChunk && flags&^flagLast == 0
	if !known || h.Seq >= volume.MetadataSequences || binary.LittleEndian.Uint32(b[60:]) != 0 {
		return Header{}, fmt.Errorf("%w: header", ErrBad)
	}
	return h, nil
}

// seal sets the sum of a blob, header and rows.
func seal(b []byte) uint64 {
	sum := sumOf(b)
	binary.LittleEndian.PutUint64(b[sumAt:], sum)
	return sum
}

func sumOf(b []byte) uint64 {
	d := xxhash.New()
	_, _ = d.Write(b[:sumAt])
	_, _ = d.Write(b[headerLen:])
	return d.Sum64()
}

// parse checks a blob that was read under an id, and splits it.
func parse(id volume.BlobID, b []byte) (Header, []byte, error) {
	h, err := ParseHeader(b)
	switch {
	case err != nil:
		return h, nil, err
	case h.ID() != id:
		return h, nil, fmt.Errorf("%w: it says that it is %s, not %s", ErrBad, h.ID(), id)
	case sumOf(b) != h.Sum:
		return h, nil, fmt.Errorf("%w: %s: checksum", ErrBad, id)
	}
	return h, b[headerLen:], nil
}

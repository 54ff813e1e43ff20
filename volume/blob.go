package volume

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// BlockSize is the payload length that one CRC32C covers, in bytes. The last
// block of a blob may be shorter.
const BlockSize = 64 << 10

// MaxDescriptor bounds a blob's descriptor, in bytes.
const MaxDescriptor = 64 << 10

// BlobID names a blob. The caller chooses it at random and never reuses it. The
// zero id names none, and those that MetadataID makes are for metadata.
type BlobID [16]byte

// String returns the id as 32 hexadecimal digits.
func (id BlobID) String() string { return hex.EncodeToString(id[:]) }

// ParseBlobID reads the form that String writes.
func ParseBlobID(s string) (BlobID, error) {
	var id BlobID
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("blob id %q: want %d hexadecimal digits", s, 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, fmt.Errorf("blob id %q: %w", s, err)
	}
	return id, nil
}

// The errors of a store, tested with errors.Is. They cross the wire unchanged.
var (
	ErrNotFound    = errors.New("no such blob")
	ErrExists      = errors.New("blob exists")
	ErrCorrupt     = errors.New("stored bytes are corrupt")
	ErrReadOnly    = errors.New("volume is read-only")
	ErrNoSpace     = errors.New("volume is full: its disk reserve is reached")
	ErrWrongVolume = errors.New("not the volume that was expected")
	ErrLocked      = errors.New("volume directory is in use by another process")
	ErrUnavailable = errors.New("volume can not be reached")
	ErrDenied      = errors.New("volume refused the cluster secret")
	ErrInvalid     = errors.New("invalid request to volume")
)

// Descriptor returns the descriptor of a blob: opaque bytes, at most
// MaxDescriptor long, from which the caller can rebuild its metadata. Put calls
// it once, after the payload was read to io.EOF and before anything is durable;
// when it fails, nothing is stored.
type Descriptor func() ([]byte, error)

// Watched is what the body of a Put may be: it is told each time that the volume
// itself, and not only what lies on the way to it, is known to have taken more
// of it. A volume in the same process has no need to say so.
type Watched interface{ Taken() }

// Block is a run of verified bytes that lies within one block of a blob.
type Block struct {
	Bytes []byte
	Whole bool   // it is the whole block
	Sum   uint32 // of a whole one: its BlockCRC
	Stays bool   // the next call leaves the bytes valid, and finds its own without waiting
}

// BlockReader is what the reader of a Get may be: it gives the range block by block,
// without a copy. The bytes are valid until the next call, unless they stay; at the end
// it is io.EOF.
type BlockReader interface {
	NextBlock() (Block, error)
}

// Info is what a store knows of one blob.
type Info struct {
	ID         BlobID
	Size       int64 // payload bytes
	Created    time.Time
	Descriptor []byte // nil in a List
}

// Identity is what a volume directory says it is.
type Identity struct {
	Volume  string // UUID, made when the directory was first used
	Cluster string // UUID of the cluster that claimed it; empty: unclaimed
}

// Status is the state of a volume at one moment.
type Status struct {
	Identity
	Blobs        int64  // live blobs
	Bytes        int64  // their payload bytes
	Metadata     Held   // blobs with ids of MetadataID, which Blobs and Bytes leave out
	DeadBytes    int64  // bytes in segments that compaction can win back
	Capacity     uint64 // bytes of the file system
	Free         uint64 // bytes free on it
	Reserve      uint64 // bytes kept free
	Full         bool   // Free has reached Reserve: writes are refused
	ReadOnly     string // why the volume refuses writes for good; empty: it does not
	Syncs        uint64 // fsync calls since start
	Writes       uint64 // blobs and tombstones acknowledged since start
	Quarantined  int64  // records found corrupt and set aside
	CorruptReads uint64 // reads that failed verification since start
	Run          uint64 // names the start, at random: the numbers of Damaged are of it
	Damaged      uint64 // number of the newest finding of Damaged; 0: there was none
	Scrub        Scrub
}

// Damage is something that verification has found bad: in a scrub, in a read, or
// when the volume was opened.
type Damage struct {
	Seq   uint64 // in the order in which it was found, from 1 with each start of the volume
	Blob  BlobID // zero: it can not be told which blobs lie there
	Part  string // of the blob, or what lies there; for people
	Found time.Time
}

// Blobs is the contract of a blob store, kept alike by *Store in process and by
// *Client over the wire; package volumetest holds its conformance suite. All
// methods are safe for concurrent use.
type Blobs interface {
	// Put stores the payload of body, read to io.EOF, under id, durably: when
	// it returns nil the bytes survive a power cut. size is a hint in bytes,
	// -1 where unknown; where it is known and the body is of another length,
	// nothing is stored and the error wraps io.ErrUnexpectedEOF or ErrInvalid.
	// An error from body or from desc is returned (wrapped) and nothing is
	// stored. ErrExists when the id is taken.
	Put(ctx context.Context, id BlobID, size int64, body io.Reader, desc Descriptor) error

	// Get opens length bytes of a blob from offset; length -1 means to its
	// end. Every byte the reader returns has been verified; where a block is
	// bad, Read fails with ErrCorrupt before any byte of it, and so may Get
	// itself when the block is among the first of the range. A range outside
	// the blob is ErrInvalid. The blob stays readable until Close, even when it
	// is deleted meanwhile. The reader also implements io.WriterTo.
	Get(ctx context.Context, id BlobID, offset, length int64) (io.ReadCloser, error)

	// Open is Get and Stat at once: the range, and what the blob is. Where that can
	// not be verified it is ErrCorrupt, however good the bytes of the range are.
	Open(ctx context.Context, id BlobID, offset, length int64) (Info, io.ReadCloser, error)

	// Stat returns a blob's size, time and descriptor, verified.
	Stat(ctx context.Context, id BlobID) (Info, error)

	// Delete removes blobs durably. A blob that is not there is no error.
	Delete(ctx context.Context, ids []BlobID) error

	// List returns up to limit blobs with ids above after, in id order. Those of
	// metadata are left out, unless after itself lies among their ids.
	List(ctx context.Context, after BlobID, limit int) ([]Info, error)

	// Verify re-reads a whole blob and checks every block.
	Verify(ctx context.Context, id BlobID) error

	// Damaged returns up to limit findings with numbers above after, in order of
	// their numbers: what verification has found bad since the start that
	// Status.Run names. A blob is found once, and anew with a higher number where
	// that is an hour ago; a deleted one leaves. Only the newest few thousand are
	// remembered.
	Damaged(ctx context.Context, after uint64, limit int) ([]Damage, error)

	// Status reports identity, capacity and health.
	Status(ctx context.Context) (Status, error)

	// Claim binds an unclaimed volume to a cluster, durably. Claiming it again
	// for the same cluster is no error; for another it is ErrWrongVolume.
	Claim(ctx context.Context, cluster string) error
}

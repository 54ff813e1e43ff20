package volume

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tdkvs/volume/vfs"
)

// Limits of Config.
const (
	maxSmallLimit  = 8 << 20
	maxSegmentSize = 1 << 30
	maxSegmentRows = 512 << 10 // records after which a segment is sealed: bounds the footer to 20 MiB
)

// Config says where a store lies and how it behaves. FS and Dir are required;
// the zero value of every other field means its default.
type Config struct {
	FS  vfs.FS
	Dir string // made when it does not exist

	// ReadOnly opens a volume that there is, for reading: nothing in the directory is
	// changed, and what the start would mend or cut off is taken to be so. Writes are
	// refused with ErrReadOnly. Run must not be called.
	ReadOnly bool

	Logger *slog.Logger     // default slog.Default()
	Clock  func() time.Time // default time.Now; stamps blobs and ages the cached disk space

	// SmallLimit is the longest payload, in bytes, that is packed into a
	// segment; a longer blob becomes a file. Default 1 MiB, at most 8 MiB.
	SmallLimit int64
	// SegmentSize is where a segment is sealed, in bytes. Default 256 MiB, at
	// least 4 times the longest record, at most 1 GiB.
	SegmentSize int64
	// PreallocateStep is how much disk space the active segment takes at a
	// time, in bytes. Default 16 MiB.
	PreallocateStep int64

	// WriteOutStep is how much of a large blob is sent to the disk at a time while the
	// rest still arrives, in bytes, so that the sync at its end is short. Default 2 MiB.
	WriteOutStep int64

	// WriteBudget is the memory for payloads on their way in. Beyond it, and
	// beyond 80 KiB each, they are written block by block to files of their own,
	// also those that SmallLimit would pack. Default: one of DefaultBudget bytes.
	WriteBudget *Budget
	// ReadBudget is the memory for what is read ahead of those who read. Beyond
	// it, and beyond 80 KiB each, they read block by block. Default: one of
	// DefaultBudget bytes.
	ReadBudget *Budget

	// SyncAfter is how long a blob of PutUnsynced stays unsynced, about, where no other
	// write syncs it. Default 20 ms; negative: for ever.
	SyncAfter time.Duration

	// Reserve is the disk space kept free, in bytes: when it is reached, Put
	// fails with ErrNoSpace while Delete and compaction go on. Default 1 % of
	// the file system, at least 256 MiB, but never above 10 % of it; negative:
	// none.
	Reserve int64

	// CompactRatio is the share of dead bytes above which a sealed segment is
	// compacted. Default 0.4.
	CompactRatio float64
	// CompactBytesPerSecond bounds the reading of compaction. Default 64 MiB;
	// negative: no bound.
	CompactBytesPerSecond int64
	// ScrubPeriod is the time in which Run re-reads and verifies every blob once, at
	// 1 MiB per second or, where that does not do, as fast as it takes. Default 14
	// days; negative: it does not.
	ScrubPeriod time.Duration
	// ScrubBytesPerSecond, where it is not 0, is the rate of that instead, round
	// after round; negative: no bound.
	ScrubBytesPerSecond int64
}

// withDefaults fills the zero fields in and checks the rest.
func (c Config) withDefaults() (Config, error) {
	if c.FS == nil || c.Dir == "" {
		return c, errors.New("volume: Config needs FS and Dir")
	}
	if c.ReadOnly {
		c.FS = vfs.Frozen(c.FS)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.WriteBudget == nil {
		c.WriteBudget = NewBudget(DefaultBudget)
	}
	if c.ReadBudget == nil {
		c.ReadBudget = NewBudget(DefaultBudget)
	}
	setDefault(&c.SmallLimit, 1<<20)
	setDefault(&c.SegmentSize, 256<<20)
	setDefault(&c.PreallocateStep, 16<<20)
	setDefault(&c.WriteOutStep, 2<<20)
	setDefault(&c.SyncAfter, 20*time.Millisecond)
	setDefault(&c.CompactRatio, 0.4)
	setDefault(&c.CompactBytesPerSecond, 64<<20)
	setDefault(&c.ScrubPeriod, defaultScrubPeriod)
	switch {
	case c.SmallLimit < 0 || c.SmallLimit > maxSmallLimit:
		return c, fmt.Errorf("volume: SmallLimit %d: want at most %d", c.SmallLimit, maxSmallLimit)
	case c.SegmentSize < 4*recordLen(c.SmallLimit, MaxDescriptor) || c.SegmentSize > maxSegmentSize:
		return c, fmt.Errorf("volume: SegmentSize %d: want %d to %d", c.SegmentSize, 4*recordLen(c.SmallLimit, MaxDescriptor), maxSegmentSize)
	case c.PreallocateStep < 0:
		return c, fmt.Errorf("volume: PreallocateStep %d is negative", c.PreallocateStep)
	case c.WriteOutStep < 0:
		return c, fmt.Errorf("volume: WriteOutStep %d is negative", c.WriteOutStep)
	case c.CompactRatio < 0 || c.CompactRatio > 1:
		return c, fmt.Errorf("volume: CompactRatio %v: want 0 to 1", c.CompactRatio)
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

package badgerdb

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"tdkvs/master/metadb"
)

// DefaultReserve is the free disk space, in bytes, below which all writes but
// upkeep are refused. It covers what Badger may still write by itself: the
// memtables being flushed and the tables of a compaction. A volume on the same disk
// should keep a larger reserve, so that data runs out before metadata.
const DefaultReserve = 256 << 20

// defaultMemTable is the size of a memtable in bytes. There are at most three
// (one active, one being flushed, one queued), each held twice: as a skip list
// of about 1.3 times its size and as its mapped log.
const defaultMemTable = 12 << 20

// Options configure a store. The zero value is a good choice.
type Options struct {
	// Logger receives what Badger and the store have to say. Default: none.
	Logger *slog.Logger
	// Reserve is the free disk space in bytes at which writes are refused with
	// metadb.ErrNoSpace; upkeep (metadb.Upkeep) goes on until half of it is left,
	// and a little beyond. Default: DefaultReserve.
	Reserve uint64
	// FreeSpace reports what the file system that holds dir has left. Default:
	// statfs. Tests put their own disk here.
	FreeSpace func(dir string) (Room, error)
	// MemTableSize is the size of a memtable in bytes, at least 8 MiB, so that
	// the largest transaction fits. Default: 12 MiB.
	MemTableSize int64
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Reserve == 0 {
		o.Reserve = DefaultReserve
	}
	if o.FreeSpace == nil {
		o.FreeSpace = statfs
	}
	if o.MemTableSize == 0 {
		o.MemTableSize = defaultMemTable
	}
	return o
}

// badgerOptions tunes Badger for a small process: metadata records of some
// hundred bytes, by the million, in well under 200 MiB of resident memory.
func badgerOptions(dir string, o Options) badger.Options {
	b := badger.DefaultOptions(dir)
	b.SyncWrites = false // the log is synced by activeLog
	b.NumVersionsToKeep = 1
	b.DetectConflicts = false // the combiner is the only writer
	b.MetricsEnabled = false
	b.Logger = badgerLogger{o.Logger}

	b.MemTableSize = o.MemTableSize
	b.NumMemtables = 1
	b.BaseTableSize = 2 << 20
	b.NumCompactors = 2 // the fewest Badger accepts
	b.LmaxCompaction = true

	// Compressed blocks halve the mapped pages, which count as resident memory.
	b.Compression = options.ZSTD
	b.ZSTDCompressionLevel = 1
	b.BlockSize = 8 << 10
	b.BlockCacheSize = 16 << 20
	b.IndexCacheSize = 0 // indexes are read in place from the mapped tables
	b.ChecksumVerificationMode = options.OnBlockRead

	// Nothing goes to the value log; keep its file as small as Badger lets it be.
	b.ValueThreshold = 2 * metadb.MaxValue
	b.ValueLogFileSize = 1 << 20
	return b
}

// frugal is how Badger opens on a disk with next to no room: it compacts nothing.
func frugal(b badger.Options) badger.Options {
	b.NumCompactors = 0
	b.NumLevelZeroTablesStall = 1 << 20 // nobody would make room
	return b
}

// badgerLogger bridges Badger's log to slog. What Badger calls information is
// of use only to its developers, so it goes to the debug level.
type badgerLogger struct{ log *slog.Logger }

func (l badgerLogger) Errorf(format string, args ...any) {
	l.log.Error("badger: " + text(format, args))
}

func (l badgerLogger) Warningf(format string, args ...any) {
	l.log.Warn("badger: " + text(format, args))
}

func (l badgerLogger) Infof(format string, args ...any) {
	l.log.Debug("badger: " + text(format, args))
}

func (l badgerLogger) Debugf(string, ...any) {} // too many to be of use

func text(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}

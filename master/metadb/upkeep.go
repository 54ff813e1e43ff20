package metadb

import "context"

type upkeepKey struct{}

// Upkeep marks what an Update under ctx does as something that wins space back or
// keeps the store in order: deletions, and the work on garbage, repairs and moves.
// An engine lets it go on when its disk reserve is reached and other writes are
// refused, as long as a second, smaller reserve holds.
func Upkeep(ctx context.Context) context.Context { return context.WithValue(ctx, upkeepKey{}, true) }

// IsUpkeep reports whether Upkeep has marked ctx.
func IsUpkeep(ctx context.Context) bool { return ctx.Value(upkeepKey{}) != nil }

// Disk is what an engine says of the disk that it lies on.
type Disk struct {
	Free    uint64 // bytes; of the file system
	Total   uint64 // bytes; of the file system
	Reserve uint64 // bytes: with less free only upkeep is written
	Bytes   int64  // that the engine's files take, as last looked at
	State   DiskState
	// Reason says why State is not DiskRoomy, for people; empty where it is.
	Reason string
}

// DiskState is what an engine still writes.
type DiskState uint8

// The states of a disk, from good to bad.
const (
	DiskRoomy   DiskState = iota // everything, with room to spare
	DiskLow                      // everything, but the reserve comes near
	DiskFull                     // upkeep only: the reserve is reached
	DiskStuffed                  // a little upkeep, in room that was taken before
)

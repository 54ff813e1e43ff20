// Package badgerdb is the embedded metadb.DB: BadgerDB beneath a write combiner.
// Badger stores ordered, versioned keys; this package gives it serialisable
// transactions, shared durable commits, a disk reserve and refusal of what is
// corrupt. It knows nothing of what the keys mean.
//
// # The combiner
//
// One caller of Update at a time leads: he runs his closure and those that are
// queued, in order, over one snapshot plus what the batch has written so far, and
// commits the batch as one Badger transaction with one sync. Then the first of
// those that came meanwhile leads. All closures of a batch write to one tree; what
// one that fails has written is taken back from it. Before a batch begins those
// that are about to join it are let run, as long as others come; nobody is waited
// for, and a lone caller hands nothing over to anybody.
//
// Running in order makes transactions serialisable by construction. The combiner
// being the only writer, Badger's own conflict detection is off, and commit
// timestamps are handed out here (Badger's "managed" mode): a View reads at the
// newest durable timestamp and so never waits for a commit under way, and never
// sees one that failed.
//
// Each commit has the number after the one before, and sets one key of the engine
// itself to it (store.go): what is left of a commit that only deleted is nothing,
// once compacted, and no number is ever used twice.
//
// # What makes a commit durable
//
// As read in Badger 4.9's source, and seen with strace:
//
//   - Values below the value threshold, which here are all, live in the LSM tree.
//     A commit appends them to the write-ahead log of the active memtable
//     (NNNNN.mem, mapped into memory), which is synced here before the commit is
//     acknowledged (activeLog): on Linux fdatasync of a file writes what was changed
//     by way of any mapping, as msync does. Badger's own SyncWrites would sync the
//     value log as well, one after the other: nothing is ever written to that, and
//     yet the disk is asked to flush its cache once more for each commit.
//   - A full memtable is replaced before a transaction is written, never within
//     one, and each log is synced by the transactions written to it, so a
//     rotation leaves nothing unsynced behind. Badger makes the new log under the
//     number after the one before, so one look at that name tells of a rotation. It
//     does not sync the directory then. Ext4, XFS and Btrfs make a new file's
//     name durable together with its first sync; as POSIX promises no such
//     thing, the directory is synced here before a commit to a new log is
//     acknowledged.
//   - DB.Sync covers the active memtable only and is never used.
//   - A flushed table is msynced, then entered in MANIFEST, which is fsynced,
//     and only then the log is removed. The table's name relies on the file
//     system as above. Compaction syncs the directory itself.
//   - After a crash a log is replayed up to its first invalid record. A log of
//     no length, which a crash while it was made or removed can leave, would keep
//     Badger from opening and is removed before (removeUnmade).
//
// # What Badger would pass over
//
// Badger drops what follows an invalid record of a log or of MANIFEST, leaves
// out a table whose checksum is wrong, ends an iterator at a bad block without
// an error, and carries that into compaction. Open therefore first verifies all
// of it (verify.go) and refuses with metadb.ErrCorrupt what is not the torn end
// of a crash. A block that goes bad while the store is open is an error of Get;
// a Scan does not see it before the next Open.
//
// The value log being empty, it needs no garbage collection; overwritten and
// deleted records of the tree go away in compaction, that of the last level
// included.
//
// # Full disks
//
// A mapped file also means that a full disk is a SIGBUS, which ends the process.
// So:
//
//   - At the reserve all is refused but upkeep (space.go); at half of it, upkeep too
//     where Badger would turn to another log, which has it write tables.
//   - The log that is written to has all its blocks before the first commit goes to
//     it, and so has the next one, a file of no length with blocks behind its end
//     (room.go): what is committed finds its place, whatever else fills the disk.
//   - A start writes what the logs hold to tables. Room for that is kept in a file
//     that the start gives up where it must (keeper.go), with some inodes. On a disk
//     with next to no room Badger opens without compactions; it is opened again, with
//     them, once there is room.
//   - What is left: a table that Badger is writing, by a flush or a compaction that
//     began with more than the reserve for upkeep free, while somebody else takes all
//     of that within the moment. Then the process dies, as by kill -9, and starts
//     again as above.
package badgerdb

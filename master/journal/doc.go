// Package journal keeps copies of the metadata on the volumes: each commit as one
// blob, an entry, written side by side with the commit itself; and from time to time
// a snapshot of all rows, in chunks, which makes the entries before it needless. From
// the newest snapshot and the entries after it the metadata can be rebuilt, up to the
// last commit that was acknowledged.
//
// It knows keys and values, volumes, and the numbers of commits; nothing of what the
// rows mean.
//
// # Layout
//
// The ids of the blobs are those of volume.MetadataID: of an entry the number of its
// commit, of a chunk the number of the newest commit that its snapshot sees, and the
// chunk's own. Both begin with the same header; numbers are little-endian:
//
//	0      4         5      6       8               24       32      40
//	+------+---------+------+-------+---------------+--------+-------+
//	| TKJN | version | kind | flags | cluster UUID  | line   | run   |
//	+------+---------+------+-------+---------------+--------+-------+
//	40      48         56        60        64      72       80       88      96
//	+-------+----------+---------+---------+-------+--------+--------+-------+------
//	| time  | sequence | chunk   | zero    | rows  | bytes  | prev   | sum   | rows
//	+-------+----------+---------+---------+-------+--------+--------+-------+------
//
// version is 1, kind 1 or 2 as in the id. Flag 1: the last chunk of its snapshot. rows
// and bytes (of rows as they are encoded) count those of the blob itself in an entry; in
// a chunk all of the snapshot up to its end, so that the last one says how many there are.
//
// A line is a history without a gap; it is named by the time, in nanoseconds since 1970,
// at which it began. A run is one start of a master, named alike. time is when the commit
// was made.
//
// sum is xxhash64 of the header before it and the rows behind it; prev is the sum of the
// commit before, or of the chunk before; of chunk 0 that of the commit itself. So a sum
// vouches for all that came before it: two copies of one number are either the same
// history or a fork.
//
//	row:  uvarint 2*len(key) + deleted | uvarint len(value), if not deleted | key | value
//
// Rows are in the order of keys, each key once. A snapshot's rows are in order over all
// its chunks, and none is deleted.
//
// The header is the blob's descriptor, too: what an entry is can be asked without
// reading it. And it is the mark that is stored with the commit in the metadata itself,
// so a start knows to which history the metadata belongs. The first commit of a line has
// no rows, and need not be on any volume: with it the metadata belongs to the line before
// a commit does that both have.
package journal

// Package erasure splits a body into the shards of a k+m erasure code and puts
// any range of it together again from any k of them. It is pure: where shards
// lie, and how they are kept whole, is the caller's business. A shard that can be
// read is taken to be right, so whoever stores one must verify what he returns.
//
// # Layout
//
// The body is cut into stripes of k units, and m parity units are computed over
// each stripe. Shard i is the i-th unit of every stripe, one behind the other:
//
//	body      | stripe 0: k units of Unit bytes | stripe 1 | ... | last stripe: k units of u bytes |
//	shard 0   unit 0 of stripe 0, unit 0 of stripe 1, ...         shards 0 to k-1 are the body itself
//	shard k   parity unit 0 of stripe 0, ...                      shards k to k+m-1 are Reed-Solomon parity
//
// Every unit has Unit bytes (64 KiB, the block that a volume verifies at once),
// but for those of the last stripe, which share what is left: with L bytes left, u
// is L/k rounded up, and the last data units are padded with zeros. A shard is
// therefore longer than a k-th of the body by less than k bytes in all, and a
// reader needs a stripe in memory, never the body.
package erasure

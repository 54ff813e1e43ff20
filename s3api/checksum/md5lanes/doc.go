// Package md5lanes computes the MD5 (RFC 1321) of many streams at a time. One
// MD5 can not be computed faster than its steps follow from each other, and uses a
// small part of a processor for that; eight that are computed side by side in the
// lanes of vector registers cost as much as one or two.
//
// A Group brings together what its streams have to hash, in the manner of a group
// commit: bytes are gathered in blocks, and a stream that has enough of them hashes
// those of up to Lanes streams in one round, while others read on. No stream ever
// waits for bytes of another to arrive, only for a round that is under way. Where
// there are processors to spare for the few streams that are open, and where the
// processor has no such instructions, each stream is hashed as soon as it has a
// block, by a goroutine beside the one that writes.
//
// It promises the results of crypto/md5, whose hashes hold the state between the
// rounds, and which hashes what is alone in its round where it is the faster. It
// knows nothing of S3.
package md5lanes

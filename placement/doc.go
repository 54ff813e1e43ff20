// Package placement decides which volumes should hold a key. It is a pure function of the key and of the list of
// slots: no I/O, no state, no clock, no knowledge of buckets, blobs or servers. Whoever knows the topology can
// recompute, anywhere and at any time, where a key should lie.
//
// # Slots
//
// Keys are placed on slots, not on servers. A slot is a position in an ordered list that is only ever appended to; each
// slot is bound to a volume and is active, draining or dead. Slots are never renumbered, which is what lets any volume
// leave while only its own keys move. A volume with n slots receives n shares of the keys: slots are weights.
//
// # Algorithm (version 1)
//
// A key is hashed with xxhash64 to K. K then orders all n slots, dead ones included, in a preference list by consistent
// choose-k: the first k entries of the list, as a set, are
//
//	S(k, n) = {x} + S(k-1, x)   where x = max over i < k of sample(i, n)
//	sample(i, m) = i + jump(mix64(K + i*0x9E3779B97F4A7C15), m-i)
//
// jump is jump consistent hash and mix64 the finalizer of SplitMix64. The r slots of a key are the first r of its list
// that are active and whose volumes differ from one another. It follows that
//
//   - r = 1 with all slots active is plain jump hash of mix64(K) over n buckets;
//   - appending a slot inserts it somewhere into the list of a key and changes nothing else in it, so keys move only
//     into the new slot, about K/(n+1) of K keys;
//   - marking a slot dead or draining strikes it from every list, so only the keys that it held move, and making it
//     active again brings exactly those back;
//   - only the present slots count, never the order of the changes that led to them.
//
// # Example
//
// Four slots, one volume each, and the key "photos/fox.jpg", two copies. Its preference list is 3, 2, 0, 1: it lies on
// slots 3 and 2.
//
//	slots           list           copies on
//	0 1 2 3         3 2 0 1        3 2
//	0 1 2 3 4       3 4 2 0 1      3 4     slot 4 is appended and enters the list: one copy moves, to slot 4
//	0 1 2 - 4       - 4 2 0 1      4 2     slot 3 drains: its copy moves, the other stays
//	0 1 2 3 4       3 4 2 0 1      3 4     the drain is cancelled: everything as before
//
// The test ExampleMap_Choose runs this table.
//
// # Stability
//
// Data on disk is found through recorded locations, yet a change of the algorithm would move nearly all of it. Results
// are therefore frozen for ever per version: testdata holds golden vectors, and any change needs a new Version.
//
// # Sources
//
// John Lamping and Eric Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm" (2014), for jump. The consistent
// choose-k algorithm of GitHub's rust-gems (consistent-choose-k), for choosing k out of n by a recursion over probes of
// a consistent hash. Guy Steele, Doug Lea and Christine Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA
// 2014), for mix64 and its increment.
package placement

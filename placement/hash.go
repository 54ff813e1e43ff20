package placement

import (
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// KeyHash returns the placement hash of an object: xxhash64 (seed 0) of "bucket/key". A bucket name has no slash, so no
// two objects share the hashed text.
func KeyHash(bucket, key string) uint64 {
	d := xxhash.New()
	writeKey(d, bucket, key)
	return d.Sum64()
}

// PartHash returns the placement hash of one part of a large object: xxhash64 (seed 0) of "bucket/key#part", part in
// decimal. Hashing parts by themselves spreads a large object over the volumes.
func PartHash(bucket, key string, part int) uint64 {
	d := xxhash.New()
	writeKey(d, bucket, key)
	var room [24]byte
	_, _ = d.Write(strconv.AppendInt(append(room[:0], '#'), int64(part), 10))
	return d.Sum64()
}

// writeKey feeds "bucket/key" to the digest, whose writes cannot fail.
func writeKey(d *xxhash.Digest, bucket, key string) {
	_, _ = d.WriteString(bucket)
	_, _ = d.WriteString("/")
	_, _ = d.WriteString(key)
}

// golden is 2^64 divided by the golden ratio, SplitMix64's increment: the i-th output of a SplitMix64 generator seeded
// with K is mix64(K + (i+1)*golden).
const golden = 0x9E3779B97F4A7C15

// mix64 is the finalizer of SplitMix64, a bijection in which every input bit moves about half of the output bits. jump
// needs it because its generator is linear: nearby keys would land alike.
func mix64(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xBF58476D1CE4E5B9
	x ^= x >> 27
	x *= 0x94D049BB133111EB
	return x ^ x>>31
}

// jump is jump consistent hash (Lamping and Veach, 2014): the bucket, 0 <= bucket < n, of a well-mixed key. Growing n by
// one moves a key only into the new bucket, with probability 1/(n+1). The arithmetic has no sum that a compiler could
// fuse with the product, so the result is the same on every architecture.
func jump(key uint64, n int) int {
	bucket, next := int64(-1), int64(0)
	for next < int64(n) {
		bucket = next
		key = key*2862933555777941757 + 1
		next = int64(float64(bucket+1) * (float64(1<<31) / float64(key>>33+1)))
	}
	return int(bucket)
}

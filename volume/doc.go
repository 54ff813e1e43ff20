// Package volume keeps the bytes of one volume: immutable, checksummed,
// self-describing blobs under 16-byte ids, small ones packed into segment files
// and large ones in files of their own. A blob is acknowledged when it is
// durable, and no byte is handed out unverified. The package knows nothing of
// buckets, keys, S3 or the master.
package volume

// Package vfs is the file system as the volume engine sees it: the few calls
// that durability depends on and nothing else. All fsync, rename and truncate
// of the store go through it, so that tests can take the power away (Mem) or
// make the n-th call fail (Faulty). It knows nothing of blobs.
package vfs

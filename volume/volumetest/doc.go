// Package volumetest is the contract of volume.Blobs as tests, for every
// implementation alike, and Mem, a small store in memory that keeps it. It
// knows nothing of how any of them works.
package volumetest

// Package master is the engine of the store: buckets, objects, multipart
// uploads, the topology of volumes, and the garbage queue with its worker. It
// places the bytes of an object on volumes as immutable blobs and commits its
// record to the metadata store in one transaction, which is the moment an
// object changes; whatever the commit replaces goes to the garbage queue in the
// same transaction and is removed after a grace.
//
// It promises that a nil error is durable, that every reader sees one whole
// version, and that conditions and counters are exact. Correctness rests on the
// transactions of the metadata store alone, never on this process's memory; the
// one thing kept in memory, the pins of open readers, only makes garbage wait
// longer than its grace.
//
// The package knows nothing of HTTP or S3, and sees volumes and the metadata
// store through interfaces only.
package master

// Package volumehttp carries the contract of volume.Blobs over HTTP: Server is
// a handler over a store, Client is a store over a URL. Payloads stream both
// ways in frames of one block each, checksummed from end to end, and no stream
// that was cut, shortened or damaged on its way is ever taken for a whole one.
// docs/volume-protocol.md draws the wire. The package knows nothing of how a
// store works or who uses it.
package volumehttp

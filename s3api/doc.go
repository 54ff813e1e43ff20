// Package s3api speaks the S3 protocol. One table, ops.go, declares every
// operation of the API; routing, authorisation, metrics labels, the
// compatibility page and the tests derive from it. Handlers translate between
// the wire and a storage engine that they see only through the small interfaces
// of backend.go. The package knows nothing of volumes, placement or how
// metadata is stored.
package s3api

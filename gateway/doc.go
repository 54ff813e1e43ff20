// Package gateway is the HTTP front of the store. It takes every request first:
// gives it an id, guards its time and size, turns away strangers while the store
// has no credentials (protected mode), sends it to the native key-value routes,
// to the health pages or to the S3 handler, and writes one log line about it.
//
//	PUT    /set/<key>     GET, HEAD /get/<key>     DELETE /delete/<key>
//	GET    /-/healthz     GET       /-/readyz      /-/admin/v1/...: for operators
//	GET    /-/metrics     for Prometheus
//	all else: S3
//
// Native keys live in the bucket "kv", through the same engine as S3, so each
// side sees what the other stores. The package knows nothing of how objects are
// kept; it sees the engine through the small interface Store.
package gateway

// Package memdb is a metadb.DB in memory, for tests of the layers above: a
// copy-on-write B-tree, so that a View reads one frozen snapshot while Updates,
// one at a time, build the next. It passes the same conformance suite as the
// durable engines and promises everything but durability: what it held is gone
// when it is closed.
package memdb

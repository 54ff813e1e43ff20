// Package dbtest is the conformance suite of metadb.DB: what every engine must
// do, as tests that an engine's own test calls with Run. It uses nothing but the
// contract, and it allows what the contract allows (closures may run again, and
// concurrently), so that engines of any design can be held to it.
package dbtest

// Package meta is the vocabulary of the store: the domain types (bucket,
// object version, extent, upload, part) and the error Kind that every layer
// above shares. It holds no behaviour beyond validation of its own values, does
// no I/O, and must not know how metadata is stored or how it is served.
package meta

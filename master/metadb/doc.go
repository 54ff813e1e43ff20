// Package metadb holds the metadata schema (every key is built in keys.go, every
// value encoded in the codec files) and the contract of the ordered,
// transactional key-value store beneath it. Engines live in packages below;
// no engine type leaks out. It knows the types of package meta and nothing of
// volumes, protocols or policy.
package metadb

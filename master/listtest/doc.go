// Package listtest holds what every listing of the store is compared with: a
// reference that lists from the definition, over a bucket in memory, and a driver
// that puts the two side by side over random buckets, requests and changes.
//
// The definition: what a listing shows is a name, a key or a common prefix. A
// page begins with the first name greater than its marker and has as many as were
// asked for; there is more where a further name follows. A listing of versions
// shows a key once for each of its versions, newest first, and may begin within a
// key.
package listtest

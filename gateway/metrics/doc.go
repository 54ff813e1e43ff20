// Package metrics shows what the store counts in the text formats of Prometheus.
// One table has every family: its name, what it means, its labels, and where its
// values come from. Nothing is counted here, and nothing is computed before somebody
// asks: requests cost no more for it. Labels are those of bounded sets (operations,
// error codes, volumes, states); no bucket, key or client is ever one.
package metrics

// Package bench loads S3 endpoints and says what they did: how many requests a
// second, how long they took, and which failed. Several endpoints are loaded in
// turns within one run, so that their ratio means something on a machine whose
// speed changes from minute to minute.
//
// It speaks S3 with a client path of its own: a request is signed with a key
// that is derived once a day, written in one system call and read from a
// connection that stays, without garbage. On a machine that server and load
// generator share, what the generator does not take is the server's.
//
// It promises to check every answer (status and length; on request, each byte),
// and to remove what it made and nothing else. It knows endpoints over the wire
// only, and nothing of the store behind them.
package bench

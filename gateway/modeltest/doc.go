// Package modeltest compares whole stores, over HTTP, with a model: buckets, keys,
// versions and uploads in maps, and the answers that S3 and the native API give of
// them. One random stream of operations is sent to each store of a list. Each
// answer must be the model's in status, error code, every header and every byte;
// and all stores must have told the same history, ids aside, whatever became of
// them meanwhile: restarts, kills, volumes that come and go, data that moves.
//
// A stream is a list of seeds, one for each operation, which chooses its arguments
// from the state of the model at that moment. So any part of a stream is a stream:
// one that fails is cut down for as long as it goes on failing, and what is left
// is printed, with the answer that was wanted.
//
// The model knows nothing of the code that it judges: not how anything is stored,
// and none of its packages.
package modeltest

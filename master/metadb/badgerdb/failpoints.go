package badgerdb

import "tdkvs/failpoint"

// early has a batch acknowledged before it is committed, which tests of crashes ask
// for, and must notice.
func (b *batchRun) early(own *request) bool {
	if !failpoint.Mutated("acknowledge-early") {
		return false
	}
	answer(b.ran, own, nil)
	b.ran = nil
	go b.finish(own)
	return true
}

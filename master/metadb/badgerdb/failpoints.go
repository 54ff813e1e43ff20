package badgerdb

import "tdkvs/failpoint"

// taken is where all closures of a batch have run and nothing is committed yet. Tests
// of crashes have them answered there, and must notice.
func (b *batchRun) taken() {
	if failpoint.Mutated("acknowledge-early") {
		answer(b.ran, nil)
		b.ran = nil
	}
	failpoint.At("commit/taken")
}

package volumehttp

import "testing"

// TestBuffersAreAccounted: what the budget is asked for is what a buffer takes.
func TestBuffersAreAccounted(t *testing.T) {
	t.Parallel()
	var pool bufferPool
	for _, size := range []int64{0, 1, 4 << 10, 64 << 10, 64<<10 + 1, 100_000, 256 << 10, 500_000, maxBuffered - 1, maxBuffered} {
		room := int64(cap(pool.get(framedLength(size)).data))
		if got := memoryFor(size); got != room && (got != 0 || room > blockBuffer) {
			t.Errorf("%d bytes: %d taken for a buffer of %d", size, got, room)
		}
		if room < int64(framedLength(size)) {
			t.Errorf("%d bytes in a buffer of %d", size, room)
		}
	}
	if got := memoryFor(-1); got < maxBuffered {
		t.Errorf("%d taken for a payload of unknown size", got)
	}
}

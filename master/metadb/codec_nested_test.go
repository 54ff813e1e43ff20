package metadb

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestNested: a nested message has the length that protobuf gives it, however long, and
// what stands behind it is whole.
func TestNested(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 126, 127, 128, 129, 16383, 16384, 40000} {
		inner := bytes.Repeat([]byte{7}, n)
		e := newRecord(0)
		outer := e.open(3)
		at := e.open(5)
		e.b = append(e.b, inner...)
		e.close(at)
		e.uint(6, 9)
		e.close(outer)
		e.uint(4, 1)

		want := protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), inner)
		want = protowire.AppendVarint(protowire.AppendTag(want, 6, protowire.VarintType), 9)
		want = protowire.AppendBytes(protowire.AppendTag([]byte{recordVersion}, 3, protowire.BytesType), want)
		want = protowire.AppendVarint(protowire.AppendTag(want, 4, protowire.VarintType), 1)
		if !bytes.Equal(e.b, want) {
			t.Errorf("a nested message of %d bytes is encoded as\n%x, want\n%x", n, e.b, want)
		}
	}
}

package master

import (
	"bytes"
	"testing"
)

// FuzzParseID: what is accepted is in the one form that ids have.
func FuzzParseID(f *testing.F) {
	f.Add(newID(7))
	f.Add("0000000000000000000000000000000\n")
	f.Fuzz(func(t *testing.T, id string) {
		rank, ok := parseID(id)
		if !ok {
			return
		}
		b, err := idEncoding().DecodeString(id)
		if err != nil || idEncoding().EncodeToString(b) != id {
			t.Errorf("%q has rank %d and is not an id: %v", id, rank, err)
		}
	})
}

// FuzzPosition: a position comes back as it was written.
func FuzzPosition(f *testing.F) {
	f.Add(position{phase: 1, sub: 2, row: []byte("row")}.marshal())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		want := b
		if len(b) < 5 {
			want = make([]byte, 5)
		}
		if got := parsePosition(b).marshal(); !bytes.Equal(got, want) {
			t.Errorf("%x came back as %x", b, got)
		}
	})
}

package master

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// Upload ids and version ids are a rank of 8 bytes and 12 random ones, in
// base32hex, which keeps the order of the bytes. The rank of an upload is its
// time of initiation in Unix nanoseconds, that of a version its Seq: an id leads
// to its row.
const (
	idAlphabet = "0123456789abcdefghijklmnopqrstuv"
	idLen      = 32 // characters, of 5 bits each
	idBytes    = idLen * 5 / 8
)

func newID(rank uint64) string {
	var b [idBytes]byte
	binary.BigEndian.PutUint64(b[:8], rank)
	_, _ = rand.Read(b[8:]) // never fails, by its contract
	return idEncoding().EncodeToString(b[:])
}

// parseID returns the rank of an id; not ok for what newID can not have made.
func parseID(id string) (rank uint64, ok bool) {
	if len(id) != idLen {
		return 0, false
	}
	b, err := idEncoding().DecodeString(id)
	if err != nil || len(b) != idBytes { // it skips line breaks
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

func idEncoding() *base32.Encoding {
	return base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding)
}

// rankOf is a time as the rank of an id: Unix nanoseconds, not before 1970.
func rankOf(t time.Time) uint64 { return uint64(max(0, t.UnixNano())) }

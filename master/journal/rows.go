package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"tdkvs/master/metadb"
)

// appendRow adds one row.
func appendRow(b []byte, c metadb.Change) []byte {
	n := uint64(len(c.Key)) << 1
	if c.Deleted {
		return append(binary.AppendUvarint(b, n|1), c.Key...)
	}
	b = binary.AppendUvarint(binary.AppendUvarint(b, n), uint64(len(c.Value)))
	return append(append(b, c.Key...), c.Value...)
}

// nextRow splits the first row off. Key and value lie in b.
func nextRow(b []byte) (c metadb.Change, rest []byte, err error) {
	n, w := binary.Uvarint(b)
	if w <= 0 {
		return c, nil, fmt.Errorf("%w: length of a key", ErrBad)
	}
	b = b[w:]
	var value uint64
	if c.Deleted = n&1 != 0; !c.Deleted {
		if value, w = binary.Uvarint(b); w <= 0 {
			return c, nil, fmt.Errorf("%w: length of a value", ErrBad)
		}
		b = b[w:]
	}
	key := n >> 1
	if key > uint64(len(b)) || value > uint64(len(b))-key {
		return c, nil, fmt.Errorf("%w: a row longer than its blob", ErrBad)
	}
	c.Key = b[:key:key]
	if !c.Deleted {
		c.Value = b[key : key+value : key+value]
	}
	return c, b[key+value:], nil
}

// eachRow calls fn with the rows of a blob, which must be in order above after (nil:
// above nothing). It returns how many there were and the last key.
func eachRow(rows, after []byte, fn func(metadb.Change) error) (n uint64, last []byte, err error) {
	first := after == nil
	for last = after; len(rows) > 0; n++ {
		var c metadb.Change
		if c, rows, err = nextRow(rows); err != nil {
			return n, last, err
		}
		if !first && bytes.Compare(c.Key, last) <= 0 {
			return n, last, fmt.Errorf("%w: rows out of order", ErrBad)
		}
		first, last = false, c.Key
		if err := fn(c); err != nil {
			return n, last, err
		}
	}
	return n, last, nil
}

// changes returns the rows of an entry. They lie in it.
func changes(h Header, rows []byte) ([]metadb.Change, error) {
	if h.Bytes != uint64(len(rows)) {
		return nil, fmt.Errorf("%w: %d bytes of rows, the header says %d", ErrBad, len(rows), h.Bytes)
	}
	all := make([]metadb.Change, 0, min(h.Rows, uint64(len(rows))))
	n, _, err := eachRow(rows, nil, func(c metadb.Change) error {
		all = append(all, c)
		return nil
	})
	if err == nil && n != h.Rows {
		err = fmt.Errorf("%w: %d rows, the header says %d", ErrBad, n, h.Rows)
	}
	return all, err
}

package metadb

// Decoding is what a Tx may be: it keeps, beside rows that it holds in memory, what
// was decoded of them.
type Decoding interface {
	// Decoded is Get of what decode makes of the value. It may be kept and handed to
	// others, in this and other transactions, and is the same for all: nobody may
	// change it. decode looks at the key and the value alone, and keeps neither.
	Decoded(key []byte, decode func(key, value []byte) (any, error)) (any, error)
}

// Decoded returns what decode makes of the value of a key, of this transaction alone
// or, where the engine keeps it, in common with others: nobody may change it. A key
// has one decode.
func Decoded(tx Tx, key []byte, decode func(key, value []byte) (any, error)) (any, error) {
	if keeps, ok := tx.(Decoding); ok {
		return keeps.Decoded(key, decode)
	}
	value, err := tx.Get(key)
	if err != nil {
		return nil, err
	}
	return decode(key, value)
}

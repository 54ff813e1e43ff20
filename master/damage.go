package master

import (
	"context"

	"tdkvs/master/metadb"
)

// Damage is an extent that can not be read and can not be restored.
type Damage struct {
	Bucket string
	Key    string
	Seq    uint64 // of the version
	Part   int    // of an assembled object; 0: the version was written in one piece
	metadb.Damage
	Cursor []byte // where the list goes on behind it
}

// ListDamage returns up to limit records of damage behind a cursor (nil: from
// the first), in order of bucket and key.
func (e *Engine) ListDamage(ctx context.Context, after []byte, limit int) ([]Damage, error) {
	var list []Damage
	err := e.view(ctx, func(tx metadb.Tx) error {
		list = nil
		all := metadb.AllDamage()
		return tx.Scan(later(all.Start, after), all.End, func(k, row []byte) (bool, error) {
			if len(list) >= limit {
				return false, nil
			}
			x := Damage{Cursor: metadb.After(k)}
			var ok bool
			if x.Bucket, x.Key, x.Seq, x.Part, ok = metadb.ParseDamageKey(k); !ok {
				return false, metadb.ErrBadRecord
			}
			var err error
			x.Damage, err = metadb.UnmarshalDamage(row)
			list = append(list, x)
			return true, err
		})
	})
	return list, fault("list damage", "", "", err)
}

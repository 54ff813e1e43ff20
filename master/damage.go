package master

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

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
			x, err := parseDamage(k, row)
			list = append(list, x)
			return true, err
		})
	})
	return list, fault("list damage", "", "", err)
}

// parseDamage reads a record of damage.
func parseDamage(k, row []byte) (Damage, error) {
	x := Damage{Cursor: metadb.After(k)}
	var ok bool
	if x.Bucket, x.Key, x.Seq, x.Part, ok = metadb.ParseDamageKey(k); !ok {
		return x, metadb.ErrBadRecord
	}
	var err error
	x.Damage, err = metadb.UnmarshalDamage(row)
	return x, err
}

// damageKey is where damage to an extent is recorded.
func (l location) damageKey() []byte { return metadb.DamageKey(l.bucket, l.key, l.seq, l.part) }

// listedAsDamaged reports whether an extent is on the list of what can not be read.
func listedAsDamaged(tx metadb.Tx, at location) (bool, error) {
	if at.kind == partRow {
		return false, nil
	}
	_, err := tx.Get(at.damageKey())
	if errors.Is(err, metadb.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// maxCause bounds the text that says why an extent can not be restored.
const maxCause = 1 << 10

// noteDamage puts an extent on the list of what is damaged. A part of an upload
// in progress is no part of an object yet: it is looked at again later.
func (rec *recorder) noteDamage(m *move) error {
	if m.kind == partRow {
		if rec.ops++; m.queued || rec.ops > foundOps {
			return nil
		}
		return queueRepair(rec.tx, rec.now.Add(maxRepairDelay), m.repair(m.bad, rec.now))
	}
	if _, err := rec.tx.Get(m.damageKey()); !errors.Is(err, metadb.ErrNotFound) {
		return err
	}
	cause := m.damage
	if m.err != nil {
		cause += ": " + m.err.Error()
	}
	row, err := metadb.MarshalDamage(&metadb.Damage{
		Found: rec.now, Cause: cause[:min(len(cause), maxCause)], VersionID: m.version, Size: m.extent.Size,
	})
	if err != nil {
		return err
	}
	return rec.tx.Set(m.damageKey(), row)
}

// clearDamage takes an extent that is whole off the list.
func (rec *recorder) clearDamage(at location) error {
	if at.kind == partRow {
		return nil
	}
	_, err := rec.tx.Get(at.damageKey())
	if errors.Is(err, metadb.ErrNotFound) {
		return nil
	}
	if rec.ops++; err != nil || rec.ops > foundOps {
		return err // what is left on the list is looked at again
	}
	return rec.tx.Delete(at.damageKey())
}

const (
	damageBatch = 24          // records looked at by one step, at two writes each
	damagePause = time.Minute // between two looks at the list
	damageRead  = time.Hour   // between two looks for which the pieces are read
)

// damageCheck is a look at the list of what is damaged: what is gone leaves it,
// and, when all is looked at, what can be read again.
type damageCheck struct {
	cursor  []byte
	due     time.Time
	read    time.Time // when the last look began for which the pieces are read
	reading bool      // they are in this one
}

// all has every record looked at, and its pieces read, at once.
func (c *damageCheck) all(now time.Time) { c.cursor, c.due, c.read, c.reading = nil, now, now, true }

// damagedExtent is a record of damage and what it is about as it is now.
type damagedExtent struct {
	key     []byte
	repair  metadb.Repair
	targets []target
	found   bool // targets are all there is of it
}

// lookAtDamage looks at a batch of the list, when it is time to.
func (r *rebalancer) lookAtDamage(ctx context.Context, l *layout) (more bool, err error) {
	c := &r.damage
	now := r.e.now()
	if now.Before(c.due) {
		return false, nil
	}
	if c.cursor == nil && now.Sub(c.read) >= damageRead {
		c.all(now)
	}
	list, err := r.damagedExtents(ctx, c.cursor)
	if err != nil {
		return false, fmt.Errorf("read the list of damage: %w", err)
	}
	if len(list) == 0 {
		*c = damageCheck{due: now.Add(damagePause), read: c.read}
		return false, nil
	}
	var healed []damagedExtent
	for _, x := range list {
		if r.healed(ctx, l, &x) {
			healed = append(healed, x)
		}
	}
	if err := r.takeOffList(ctx, healed); err != nil {
		return false, err
	}
	c.cursor = metadb.After(list[len(list)-1].key)
	return true, nil
}

func (r *rebalancer) damagedExtents(ctx context.Context, after []byte) (list []damagedExtent, err error) {
	err = r.e.view(ctx, func(tx metadb.Tx) error {
		list = nil
		all := metadb.AllDamage()
		err := tx.Scan(later(all.Start, after), all.End, func(k, row []byte) (bool, error) {
			x, err := parseDamage(k, row)
			list = append(list, damagedExtent{
				key: bytes.Clone(k), repair: metadb.Repair{Bucket: x.Bucket, Key: x.Key, Seq: x.Seq, Part: x.Part},
			})
			return len(list) < damageBatch, err
		})
		for i := range list {
			found, err := r.e.resolve(tx, &list[i].repair)
			list[i].targets, list[i].found = found.targets, err == nil
		}
		return err
	})
	return list, err
}

// healed reports whether an extent need not be on the list any more: it is gone,
// or, where its pieces are read, enough of them can be.
func (r *rebalancer) healed(ctx context.Context, l *layout, x *damagedExtent) bool {
	if len(x.targets) == 0 {
		return x.found
	}
	if !r.damage.reading {
		return false
	}
	o := r.outlook(l)
	for _, t := range x.targets {
		good := 0
		for i, p := range t.extent.Pieces {
			if !o.there(p) {
				continue
			}
			if err := r.e.verifyPiece(ctx, t.owner(t.extent).piece(p, i)); err == nil {
				good++
			} else {
				x.repair.Suspects = append(x.repair.Suspects, p)
			}
		}
		if good < needed(t.extent) {
			return false
		}
	}
	return true
}

// takeOffList removes records of damage. What there is of it is compared with
// what there should be.
func (r *rebalancer) takeOffList(ctx context.Context, healed []damagedExtent) error {
	if len(healed) == 0 {
		return nil
	}
	_, err := r.e.update(ctx, func(tx metadb.Tx) error {
		now := r.e.now()
		for _, x := range healed {
			if err := tx.Delete(x.key); err != nil {
				return err
			}
			if len(x.targets) == 0 {
				continue
			}
			x.repair.Queued = now
			if err := queueRepair(tx, now, x.repair); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

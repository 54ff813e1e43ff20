package dbtest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"tdkvs/master/metadb"
)

var modelTests = []test{
	{name: "Random", run: testModel},
	{name: "RandomReopened", durable: true, run: testModelReopened},
}

// testModel runs random transactions against the engine and against a map, and
// compares every answer.
func testModel(t *testing.T, e Engine) {
	db := open(t, e)
	m := &model{rnd: rand.New(rand.NewPCG(1, 2)), state: map[string]string{}}
	for i := range 100 {
		if err := m.transaction(t, db); err != nil {
			t.Fatalf("transaction %d: %v", i, err)
		}
	}
}

func testModelReopened(t *testing.T, e Engine) {
	dir := t.TempDir()
	m := &model{rnd: rand.New(rand.NewPCG(3, 4)), state: map[string]string{}}
	for round := range 4 {
		db := openAt(t, e, dir)
		for i := range 30 {
			if err := m.transaction(t, db); err != nil {
				t.Fatalf("round %d, transaction %d: %v", round, i, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
}

type model struct {
	rnd   *rand.Rand
	state map[string]string
}

// key makes short keys over few bytes, so that they collide and nest.
func (m *model) key() []byte {
	const alphabet = "\x00\x01a/\xfe\xff"
	k := make([]byte, m.rnd.IntN(5))
	for i := range k {
		k[i] = alphabet[m.rnd.IntN(len(alphabet))]
	}
	return k
}

// bound is a key, or nil.
func (m *model) bound() []byte {
	if m.rnd.IntN(4) == 0 {
		return nil
	}
	return m.key()
}

var errRollback = errors.New("roll back")

func (m *model) transaction(t *testing.T, db metadb.DB) error {
	seed := m.rnd.Uint64() // so that a closure run again does the same
	var next map[string]string
	body := func(tx metadb.Tx) error {
		run := &model{rnd: rand.New(rand.NewPCG(seed, 5)), state: maps.Clone(m.state)}
		for range 1 + run.rnd.IntN(40) {
			if err := run.step(tx); err != nil {
				return err
			}
		}
		next = run.state
		if run.rnd.IntN(5) == 0 {
			return errRollback
		}
		return nil
	}
	err := db.Update(t.Context(), body)
	if err == nil {
		m.state = next
	}
	if err != nil && !errors.Is(err, errRollback) {
		return err
	}
	return db.View(t.Context(), func(tx metadb.Tx) error { return checkRange(tx, nil, nil, m.rows(nil, nil)) })
}

func (m *model) step(tx metadb.Tx) error {
	switch k := m.key(); m.rnd.IntN(6) {
	case 0, 1:
		v := fmt.Sprint(m.rnd.Uint32())
		m.state[string(k)] = v
		return tx.Set(k, []byte(v))
	case 2:
		delete(m.state, string(k))
		return tx.Delete(k)
	case 3:
		v, ok := m.state[string(k)]
		if !ok {
			v = absent
		}
		return check(tx, string(k), v)
	case 4:
		start, end := m.bound(), m.bound()
		return checkRange(tx, start, end, m.rows(start, end))
	default:
		return m.jump(tx)
	}
}

// rows is what a range should hold.
func (m *model) rows(start, end []byte) []string {
	out := []string{}
	for _, k := range slices.Sorted(maps.Keys(m.state)) {
		if k >= string(start) && (end == nil || k < string(end)) {
			out = append(out, k+"="+m.state[k])
		}
	}
	return out
}

// jump moves one cursor about at random.
func (m *model) jump(tx metadb.Tx) error {
	start, end := m.bound(), m.bound()
	rows := m.rows(start, end)
	c := tx.Seek(start, end)
	for range 8 {
		if c.Valid() != (len(rows) > 0) {
			return errors.Join(fmt.Errorf("cursor over [%q, %q): valid is %v with %q ahead", start, end, c.Valid(), rows), c.Close())
		}
		if !c.Valid() {
			break
		}
		v, err := c.Value()
		if row := string(c.Key()) + "=" + string(v); err != nil || row != rows[0] {
			return errors.Join(fmt.Errorf("cursor over [%q, %q): at %q, %w, want %q", start, end, row, err, rows[0]), c.Close())
		}
		if m.rnd.IntN(2) == 0 {
			c.Next()
			rows = rows[1:]
			continue
		}
		to := m.key()
		if bytes.Compare(to, c.Key()) > 0 {
			rows = m.rows(to, end)
		}
		c.SeekTo(to)
	}
	return c.Close()
}

package volumetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tdkvs/volume"
)

// CorruptDescriptor makes the descriptor of a blob unreadable. It reports whether
// there is such a blob.
func (m *Mem) CorruptDescriptor(id volume.BlobID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.blobs[id]
	if b == nil {
		return false
	}
	bad := *b
	bad.badDesc = true
	m.blobs[id] = &bad
	return true
}

// Lose removes blobs as damage to a log does: the store knows that something is
// bad, and not which blobs lay there.
func (m *Mem) Lose(ids ...volume.BlobID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.blobs, id)
	}
	m.note(volume.BlobID{}, fmt.Sprintf("%d records", len(ids)))
}

// Restart forgets what was found bad, as another start of a volume does.
func (m *Mem) Restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.run, m.damaged, m.found = rand.Uint64(), 0, nil
}

// corrupt notes that a part of a blob is bad, and returns the error.
func (m *Mem) corrupt(id volume.BlobID, part string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.badReads++
	known := slices.ContainsFunc(m.found, func(d volume.Damage) bool { return d.Blob == id })
	if !known {
		m.note(id, part)
	}
	return fmt.Errorf("blob %s %s: %w", id, part, volume.ErrCorrupt)
}

// note adds a finding. The caller holds mu.
func (m *Mem) note(id volume.BlobID, part string) {
	m.damaged++
	m.found = append(m.found, volume.Damage{Seq: m.damaged, Blob: id, Part: part, Found: time.Now().UTC()})
}

// Damaged implements volume.Blobs.
func (m *Mem) Damaged(ctx context.Context, after uint64, limit int) ([]volume.Damage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("list damage: limit %d: %w", limit, volume.ErrInvalid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var page []volume.Damage
	for _, d := range m.found {
		if d.Seq > after && len(page) < limit && (d.Blob == volume.BlobID{} || m.blobs[d.Blob] != nil) {
			page = append(page, d)
		}
	}
	return page, nil
}

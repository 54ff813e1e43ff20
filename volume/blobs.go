package volume

import (
	"context"
	"fmt"
)

var _ Blobs = (*Store)(nil)

// tombstonesPerRequest bounds how many deletions go into the log at once, so
// that a long Delete does not hold up the writers beside it.
const tombstonesPerRequest = 4096

// Delete implements Blobs.
func (s *Store) Delete(ctx context.Context, ids []BlobID) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete blobs: %w", err)
	}
	if err := s.enter(); err != nil {
		return fmt.Errorf("delete blobs: %w", err)
	}
	defer s.leave()
	if err := s.delete(ctx, ids); err != nil {
		return fmt.Errorf("delete blobs: %w", err)
	}
	return nil
}

func (s *Store) delete(ctx context.Context, ids []BlobID) error {
	if err := s.failure(); err != nil {
		return err
	}
	if err := s.syncOwed(); err != nil {
		return err
	}
	large := make(map[BlobID]entry)
	created := s.cfg.Clock().UnixNano()
	limit := min(tombstonesPerRequest, int(s.journal.maxRequest()/headerLen))
	req := newRequest()
	for _, id := range ids {
		e, ok := s.index.get(id)
		switch {
		case !ok:
		case e.large():
			large[id] = e
		default:
			req.items = append(req.items, item{header: header{kind: kindTombstone, id: id, created: created}})
		}
		if len(req.items) >= limit {
			if err := s.deleteSmall(ctx, req); err != nil {
				return err
			}
		}
	}
	if err := s.deleteSmall(ctx, req); err != nil {
		return err
	}
	if len(large) == 0 {
		return nil
	}
	return s.removeLarge(large)
}

// deleteSmall appends the tombstones of a request and empties it.
func (s *Store) deleteSmall(ctx context.Context, req *request) error {
	if len(req.items) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.journal.commit(req)
	req.items = req.items[:0]
	return err
}

// List implements Blobs.
func (s *Store) List(ctx context.Context, after BlobID, limit int) ([]Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	if limit <= 0 {
		return nil, fmt.Errorf("list blobs: %w: limit %d", ErrInvalid, limit)
	}
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	defer s.leave()
	return s.index.list(after, limit), nil
}

// Status implements Blobs.
func (s *Store) Status(ctx context.Context) (Status, error) {
	if err := ctx.Err(); err != nil {
		return Status{}, fmt.Errorf("volume status: %w", err)
	}
	if err := s.enter(); err != nil {
		return Status{}, fmt.Errorf("volume status: %w", err)
	}
	defer s.leave()
	space, err := s.space()
	if err != nil {
		return Status{}, fmt.Errorf("volume status: %w", err)
	}
	status := Status{
		Identity:     s.Identity(),
		Blobs:        s.index.data.blobs.Load(),
		Bytes:        s.index.data.bytes.Load(),
		Metadata:     s.index.metadata.held(),
		Capacity:     space.Total,
		Free:         space.Free,
		Reserve:      s.reserve(space),
		Syncs:        s.syncs.Load(),
		Writes:       s.writes.Load(),
		Quarantined:  s.quarantined.Load(),
		CorruptReads: s.corruptReads.Load(),
		Run:          s.findings.run,
		Damaged:      s.findings.newest(),
		Scrub:        s.scrubStatus(),
	}
	status.Full = s.cfg.Reserve >= 0 && status.Free <= status.Reserve
	for _, g := range s.segs.all() {
		dead, _ := s.segs.dead(g)
		status.DeadBytes += dead
	}
	if broken := s.broken.Load(); broken != nil {
		status.ReadOnly = broken.Error()
	}
	return status, nil
}

// Identity returns what the volume's directory says it is.
func (s *Store) Identity() Identity {
	s.identMu.RLock()
	defer s.identMu.RUnlock()
	return Identity{Volume: s.uuid, Cluster: s.ident.Cluster}
}

// Claim implements Blobs.
func (s *Store) Claim(ctx context.Context, cluster string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("claim volume: %w", err)
	}
	if cluster == "" || len(cluster) > maxClusterLen {
		return fmt.Errorf("claim volume: %w: cluster id of %d bytes", ErrInvalid, len(cluster))
	}
	if err := s.enter(); err != nil {
		return fmt.Errorf("claim volume: %w", err)
	}
	defer s.leave()
	s.identMu.Lock()
	defer s.identMu.Unlock()
	switch s.ident.Cluster {
	case cluster:
		return nil
	case "":
		if err := s.failure(); err != nil {
			return fmt.Errorf("claim volume: %w", err)
		}
		if err := s.claim(cluster); err != nil {
			return fmt.Errorf("claim volume: %w", err)
		}
		return nil
	}
	return fmt.Errorf("claim volume %s in %s for cluster %s: %w: it belongs to cluster %s",
		s.uuid, s.cfg.Dir, cluster, ErrWrongVolume, s.ident.Cluster)
}

package recovery

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"tdkvs/master/metadb"
)

// tellEvery is the pause between two lines of progress.
const tellEvery = 5 * time.Second

// sink passes on what the journal holds, keeps the topology, and says how far it is.
type sink struct {
	target Target
	log    *slog.Logger
	ctx    context.Context

	rows, row   uint64 // of the snapshot: in all, and so far
	first, last uint64 // numbers of commits: that of the snapshot, and the newest
	told        time.Time
	volumes     []byte // the row of the topology; nil: there is none
}

// Row implements journal.Sink.
func (s *sink) Row(key, value []byte) error {
	s.row++
	s.look(metadb.Change{Key: key, Value: value})
	if s.row%1000 == 0 {
		s.tell(s.first)
	}
	return s.target.Set(key, value)
}

// Entry implements journal.Sink.
func (s *sink) Entry(seq uint64, _ []byte, changes []metadb.Change) error {
	if err := s.target.At(seq); err != nil {
		return err
	}
	for _, c := range changes {
		s.look(c)
		var err error
		if c.Deleted {
			err = s.target.Delete(c.Key)
		} else {
			err = s.target.Set(c.Key, c.Value)
		}
		if err != nil {
			return err
		}
	}
	s.tell(seq)
	return nil
}

// look keeps the newest row of the topology.
func (s *sink) look(c metadb.Change) {
	if !bytes.Equal(c.Key, metadb.TopologyKey()) {
		return
	}
	s.volumes = nil
	if !c.Deleted {
		s.volumes = bytes.Clone(c.Value)
	}
}

func (s *sink) tell(seq uint64) {
	if time.Since(s.told) < tellEvery {
		return
	}
	s.told = time.Now()
	s.log.InfoContext(s.ctx, "reading the copies of the metadata", "rows", fmt.Sprintf("%d of %d", s.row, s.rows),
		"commits", fmt.Sprintf("%d of %d", seq-s.first, s.last-s.first))
}

// topology is the newest.
func (s *sink) topology() (metadb.Topology, error) {
	if s.volumes == nil {
		return metadb.Topology{}, fmt.Errorf("%w: it has no topology", ErrStrange)
	}
	t, err := metadb.UnmarshalTopology(s.volumes)
	if err != nil {
		return t, fmt.Errorf("%w: topology: %w", ErrStrange, err)
	}
	return t, nil
}

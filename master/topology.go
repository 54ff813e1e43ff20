package master

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/journal"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
	"tdkvs/volume"
)

// The first start, in an order that a crash at any point leaves resumable:
//
//  1. every volume is asked who it is; all must answer, and each must be
//     unclaimed or already ours. Until here nothing is written.
//  2. one transaction records the cluster's new identity and the intended
//     topology, not ready.
//  3. every volume is claimed for the cluster.
//  4. one transaction marks the topology ready.
//
// A start that finds a topology that is not ready repeats this with the recorded
// identity. Nothing was stored before step 4, so it may as well be with other
// volumes than those tried before.

// probeTimeout bounds the question to one volume at start.
const probeTimeout = 3 * time.Second

// probe is what a given volume says of itself, or why it does not.
type probe struct {
	Volume
	identity volume.Identity
	status   volume.Status
	err      error
}

func probeAll(ctx context.Context, given []Volume) []probe {
	probes := make([]probe, len(given))
	var wg sync.WaitGroup
	for i, v := range given {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			st, err := v.Blobs.Status(ctx)
			if err == nil && st.Volume == "" {
				err = fmt.Errorf("%w: it has no identity", volume.ErrUnavailable)
			}
			probes[i] = probe{Volume: v, identity: st.Identity, status: st, err: err}
		})
	}
	wg.Wait()
	return probes
}

// established is what a start has found.
type established struct {
	layout  *layout
	joining []probe           // new volumes, which are to be added
	renamed bool              // volumes have moved, and the topology is to be recorded
	journal *journal.Contents // what the volumes hold of the metadata's journal; nil: nothing that counts
}

// establish finds or makes the topology and binds the given volumes to it. Metadata
// that is behind its journal is brought up to date first.
func (e *Engine) establish(ctx context.Context, given []Volume) (est established, err error) {
	identity, topology, err := e.loadTopology(ctx)
	if err != nil {
		return est, err
	}
	probes := probeAll(ctx, given)
	if err := ctx.Err(); err != nil {
		return est, err
	}
	if topology.Ready && e.followed != nil {
		if est.journal, err = e.rollForward(ctx, topology.Cluster, probes); err != nil {
			return est, err
		}
		if _, topology, err = e.loadTopology(ctx); err != nil {
			return est, err
		}
	}
	if !topology.Ready {
		topology, err = e.firstStart(ctx, identity, probes)
		if err != nil {
			return est, err
		}
	}
	bound, joining, diffs := matchTopology(topology, probes)
	if len(diffs) > 0 {
		return est, &TopologyError{Cluster: topology.Cluster, Expected: topology.Volumes, Differences: diffs}
	}
	est.joining = joining
	topology, est.renamed = e.refreshNames(topology, bound)
	est.layout, err = newLayout(topology, e.bind(topology, bound))
	return est, err
}

// loadTopology reads what is recorded; both are zero before the first start.
func (e *Engine) loadTopology(ctx context.Context) (id metadb.Identity, t metadb.Topology, err error) {
	err = e.view(ctx, func(tx metadb.Tx) error {
		id, err = record(tx, metadb.IdentityKey(), metadb.UnmarshalIdentity)
		if err != nil {
			return fmt.Errorf("cluster identity: %w", err)
		}
		t, err = record(tx, metadb.TopologyKey(), metadb.UnmarshalTopology)
		if err != nil {
			return fmt.Errorf("topology: %w", err)
		}
		return nil
	})
	switch {
	case err != nil:
		return id, t, fmt.Errorf("read metadata: %w", err)
	case id.Schema > metadb.SchemaVersion:
		return id, t, fmt.Errorf("the metadata has schema version %d, this program knows versions up to %d: use a newer program", id.Schema, metadb.SchemaVersion)
	case t.Placement > placement.Version:
		return id, t, fmt.Errorf("the topology uses placement version %d, this program knows versions up to %d: use a newer program", t.Placement, placement.Version)
	case t.Cluster != id.Cluster:
		return id, t, fmt.Errorf("the metadata is damaged: its topology is of cluster %q, its identity is cluster %q", t.Cluster, id.Cluster)
	}
	return id, t, nil
}

// record reads one row; a missing one is the zero value.
func record[T any](tx metadb.Tx, key []byte, unmarshal func([]byte) (T, error)) (T, error) {
	b, err := tx.Get(key)
	if err != nil {
		var zero T
		if errors.Is(err, metadb.ErrNotFound) {
			err = nil
		}
		return zero, err
	}
	return unmarshal(b)
}

func (e *Engine) firstStart(ctx context.Context, id metadb.Identity, probes []probe) (metadb.Topology, error) {
	if len(probes) == 0 {
		return metadb.Topology{}, errors.New("no volumes given: the first start needs at least one")
	}
	if diffs := matchFirst(id.Cluster, probes); len(diffs) > 0 {
		return metadb.Topology{}, &TopologyError{FirstStart: true, Cluster: id.Cluster, Differences: diffs}
	}
	if id.Cluster == "" {
		id = metadb.Identity{Schema: metadb.SchemaVersion, Cluster: newUUID(), Created: e.now()}
	}
	t := metadb.Topology{
		Version: 1, Epoch: 1, Cluster: id.Cluster, Placement: placement.Version,
		NextVolume: meta.VolumeID(len(probes) + 1),
	}
	for i, p := range probes {
		number := meta.VolumeID(i + 1)
		t.Volumes = append(t.Volumes, metadb.Volume{Number: number, UUID: p.identity.Volume, Name: p.Name, Zone: p.Settings.zone()})
		giveSlots(&t, number, max(1, p.Settings.Weight))
	}
	if err := e.saveTopology(ctx, &id, t); err != nil {
		return t, err
	}
	failpoint.At("first/recorded")
	for i := range probes {
		if err := probes[i].expecting(probes[i].identity.Volume).Claim(ctx, id.Cluster); err != nil {
			return t, fmt.Errorf("claim volume %s: %w", probes[i].Name, err)
		}
		probes[i].identity.Cluster = id.Cluster
		failpoint.At("first/claimed")
	}
	t.Ready = true
	t.Version++
	return t, e.saveTopology(ctx, nil, t)
}

// saveTopology writes the topology and, where given, the identity.
func (e *Engine) saveTopology(ctx context.Context, id *metadb.Identity, t metadb.Topology) error {
	row, err := metadb.MarshalTopology(&t)
	if err != nil {
		return err
	}
	_, err = e.update(ctx, func(tx metadb.Tx) error {
		if id != nil {
			row, err := metadb.MarshalIdentity(*id)
			if err != nil {
				return err
			}
			if err := tx.Set(metadb.IdentityKey(), row); err != nil {
				return err
			}
		}
		return tx.Set(metadb.TopologyKey(), row)
	})
	if err != nil {
		return fmt.Errorf("record topology: %w", err)
	}
	return nil
}

// refreshNames notes where the volumes that answered are now.
func (e *Engine) refreshNames(t metadb.Topology, bound map[meta.VolumeID]probe) (_ metadb.Topology, changed bool) {
	volumes := make([]metadb.Volume, len(t.Volumes))
	for i, v := range t.Volumes {
		if p := bound[v.Number]; p.err == nil && p.Name != v.Name {
			e.log.Info("volume has moved", "volume", v.Number, "uuid", v.UUID, "from", v.Name, "to", p.Name)
			v.Name, changed = p.Name, true
		}
		volumes[i] = v
	}
	if changed {
		t.Volumes = volumes
		t.Version++
	}
	return t, changed
}

// bind makes the ways to the volumes of a topology.
func (e *Engine) bind(t metadb.Topology, probes map[meta.VolumeID]probe) map[meta.VolumeID]*boundVolume {
	bound := make(map[meta.VolumeID]*boundVolume, len(t.Volumes))
	for _, v := range t.Volumes {
		if v.State.Member() {
			bound[v.Number] = e.bindVolume(v, t.Cluster, probes[v.Number])
		}
	}
	return bound
}

// bindVolume makes the way to a volume that has answered, or that is down.
func (e *Engine) bindVolume(v metadb.Volume, cluster string, p probe) *boundVolume {
	b := &boundVolume{Volume: v, cluster: cluster, blobs: p.expecting(v.UUID), wake: e.prober.woken, asking: make(chan struct{}, 1)}
	b.Name = p.Name
	p.status.Identity = p.identity // it may have been claimed since
	at := newCondition(e.now(), p.status)
	if p.err != nil {
		at = at.tookDown(at.since, b.downError(p.err))
	}
	b.condition.Store(at)
	return b
}

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	b[6] = b[6]&0x0F | 0x40
	b[8] = b[8]&0x3F | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

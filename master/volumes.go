package master

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// boundVolume is a volume of the topology, the way to it, and what is known of its
// health. It stays the same through changes of the topology.
type boundVolume struct {
	metadb.Volume
	cluster string
	blobs   Blobs
	meter   meter

	condition atomic.Pointer[condition]
	wake      chan<- struct{} // the prober

	// What calls leave behind, see observe.go.
	alive    atomic.Bool           // one was answered since the last probe began
	failures atomic.Int32          // in a row
	failure  atomic.Pointer[error] // the last one
	latency  atomic.Int64          // nanoseconds to the first byte, an average; 0: not known

	asking   chan struct{} // holds one while a probe is out
	probedAt atomic.Int64  // when the last one went out, in Unix nanoseconds
	probed   probed
}

func (v *boundVolume) check(id volume.Identity) error {
	if id.Volume != v.UUID || id.Cluster != v.cluster {
		return fmt.Errorf("%w: volume %d: %s is volume %s of cluster %s, expected volume %s of cluster %s",
			volume.ErrWrongVolume, v.Number, v.Name, id.Volume, id.Cluster, v.UUID, v.cluster)
	}
	return nil
}

// volume returns the blobs of a recorded volume number. While the volume is down
// it fails at once.
func (e *Engine) volume(_ context.Context, number meta.VolumeID) (Blobs, error) {
	v, ok := e.layouts.now().volumes[number]
	if !ok {
		return nil, fmt.Errorf("%w: no volume has number %d", volume.ErrUnavailable, number)
	}
	if down := v.condition.Load().down; down != nil {
		return nil, down
	}
	return observed{v}, nil
}

// newBlobID returns a random id, none of those that are kept for metadata.
func newBlobID() volume.BlobID {
	for {
		var id volume.BlobID
		_, _ = rand.Read(id[:]) // never fails, by its contract
		if !id.Metadata() {
			return id
		}
	}
}

// Health says whether the store serves.
type Health struct {
	// Ready: the metadata answers, and enough volumes take data for a new object of
	// the usual number of replicas to be acknowledged. What lies on a volume that is
	// down, and nowhere else, can not be read all the same.
	Ready    bool
	Metadata string
	Volumes  []VolumeHealth // in order of number
}

// VolumeHealth is the state of one volume.
type VolumeHealth struct {
	Number  meta.VolumeID
	UUID    string
	Name    string
	Err     error         // why it is not used; nil: it answers, and is the one expected
	Since   time.Time     // when it came to be so
	Status  volume.Status // what it said when it last answered
	Latency time.Duration // to the first byte of a blob, of late; 0: not known

	Draining bool // it is being deleted: what it holds moves to the others
}

// failer is what a metadata store has that can end up read-only: the reason, nil
// while it takes writes.
type failer interface{ Failed() error }

// sealed returns why the metadata takes no writes, nil while it does.
func (e *Engine) sealed() error {
	if f, ok := e.db.(failer); ok {
		if err := f.Failed(); err != nil {
			return err
		}
	}
	if e.journal != nil {
		return e.journal.Refusal()
	}
	return nil
}

// metadataDisk says what room the metadata has; zero where it lies on no disk.
func (e *Engine) metadataDisk() metadb.Disk {
	if d, ok := e.db.(interface{ Disk() metadb.Disk }); ok {
		return d.Disk()
	}
	return metadb.Disk{}
}

// Health asks the metadata store, and says how the volumes were found when they
// were last asked, a second or two ago.
func (e *Engine) Health(ctx context.Context) Health {
	l := e.layouts.now()
	writable := 0
	h := Health{Volumes: make([]VolumeHealth, 0, len(l.volumes))}
	for _, v := range l.topology.Volumes {
		if !v.State.Member() {
			continue
		}
		of := l.volumes[v.Number].health()
		of.Draining = v.State == metadb.VolumeDraining
		h.Volumes = append(h.Volumes, of)
		if v.State == metadb.VolumeActive && l.volumes[v.Number].condition.Load().takesWrites() {
			writable++
		}
	}
	h.Ready = writable >= quorumOfCopies(max(1, l.topology.Replicas))
	err := e.view(ctx, func(tx metadb.Tx) error {
		_, err := tx.Get(metadb.IdentityKey())
		return err
	})
	if err == nil {
		err = e.sealed()
	}
	if err != nil {
		h.Ready, h.Metadata = false, err.Error()
	}
	return h
}

func (v *boundVolume) health() VolumeHealth {
	c := v.condition.Load()
	return VolumeHealth{
		Number: v.Number, UUID: v.UUID, Name: v.Name, Err: c.down, Since: c.since, Status: c.status,
		Latency: time.Duration(v.latency.Load()),
	}
}

// Topology returns the topology that the engine works with.
func (e *Engine) Topology() metadb.Topology { return e.layouts.now().topology }

package master

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// boundVolume is a volume of the topology and the way to it.
type boundVolume struct {
	metadb.Volume
	cluster string
	blobs   Blobs

	mu         sync.Mutex  // one identification at a time
	identified atomic.Bool // it has said that it is the volume expected
}

// use returns the volume's blobs once the volume is known to be the one that the
// topology means: a volume that was down at the start is asked when it is first
// needed.
func (v *boundVolume) use(ctx context.Context) (Blobs, error) {
	if v.identified.Load() {
		return v.blobs, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.identified.Load() {
		return v.blobs, nil
	}
	st, err := v.blobs.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("volume %d at %s: %w", v.Number, v.Name, err)
	}
	if err := v.check(st.Identity); err != nil {
		return nil, err
	}
	v.identified.Store(true)
	return v.blobs, nil
}

func (v *boundVolume) check(id volume.Identity) error {
	if id.Volume != v.UUID || id.Cluster != v.cluster {
		return fmt.Errorf("%w: volume %d: %s is volume %s of cluster %s, expected volume %s of cluster %s",
			volume.ErrWrongVolume, v.Number, v.Name, id.Volume, id.Cluster, v.UUID, v.cluster)
	}
	return nil
}

// volume returns the blobs of a recorded volume number.
func (e *Engine) volume(ctx context.Context, number meta.VolumeID) (Blobs, error) {
	v, ok := e.layouts.now().volumes[number]
	if !ok {
		return nil, fmt.Errorf("%w: no volume has number %d", volume.ErrUnavailable, number)
	}
	return v.use(ctx)
}

func newBlobID() volume.BlobID {
	var id volume.BlobID
	_, _ = rand.Read(id[:]) // never fails, by its contract
	return id
}

// healthTimeout bounds the question to one volume.
const healthTimeout = 3 * time.Second

// Health says whether the store can serve every object.
type Health struct {
	Ready    bool // the metadata answers and every volume is reachable and itself
	Metadata string
	Volumes  []VolumeHealth // in order of number
}

// VolumeHealth is the state of one volume. Err is nil for a volume that answered
// and is the one expected; Status is then set.
type VolumeHealth struct {
	Number meta.VolumeID
	UUID   string
	Name   string
	Err    error
	Status volume.Status

	Draining bool // it is being deleted: what it holds moves to the others
}

// failer is what a metadata store has that can end up read-only: the reason, nil
// while it takes writes.
type failer interface{ Failed() error }

// sealed returns why the metadata takes no writes any more, nil while it does.
func (e *Engine) sealed() error {
	if f, ok := e.db.(failer); ok {
		return f.Failed()
	}
	return nil
}

// Health asks the metadata store and every volume, all at once.
func (e *Engine) Health(ctx context.Context) Health {
	l := e.layouts.now()
	h := Health{Ready: true, Volumes: make([]VolumeHealth, 0, len(l.volumes))}
	var wg sync.WaitGroup
	for _, v := range l.topology.Volumes {
		if !v.State.Member() {
			continue
		}
		h.Volumes = append(h.Volumes, VolumeHealth{})
		into := &h.Volumes[len(h.Volumes)-1]
		wg.Go(func() {
			*into = l.volumes[v.Number].health(ctx)
			into.Draining = v.State == metadb.VolumeDraining
		})
	}
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
	wg.Wait()
	for _, v := range h.Volumes {
		h.Ready = h.Ready && v.Err == nil
	}
	return h
}

func (v *boundVolume) health(ctx context.Context) VolumeHealth {
	h := VolumeHealth{Number: v.Number, UUID: v.UUID, Name: v.Name}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	st, err := v.blobs.Status(ctx)
	if err == nil {
		err = v.check(st.Identity)
		v.identified.Store(err == nil) // a volume may have been swapped since
	}
	if err != nil {
		h.Err = err
		return h
	}
	h.Status = st
	return h
}

// Topology returns the topology that the engine works with.
func (e *Engine) Topology() metadb.Topology { return e.layouts.now().topology }

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"tdkvs/master"
	"tdkvs/master/metadb"
	"tdkvs/volume"
	"tdkvs/volume/volumehttp"
)

// remoteVolume is a volume process as the engine uses it. The client beneath
// names the volume that it expects in every request, so that a process with
// another volume at the same address refuses; which one that is, is learned
// here.
//
// While the engine opens, the volume is whatever answered last: the engine asks
// each who it is before anything else, and compares. Once it is open, expect
// fixes the answer for good, and no process that takes the address later can
// change it.
type remoteVolume struct {
	url      string
	client   *volumehttp.Client
	expected atomic.Pointer[volumehttp.Client]
	fixed    atomic.Bool
	failure  atomic.Pointer[error] // of the last Status; nil where it succeeded
}

var _ master.Blobs = (*remoteVolume)(nil)

func newRemoteVolume(url, secret string) (*remoteVolume, error) {
	client, err := volumehttp.NewClient(volumehttp.Config{URL: url, Secret: secret})
	if err != nil {
		return nil, err
	}
	v := &remoteVolume{url: url, client: client}
	v.expected.Store(client) // names no volume: refused, except for Status
	return v, nil
}

// expect fixes the volume that all requests are for.
func (v *remoteVolume) expect(uuid string) {
	v.fixed.Store(true)
	v.expected.Store(v.client.ForVolume(uuid))
}

// Status asks whoever is there, so that a wrong volume can be named.
func (v *remoteVolume) Status(ctx context.Context) (volume.Status, error) {
	status, err := v.client.Status(ctx)
	if err != nil {
		v.failure.Store(&err)
		return status, err
	}
	v.failure.Store(nil)
	if !v.fixed.Load() {
		v.expected.Store(v.client.ForVolume(status.Volume))
	}
	return status, nil
}

func (v *remoteVolume) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	return v.expected.Load().Put(ctx, id, size, body, desc)
}

func (v *remoteVolume) Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
	return v.expected.Load().Get(ctx, id, offset, length)
}

func (v *remoteVolume) Delete(ctx context.Context, ids []volume.BlobID) error {
	return v.expected.Load().Delete(ctx, ids)
}

func (v *remoteVolume) Claim(ctx context.Context, cluster string) error {
	return v.expected.Load().Claim(ctx, cluster)
}

// checkAnswers looks at what the volumes of an open engine answered. One that is
// down is waited for while the others serve; one that refuses the secret will
// not change its mind, so that is a failed start.
func checkAnswers(remotes []*remoteVolume, log *slog.Logger) error {
	var refusals []error
	for _, r := range remotes {
		switch failure := r.failure.Load(); {
		case failure == nil:
		case errors.Is(*failure, volume.ErrDenied):
			refusals = append(refusals, *failure)
		default:
			log.Warn("a volume can not be reached: what lies on it is unavailable until it is back", "volume", r.url, "error", *failure)
		}
	}
	return errors.Join(refusals...)
}

// expectTopology tells each remote volume which one it is, once the engine has
// paired them with the topology. The topology names those that answered, and
// those that did not under the address that they had before; a single one that
// is left belongs to the single address that is left.
func expectTopology(remotes []*remoteVolume, topology metadb.Topology) error {
	uuids := make(map[string]string, len(topology.Volumes))
	for _, v := range topology.Volumes {
		uuids[v.Name] = v.UUID
	}
	var left []*remoteVolume
	for _, r := range remotes {
		if uuid, ok := uuids[r.url]; ok {
			r.expect(uuid)
			delete(uuids, r.url)
		} else {
			left = append(left, r)
		}
	}
	if len(left) != len(uuids) || len(left) > 1 {
		return fmt.Errorf("%d volumes of the topology have no address", len(uuids))
	}
	for _, uuid := range uuids {
		left[0].expect(uuid)
	}
	return nil
}

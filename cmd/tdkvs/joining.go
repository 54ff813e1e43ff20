package main

import (
	"context"
	"fmt"
	"sync"

	"tdkvs/gateway"
	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/metadb"
)

// joining takes volume processes into the cluster of a master that runs.
type joining struct {
	engine *master.Engine
	secret string
	memory budgets

	mu     sync.Mutex // guards opened
	opened *closers   // of the master, which closes them when it serves no more
}

// add finds a volume at its URL and adds it.
func (j *joining) add(ctx context.Context, v adminapi.NewVolume) (metadb.Volume, error) {
	url, err := normalizeVolumeURL(v.URL)
	if err != nil {
		return metadb.Volume{}, fmt.Errorf("%w: %w", gateway.ErrVolumeURL, err)
	}
	remote, client, err := remoteVolume(url, j.secret, j.memory)
	if err != nil {
		return metadb.Volume{}, err
	}
	joined, err := j.engine.AddVolume(ctx, master.NewVolume{Volume: remote, Weight: v.Weight, Zone: v.Zone})
	if err != nil {
		_ = client.Close() // nobody uses it
		return metadb.Volume{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.opened.add("connections to "+url, client.Close)
	return joined, nil
}

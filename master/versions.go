package master

import (
	"context"
	"errors"

	"tdkvs/master/meta"
)

var errNotBuilt = errors.New("not built yet")

func (e *Engine) ListVersions(ctx context.Context, req meta.VersionsRequest) (meta.VersionsPage, error) {
	return meta.VersionsPage{}, errNotBuilt
}

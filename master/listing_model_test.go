package master_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"tdkvs/master/listtest"
	"tdkvs/master/meta"
)

// listed is a bucket of the engine as the model drives it.
type listed struct {
	s    *store
	name string
}

func (b *listed) Put(key string) (string, error) {
	o, err := b.s.PutObject(bg, meta.PutRequest{Bucket: b.name, Key: key, Size: 0}, newPayload(""))
	return orNull(o.VersionID), err
}

func (b *listed) Delete(key, versionID string) (string, error) {
	results, err := b.s.DeleteObjects(bg, b.name, []meta.DeleteItem{{Key: key, VersionID: versionID}})
	if err != nil {
		return "", err
	}
	return orNull(results[0].VersionID), results[0].Err
}

func (b *listed) SetVersioning(v meta.Versioning) error {
	return b.s.SetBucketVersioning(bg, b.name, v)
}

func (b *listed) Objects(req meta.ListRequest) (meta.ListPage, error) {
	req.Bucket = b.name
	return b.s.ListObjects(bg, req)
}

func (b *listed) Versions(req meta.VersionsRequest) (meta.VersionsPage, error) {
	req.Bucket = b.name
	page, err := b.s.ListVersions(bg, req)
	for i := range page.Versions {
		page.Versions[i].VersionID = orNull(page.Versions[i].VersionID)
	}
	return page, err
}

// orNull names the null version as S3 shows it.
func orNull(id string) string {
	if id == "" {
		return meta.NullVersion
	}
	return id
}

// modelListings compares the store with the reference. Its buckets lie side by side,
// so that a listing that runs over the end of its own is noticed.
func (s *store) modelListings(percent int) {
	s.t.Helper()
	cfg := listtest.FromEnv(s.t, percent)
	cfg.Letters = append(cfg.Letters, "\x00", "\xff", "\xfe") // which S3 lets nobody write, and others may
	n := 0
	cfg.New = func() listtest.Bucket {
		n++
		s.clock.advance(time.Hour)
		s.collect()
		b := &listed{s, fmt.Sprintf("model-%04d", n)}
		s.createBucket(b.name)
		return b
	}
	listtest.Run(s.t, cfg)
}

// TestListingModel compares every listing with the reference.
func TestListingModel(t *testing.T) {
	t.Parallel()
	newStore(t).modelListings(75)
}

// The same over Badger, whose cursors are others.
func TestListingModelOnDisk(t *testing.T) {
	t.Parallel()
	s := &store{t: t, clock: newClock(), log: &lockedBuffer{}}
	defer s.onDisk(filepath.Join(t.TempDir(), "store"))()
	s.modelListings(10)
}

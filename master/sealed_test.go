package master_test

import (
	"fmt"
	"strings"
	"testing"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

func TestHealthOfMetadata(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 1)
	s.open()
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if h := s.Health(bg); h.Ready || h.Metadata == "" || h.Volumes[0].Err != nil {
		t.Errorf("health is %+v", h)
	}
}

// sealedDB is a metadata store that reads, and takes no writes any more.
type sealedDB struct{ metadb.DB }

func (sealedDB) Failed() error { return fmt.Errorf("%w: fsync: input/output error", metadb.ErrFailed) }

func TestHealthOfSealedMetadata(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 1)
	cfg := s.config()
	cfg.DB = sealedDB{cfg.DB}
	e, err := master.Open(bg, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if h := e.Health(bg); h.Ready || !strings.Contains(h.Metadata, "input/output error") {
		t.Errorf("health is %+v", h)
	}
}

// TestSealedMetadataTakesNoBodies writes to a store whose metadata is read-only:
// a body that no commit can come to refer to must not be stored, for nothing
// would ever remove it.
func TestSealedMetadataTakesNoBodies(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 1)
	s.open()
	s.createBucket(bucket)
	up := s.createUpload("k")
	cfg := s.config()
	cfg.DB = sealedDB{cfg.DB}
	s.openWith(cfg)
	if _, err := s.tryPut("k", "body", meta.Precondition{}); meta.KindOf(err) != meta.KindReadOnly {
		t.Errorf("put: %v, want KindReadOnly", err)
	}
	if _, err := s.tryPutPart(up, 1, "body"); meta.KindOf(err) != meta.KindReadOnly {
		t.Errorf("put part: %v, want KindReadOnly", err)
	}
	if n := s.blobs(); n != 0 {
		t.Errorf("%d blobs were stored", n)
	}
}

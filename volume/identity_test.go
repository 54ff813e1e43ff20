package volume_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

const (
	identityPath     = dir + "/volume.json"
	identityCopyPath = dir + "/volume.copy.json"
)

func TestLockedDirectory(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	s := open(t, small(mem))
	_, err := volume.Open(small(mem))
	if !errors.Is(err, volume.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second open: %v, want ErrLocked that names %s", err, dir)
	}
	closeStore(t, s)
	s = open(t, small(mem))
	closeStore(t, s)
	closeStore(t, s) // again is no error
	if _, err := s.Status(t.Context()); !errors.Is(err, volume.ErrUnavailable) {
		t.Errorf("status of a closed store: %v", err)
	}
	if err := put(t.Context(), s, volume.BlobID{1}, nil); !errors.Is(err, volume.ErrUnavailable) {
		t.Errorf("put into a closed store: %v", err)
	}
	if err := s.Run(t.Context()); !errors.Is(err, volume.ErrUnavailable) {
		t.Errorf("run of a closed store: %v", err)
	}
}

func TestIdentityLasts(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	s := open(t, small(mem))
	first := s.Identity()
	if _, err := uuid.Parse(first.Volume); err != nil || first.Cluster != "" {
		t.Errorf("a new volume is %+v", first)
	}
	if err := s.Claim(t.Context(), "cluster"); err != nil {
		t.Fatal(err)
	}
	// A power cut right after the claim.
	s = open(t, small(mem.CrashClone()))
	if got := s.Identity(); got.Volume != first.Volume || got.Cluster != "cluster" {
		t.Errorf("after a crash the volume is %+v, it was %+v", got, first)
	}
	closeStore(t, s)
}

func TestIdentityDamage(t *testing.T) {
	t.Parallel()
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	empty := func([]byte) []byte { return nil }
	for name, damage := range map[string]func([]byte) []byte{"flipped": flip, "empty": empty} {
		mem := vfs.NewMem()
		s := open(t, small(mem))
		id := s.Identity()
		closeStore(t, s)
		for _, file := range []string{identityPath, identityCopyPath} {
			whole := readFile(t, mem, file)
			edit(t, mem, file, damage)
			s := open(t, small(mem))
			if s.Identity() != id {
				t.Errorf("%s %s: the volume is %+v, it was %+v", name, file, s.Identity(), id)
			}
			closeStore(t, s)
			if !bytes.Equal(readFile(t, mem, file), whole) {
				t.Errorf("%s %s was not repaired", name, file)
			}
		}
		edit(t, mem, identityPath, damage)
		edit(t, mem, identityCopyPath, damage)
		if _, err := volume.Open(small(mem)); err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), identityPath) {
			t.Errorf("%s both: %v", name, err)
		}
	}
}

func TestIdentityMissing(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	s := open(t, small(mem))
	mustPut2(t, s, 1, 10)
	closeStore(t, s)
	if err := errors.Join(mem.Remove(identityPath), mem.Remove(identityCopyPath)); err != nil {
		t.Fatal(err)
	}
	if _, err := volume.Open(small(mem)); err == nil || !strings.Contains(err.Error(), "volume.json is missing") {
		t.Errorf("blobs without identity: %v", err)
	}
}

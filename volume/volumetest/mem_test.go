package volumetest

import (
	"bytes"
	"errors"
	"testing"

	"tdkvs/volume"
)

func TestMem(t *testing.T) {
	t.Parallel()
	RunFactory(t, Factory{
		Open:   func(*testing.T) volume.Blobs { return NewMem() },
		Reopen: func(_ *testing.T, b volume.Blobs) volume.Blobs { return b },
		Corrupt: func(t *testing.T, b volume.Blobs, id volume.BlobID, offset int64) {
			if !b.(*Mem).Corrupt(id, offset) {
				t.Fatalf("no byte %d in %s", offset, id)
			}
		},
	})
}

func TestMemRefusesWrites(t *testing.T) {
	t.Parallel()
	m := NewMem()
	m.SetCapacity(100)
	put := func(n int) error {
		return m.Put(t.Context(), newID(), int64(n), bytes.NewReader(payload(n)), noDescriptor)
	}
	if err := put(60); err != nil {
		t.Fatal(err)
	}
	if err := put(60); !errors.Is(err, volume.ErrNoSpace) {
		t.Errorf("put beyond the capacity: %v, want ErrNoSpace", err)
	}
	m.SetReadOnly("for the test")
	if err := put(1); !errors.Is(err, volume.ErrReadOnly) {
		t.Errorf("put: %v, want ErrReadOnly", err)
	}
	if err := m.Delete(t.Context(), nil); !errors.Is(err, volume.ErrReadOnly) {
		t.Errorf("delete: %v, want ErrReadOnly", err)
	}
}

package volumehttp

import (
	"log/slog"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
	"tdkvs/volume/volumetest"
)

func TestConformanceOverMem(t *testing.T) {
	t.Parallel()
	volumetest.RunFactory(t, volumetest.Factory{
		Open: func(t *testing.T) volume.Blobs {
			mem := volumetest.NewMem()
			f := serve(t, mem, ServerConfig{Secret: testSecret}, nil)
			return &memClient{f.dial(t, func(c *Config) { c.Secret = testSecret }), mem}
		},
		Corrupt: func(t *testing.T, b volume.Blobs, id volume.BlobID, offset int64) {
			if !b.(*memClient).mem.Corrupt(id, offset) {
				t.Fatalf("no byte %d in %s", offset, id)
			}
		},
	})
}

// memClient knows the store behind its client.
type memClient struct {
	*Client
	mem *volumetest.Mem
}

// TestConformanceShortOfMemory runs the suite while others have used up the
// memory for payloads: they are streamed.
func TestConformanceShortOfMemory(t *testing.T) {
	t.Parallel()
	for _, memory := range []int64{0, 1500 << 10} {
		volumetest.Run(t, func(t *testing.T) volume.Blobs {
			budget := volume.NewBudget(memory)
			t.Cleanup(func() {
				if !budget.Take(memory) || budget.Take(1) {
					t.Error("the budget is not what it was at the beginning")
				}
			})
			return serve(t, volumetest.NewMem(), ServerConfig{}, nil).dial(t, func(c *Config) { c.WriteBudget = budget })
		})
	}
}

func TestConformanceOverStore(t *testing.T) {
	t.Parallel()
	volumetest.Run(t, func(t *testing.T) volume.Blobs {
		store, err := volume.Open(volume.Config{Dir: "/volume", FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return serve(t, store, ServerConfig{}, nil).dial(t, nil)
	})
}

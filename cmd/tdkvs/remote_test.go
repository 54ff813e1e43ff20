package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"tdkvs/master"
	"tdkvs/volume"
	"tdkvs/volume/vfs"
	"tdkvs/volume/volumehttp"
)

// newVolumeServer serves a new volume in memory, and returns its UUID and its
// handler.
func newVolumeServer(t *testing.T) (string, *volumehttp.Server) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := volume.Open(volume.Config{FS: vfs.NewMem(), Dir: "/volume", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	server, err := volumehttp.NewServer(t.Context(), store, volumehttp.ServerConfig{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	status, err := store.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status.Volume, server
}

// TestRemoteVolumeStaysItself: a process that takes the address of a volume is
// not taken for it.
func TestRemoteVolumeStaysItself(t *testing.T) {
	t.Parallel()
	first, firstServer := newVolumeServer(t)
	second, secondServer := newVolumeServer(t)
	var current atomic.Pointer[volumehttp.Server]
	current.Store(firstServer)
	httpServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { current.Load().ServeHTTP(w, r) }))
	t.Cleanup(httpServer.Close)

	remote, client, err := remoteVolume(httpServer.URL, "", newBudgets())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx := t.Context()
	put := func(blobs master.Blobs, id byte) error {
		return blobs.Put(ctx, volume.BlobID{id}, 5, strings.NewReader("hello"), func() ([]byte, error) { return nil, nil })
	}
	if err := put(remote.Blobs, 1); !errors.Is(err, volume.ErrWrongVolume) {
		t.Errorf("before it is known which volume is meant: %v", err)
	}
	bound := remote.ForVolume(first)
	if err := put(bound, 1); err != nil {
		t.Error(err)
	}
	current.Store(secondServer)
	firstServer.Shutdown(ctx) // a process that has gone holds no connections
	if status, err := bound.Status(ctx); err == nil && status.Volume != second {
		t.Errorf("status of %s: %v", status.Volume, err)
	}
	if err := put(bound, 2); !errors.Is(err, volume.ErrWrongVolume) {
		t.Errorf("another volume at the same address: %v", err)
	}
	current.Store(firstServer)
	if err := put(bound, 2); err != nil {
		t.Error(err)
	}
	if _, _, err := remoteVolume("a:1", "", newBudgets()); err == nil {
		t.Error("no URL: no error")
	}
}

func TestCheckAnswers(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	down := master.VolumeHealth{Name: "http://a:1", Err: volume.ErrUnavailable}
	denied := master.VolumeHealth{Name: "http://b:1", Err: fmt.Errorf("b: %w", volume.ErrDenied)}
	if err := checkAnswers(master.Health{Volumes: []master.VolumeHealth{{}, down}}, log); err != nil {
		t.Errorf("one is down: %v", err)
	}
	if err := checkAnswers(master.Health{Volumes: []master.VolumeHealth{down, denied}}, log); !errors.Is(err, volume.ErrDenied) {
		t.Errorf("one refuses the secret: %v", err)
	}
}

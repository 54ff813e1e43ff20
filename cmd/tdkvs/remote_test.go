package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"tdkvs/master/metadb"
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
// not taken for it, however often it is asked who it is.
func TestRemoteVolumeStaysItself(t *testing.T) {
	t.Parallel()
	first, firstServer := newVolumeServer(t)
	second, secondServer := newVolumeServer(t)
	var current atomic.Pointer[volumehttp.Server]
	current.Store(secondServer)
	httpServer := httptest.NewServer(httpHandler(func() *volumehttp.Server { return current.Load() }))
	t.Cleanup(httpServer.Close)

	remote, err := newRemoteVolume(httpServer.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remote.client.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx := t.Context()
	put := func(id byte) error {
		return remote.Put(ctx, volume.BlobID{id}, 5, strings.NewReader("hello"), func() ([]byte, error) { return nil, nil })
	}
	if err := put(1); !errors.Is(err, volume.ErrWrongVolume) {
		t.Errorf("before anybody was asked: %v", err)
	}
	ask := func(want string) {
		t.Helper()
		if status, err := remote.Status(ctx); err != nil || status.Volume != want {
			t.Errorf("status of %s, %v; want %s", status.Volume, err, want)
		}
	}
	ask(second)
	current.Store(firstServer)
	ask(first) // the engine is still opening: the last answer counts
	if err := put(2); err != nil {
		t.Error(err)
	}
	remote.expect(first)
	current.Store(secondServer)
	ask(second) // as the health check does
	if err := put(3); !errors.Is(err, volume.ErrWrongVolume) {
		t.Errorf("another volume at the same address: %v", err)
	}
	current.Store(firstServer)
	if err := put(3); err != nil {
		t.Error(err)
	}
}

func TestExpectTopology(t *testing.T) {
	t.Parallel()
	remote := func(url string) *remoteVolume {
		r, err := newRemoteVolume(url, "")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	topology := metadb.Topology{Volumes: []metadb.Volume{{Name: "http://a:1", UUID: "A"}, {Name: "http://b:1", UUID: "B"}, {Name: "http://c:1", UUID: "C"}}}
	b, c, moved, other := remote("http://b:1"), remote("http://c:1"), remote("http://d:1"), remote("http://e:1")
	if err := expectTopology([]*remoteVolume{moved, c, b}, topology); err != nil {
		t.Error(err)
	}
	for _, r := range []*remoteVolume{b, c, moved} {
		if !r.fixed.Load() {
			t.Errorf("%s is not fixed", r.url)
		}
	}
	if err := expectTopology([]*remoteVolume{moved, other, b}, topology); err == nil {
		t.Error("two volumes without an address: no error")
	}
	if err := expectTopology([]*remoteVolume{c, b}, topology); err == nil {
		t.Error("too few: no error")
	}
	if _, err := newRemoteVolume("a:1", ""); err == nil {
		t.Error("no URL: no error")
	}
	if err := b.Claim(context.Background(), "x"); !errors.Is(err, volume.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
}

// httpHandler serves with whichever server is current.
func httpHandler(current func() *volumehttp.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { current().ServeHTTP(w, r) })
}

package volumehttp

import (
	"net/http/httptest"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

func TestSmoke(t *testing.T) {
	volumetest.Run(t, func(t *testing.T) volume.Blobs {
		s, err := NewServer(t.Context(), volumetest.NewMem(), ServerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		h := httptest.NewServer(s)
		t.Cleanup(h.Close)
		c, err := NewClient(Config{URL: h.URL, VolumeUUID: s.volume})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	})
}

package volumehttp

import (
	"bytes"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// TestProxy: a proxy may stand before a volume, for the sake of TLS, whose connections
// carry all kinds of requests.
func TestProxy(t *testing.T) {
	t.Parallel()
	f := serve(t, volumetest.NewMem(), ServerConfig{}, nil)
	to, err := url.Parse(f.url)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(httputil.NewSingleHostReverseProxy(to))
	t.Cleanup(front.Close)
	c := (&fixture{url: front.URL, volume: f.volume}).dial(t, nil)
	for i := range 10 {
		put(t, c, testID(i), testData(4096))
		if got, err := read(t.Context(), c, testID(i), 0, -1); err != nil || !bytes.Equal(got, testData(4096)) {
			t.Errorf("read %d: %v", i, err)
		}
		if _, err := c.Stat(t.Context(), testID(i)); err != nil {
			t.Errorf("stat %d: %v", i, err)
		}
		if err := c.Delete(t.Context(), []volume.BlobID{testID(i)}); err != nil {
			t.Errorf("delete %d: %v", i, err)
		}
	}
}

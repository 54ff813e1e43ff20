package volumehttp

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sign signs a request of net/http.
func sign(r *http.Request, by *signer, now time.Time) {
	r.Header.Set(headerAuth, string(by.appendSigned(nil, r.Method, r.URL.RequestURI(), r.Header.Get(headerVolume), now)))
}

func TestSecret(t *testing.T) {
	t.Parallel()
	f := serve(t, volumetest.NewMem(), ServerConfig{Secret: testSecret, Now: func() time.Time { return testNow }}, nil)
	tests := []struct {
		name   string
		secret string
		skew   time.Duration
		ok     bool
	}{
		{"right", testSecret, 0, true},
		{"none", "", 0, false},
		{"wrong", testSecret + "!", 0, false},
		{"slow clock", testSecret, -15 * time.Minute, true},
		{"fast clock", testSecret, 15 * time.Minute, true},
		{"too slow", testSecret, -15*time.Minute - time.Second, false},
		{"too fast", testSecret, 15*time.Minute + time.Second, false},
	}
	for _, test := range tests {
		c := f.dial(t, func(c *Config) {
			c.Secret = test.secret
			c.Now = func() time.Time { return testNow.Add(test.skew) }
		})
		_, err := c.Status(t.Context())
		putErr := c.Put(t.Context(), testID(1), -1, strings.NewReader("x"), testDescriptor)
		if test.ok {
			if err != nil || putErr != nil && !errors.Is(putErr, volume.ErrExists) {
				t.Errorf("%s: %v, %v", test.name, err, putErr)
			}
			continue
		}
		expectError(t, test.name, err, volume.ErrDenied)
		expectError(t, test.name, putErr, volume.ErrDenied)
	}
}

// TestSignatureCovers changes each signed part of a request after it was signed.
func TestSignatureCovers(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*http.Request){
		"nothing": func(*http.Request) {},
		"method":  func(r *http.Request) { r.Method = http.MethodPost },
		"path":    func(r *http.Request) { r.RequestURI = "/v1/blobs/x" },
		"query":   func(r *http.Request) { r.RequestURI += "0" },
		"volume":  func(r *http.Request) { r.Header.Set(headerVolume, "other") },
		"timestamp": func(r *http.Request) {
			r.Header[headerAuth][0] = strings.Replace(r.Header[headerAuth][0], " 1", " 2", 1)
		},
		"signature": func(r *http.Request) { r.Header[headerAuth][0] += "00" },
		"scheme":    func(r *http.Request) { r.Header[headerAuth][0] = "Bearer" + r.Header[headerAuth][0] },
		"absent":    func(r *http.Request) { r.Header.Del(headerAuth) },
		"not hex":   func(r *http.Request) { r.Header.Set(headerAuth, authScheme+" 1 zz") },
		"empty":     func(r *http.Request) { r.Header.Set(headerAuth, authScheme+" 1 ") },
	}
	for name, change := range changes {
		r := httptest.NewRequest(http.MethodGet, "/v1/blobs?limit=1", nil)
		r.Header.Set(headerVolume, "volume")
		sign(r, newSigner(testSecret), testNow)
		change(r)
		err := newSigner(testSecret).authorize(r, testNow)
		if name == "nothing" && err != nil {
			t.Errorf("unchanged: %v", err)
		}
		if name != "nothing" && !errors.Is(err, volume.ErrDenied) {
			t.Errorf("%s changed: %v, want ErrDenied", name, err)
		}
	}
}

func TestLoopbackOnlyWithoutSecret(t *testing.T) {
	t.Parallel()
	s, err := NewServer(t.Context(), volumetest.NewMem(), quiet(ServerConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	for peer, want := range map[string]int{
		"127.0.0.1:1234":            http.StatusOK,
		"127.8.9.1:1234":            http.StatusOK,
		"[::1]:1234":                http.StatusOK,
		"[::ffff:127.0.0.1]:1234":   http.StatusOK,
		"10.0.0.5:1234":             http.StatusForbidden,
		"[2001:db8::1]:1234":        http.StatusForbidden,
		"[::ffff:10.0.0.5]:1234":    http.StatusForbidden,
		"0.0.0.0:1234":              http.StatusForbidden,
		"127.0.0.1.example.com:123": http.StatusForbidden,
		"@":                         http.StatusForbidden,
		"":                          http.StatusForbidden,
	} {
		r := httptest.NewRequest(http.MethodGet, "/v1/status", nil)
		r.RemoteAddr = peer
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("peer %q: %d, want %d", peer, w.Code, want)
		}
		if want == http.StatusForbidden {
			if body := w.Body.String(); !strings.Contains(body, `"code":"denied"`) || !strings.Contains(body, "set cluster_secret") {
				t.Errorf("peer %q: %s does not say how to fix it", peer, body)
			}
			if w.Header().Get(headerVolume) != "" {
				t.Errorf("peer %q was told the volume", peer)
			}
		}
	}
}

func TestSecretOffLoopback(t *testing.T) {
	t.Parallel()
	s, err := NewServer(t.Context(), volumetest.NewMem(), quiet(ServerConfig{Secret: testSecret}))
	if err != nil {
		t.Fatal(err)
	}
	for _, signed := range []bool{true, false} {
		r := httptest.NewRequest(http.MethodGet, "/v1/status", nil)
		r.RemoteAddr = "10.0.0.5:1234"
		want := http.StatusForbidden
		if signed {
			sign(r, newSigner(testSecret), time.Now())
			want = http.StatusOK
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("signed %v: %d, want %d", signed, w.Code, want)
		}
	}
}

func TestWrongVolume(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	f := serve(t, mem, ServerConfig{}, nil)
	put(t, mem, testID(1), []byte("x"))
	for _, uuid := range []string{"another", ""} {
		c := f.dial(t, func(c *Config) { c.VolumeUUID = uuid })
		calls := map[string]func() error{
			"put": func() error {
				return c.Put(t.Context(), testID(2), -1, strings.NewReader("x"), testDescriptor)
			},
			"get":    func() error { _, err := c.Get(t.Context(), testID(1), 0, -1); return err },
			"stat":   func() error { _, err := c.Stat(t.Context(), testID(1)); return err },
			"delete": func() error { return c.Delete(t.Context(), []volume.BlobID{testID(1)}) },
			"list":   func() error { _, err := c.List(t.Context(), volume.BlobID{}, 1); return err },
			"verify": func() error { return c.Verify(t.Context(), testID(1)) },
			"claim":  func() error { return c.Claim(t.Context(), "cluster") },
		}
		if uuid != "" {
			calls["status"] = func() error { _, err := c.Status(t.Context()); return err }
		}
		for name, call := range calls {
			expectError(t, name+" expecting "+uuid, call(), volume.ErrWrongVolume)
		}
	}
	// The first question tells the volume; from then on it is expected.
	c := f.dial(t, func(c *Config) { c.VolumeUUID = "" })
	status, err := c.Status(t.Context())
	if err != nil || status.Volume != f.volume {
		t.Fatalf("status: %+v, %v", status, err)
	}
	if data, err := read(t.Context(), c.ForVolume(status.Volume), testID(1), 0, -1); string(data) != "x" {
		t.Errorf("get: %q, %v", data, err)
	}
	if status.Blobs != 1 || status.Cluster != "" {
		t.Errorf("a refused request changed something: %+v", status)
	}
}

// TestServerChecksVolume asks without the client's own precautions.
func TestServerChecksVolume(t *testing.T) {
	t.Parallel()
	s, err := NewServer(t.Context(), volumetest.NewMem(), quiet(ServerConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodDelete, blobPath(testID(1)), nil)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusMisdirectedRequest {
		t.Errorf("no volume named: %d, want 421", w.Code)
	}
}

func FuzzAuthorize(f *testing.F) {
	f.Add(authScheme+" 1772366400 00", "/v1/status")
	f.Add("Basic eA==", "/")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, header, uri string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RequestURI = uri
		r.Header.Set(headerAuth, header)
		if err := newSigner(testSecret).authorize(r, testNow); !errors.Is(err, volume.ErrDenied) {
			t.Errorf("authorized: %v", err)
		}
	})
}

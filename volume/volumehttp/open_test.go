package volumehttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// open reads a whole blob by Open.
func open(ctx context.Context, b volume.Blobs, id volume.BlobID) (volume.Info, []byte, error) {
	info, r, err := b.Open(ctx, id, 0, -1)
	if err != nil {
		return info, nil, err
	}
	data, err := io.ReadAll(r)
	return info, data, errors.Join(err, r.Close())
}

// TestDamagedOpen flips each bit of the answer to an Open, and cuts it: wrong bytes
// are never handed out, and never a wrong word on what the blob is.
func TestDamagedOpen(t *testing.T) {
	t.Parallel()
	for size, dense := range map[int]int64{300: 700, 200_000: 450} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			data := testData(size)
			put(t, l.mem, testID(0), data)
			want, err := l.mem.Stat(t.Context(), testID(0))
			if err != nil {
				t.Fatal(err)
			}
			damaged := 0
			for _, at := range positions(dense, int64(size), 20_011) {
				for _, h := range []harm{{flipDown: at, bit: uint(at) % 8}, {cutDown: at}} {
					var info volume.Info
					var got []byte
					err := l.harmed(h, func() (err error) {
						info, got, err = open(t.Context(), l.client, testID(0))
						return err
					})
					if err == nil && !bytes.Equal(got, data) || !bytes.HasPrefix(data, got) {
						t.Fatalf("%+v: wrong bytes handed out, %v", h, err)
					}
					if info.Size != 0 && (info.Size != want.Size || string(info.Descriptor) != "descriptor" || !info.Created.Equal(want.Created)) {
						t.Fatalf("%+v: %+v, want %+v; %v", h, info, want, err)
					}
					if err != nil {
						damaged++
					}
					if errors.Is(err, volume.ErrCorrupt) {
						t.Errorf("%+v: %v: the stored bytes are sound", h, err)
					}
				}
			}
			if damaged == 0 {
				t.Error("no harm was noticed")
			}
		})
	}
}

// TestOpenOfOlderServer asks a server that does not know of the info frame: that
// says nothing of the blob.
func TestOpenOfOlderServer(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	put(t, mem, testID(1), testData(100))
	put(t, mem, testID(2), nil)
	c := serve(t, mem, ServerConfig{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = ""
			r.Header.Del(headerLane)
			h.ServeHTTP(w, r)
		})
	}).dial(t, nil)
	for _, id := range []volume.BlobID{testID(1), testID(2)} {
		_, _, err := open(t.Context(), c, id)
		expectError(t, "open", err, volume.ErrUnavailable)
	}
}

// TestOpenOfLiar asks a server whose store tells another size than it has.
func TestOpenOfLiar(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{-1, 0, 99, 101, 1 << 40} {
		l := &liar{Mem: volumetest.NewMem(), size: size}
		put(t, l.Mem, testID(1), testData(100))
		_, _, err := open(t.Context(), serve(t, l, ServerConfig{}, nil).dial(t, nil), testID(1))
		expectError(t, fmt.Sprintf("size %d", size), err, volume.ErrUnavailable)
	}
}

type liar struct {
	*volumetest.Mem
	size int64
}

func (l *liar) Open(ctx context.Context, id volume.BlobID, offset, length int64) (volume.Info, io.ReadCloser, error) {
	info, r, err := l.Mem.Open(ctx, id, offset, length)
	info.Size = l.size
	return info, r, err
}

// TestOpenIsOneRequest: a small blob comes whole in one answer of known length.
func TestOpenIsOneRequest(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	s, err := NewServer(t.Context(), mem, quiet(ServerConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	put(t, mem, testID(1), testData(16<<10))
	ask := func(query string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, blobPath(testID(1))+query, nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set(headerVolume, s.volume)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	w := ask("?info=first")
	p, err := parse(testID(1), 0, w.Body.Bytes())
	if err != nil || p.kinds != "IDZ" || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
		t.Errorf("%d: frames %s of %s bytes, %v", w.Code, p.kinds, w.Header().Get("Content-Length"), err)
	}
	if w := ask("?info=last"); w.Header().Get(headerError) != "invalid" {
		t.Errorf("?info=last: %d %s", w.Code, w.Body)
	}
}

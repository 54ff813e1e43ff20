package volumehttp

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// Every test here puts a proxy between client and server that harms what goes
// through it, at every byte of an exchange or at some of a long one.

const patience = 150 * time.Millisecond // for a peer that waits for bytes that never come

// lab is a client and a server with a proxy between.
type lab struct {
	mem    *volumetest.Mem
	proxy  *proxy
	client *Client
}

func newLab(t *testing.T) *lab {
	mem := volumetest.NewMem()
	f := serve(t, mem, ServerConfig{IdleTimeout: patience}, nil)
	p := newProxy(t, f)
	c := f.dial(t, func(c *Config) {
		impatient(patience)(c)
		c.URL = p.url
	})
	return &lab{mem: mem, proxy: p, client: c}
}

// toTheEnd is the length of a read of all: in turns said, which goes by a lane, and not.
func toTheEnd(turn int, data []byte) int64 {
	if turn%2 == 0 {
		return int64(len(data))
	}
	return -1
}

// harmed runs call over a fresh connection that is harmed.
func (l *lab) harmed(h harm, call func() error) error {
	l.proxy.set(h)
	err := call()
	_ = l.client.Close() // a connection that survived must not serve the next call
	return err
}

// positions returns the bytes of an exchange to harm: many of the first ones,
// which hold the headers and the first frame, and then samples. With the
// environment variable TDKVS_THOROUGH it is all of the first ones.
func positions(dense, total, step int64) []int64 {
	stride := int64(5)
	if os.Getenv("TDKVS_THOROUGH") != "" {
		stride = 1
	}
	var all []int64
	for at := int64(1); at <= min(dense, total); at += stride {
		all = append(all, at)
	}
	for at := dense + 1; at <= total; at += step {
		all = append(all, at)
	}
	return all
}

func TestDamagedPut(t *testing.T) {
	t.Parallel()
	for size, dense := range map[int]int64{300: 700, maxBuffered + 200_000: 350} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			data := testData(size)
			damaged := 0
			for i, at := range positions(dense, int64(size), 120_013) {
				id := testID(i)
				err := l.harmed(harm{flipUp: at, bit: uint(at) % 8}, func() error {
					return l.client.Put(t.Context(), id, int64(size), bytes.NewReader(data), testDescriptor)
				})
				if err != nil {
					damaged++
					continue
				}
				got, err := read(t.Context(), l.mem, id, 0, -1)
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("byte %d flipped, put acknowledged: %d bytes, %v", at, len(got), err)
				}
			}
			if damaged == 0 {
				t.Error("no flipped bit was noticed")
			}
			l.checkStored(t, data)
		})
	}
}

// checkStored reads all that was stored: sound, or not at all.
func (l *lab) checkStored(t *testing.T, data []byte) {
	t.Helper()
	infos, err := l.mem.List(t.Context(), volume.BlobID{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		stat, statErr := l.mem.Stat(t.Context(), info.ID)
		got, err := read(t.Context(), l.mem, info.ID, 0, -1)
		if err != nil || statErr != nil || !bytes.Equal(got, data) || string(stat.Descriptor) != "descriptor" {
			t.Errorf("%s was stored damaged: %d bytes, %q", info.ID, len(got), stat.Descriptor)
		}
	}
}

func TestDamagedGet(t *testing.T) {
	t.Parallel()
	for size, dense := range map[int]int64{300: 600, 600_000: 250} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			data := testData(size)
			put(t, l.mem, testID(0), data)
			damaged := 0
			for i, at := range positions(dense, int64(size), 20_011) {
				var got []byte
				err := l.harmed(harm{flipDown: at, bit: uint(at) % 8}, func() (err error) {
					got, err = read(t.Context(), l.client, testID(0), 0, toTheEnd(i, data))
					return err
				})
				if err == nil && !bytes.Equal(got, data) || !bytes.HasPrefix(data, got) {
					t.Fatalf("byte %d flipped: wrong bytes handed out, %v", at, err)
				}
				if err != nil {
					damaged++
				}
				if errors.Is(err, volume.ErrCorrupt) {
					t.Errorf("byte %d flipped: %v: the stored bytes are sound", at, err)
				}
			}
			if damaged == 0 {
				t.Error("no flipped bit was noticed")
			}
		})
	}
}

// TestDamagedMessages flips each byte of the answers that are no payload.
func TestDamagedMessages(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for i := range 3 {
		put(t, l.mem, testID(i), testData(100))
	}
	bad := testID(9)
	put(t, l.mem, bad, testData(100))
	l.mem.Corrupt(bad, 50)
	if err := l.mem.Verify(t.Context(), bad); err == nil {
		t.Fatal("nothing is damaged")
	}
	answers := map[string]func() (string, error){
		"stat": func() (string, error) {
			info, err := l.client.Stat(t.Context(), testID(1))
			return fmt.Sprint(info), err
		},
		"list": func() (string, error) {
			infos, err := l.client.List(t.Context(), volume.BlobID{}, 10)
			return fmt.Sprint(infos), err
		},
		"status": func() (string, error) {
			status, err := l.client.Status(t.Context())
			status.CorruptReads = 0 // counts on
			return fmt.Sprint(status), err
		},
		"damaged": func() (string, error) {
			found, err := l.client.Damaged(t.Context(), 0, 10)
			return fmt.Sprint(found), err
		},
		"verify": func() (string, error) { return "", l.client.Verify(t.Context(), bad) },
	}
	for name, ask := range answers {
		l.proxy.set(harm{})
		want, wantErr := ask()
		_ = l.client.Close()
		if (wantErr != nil) != (name == "verify") {
			t.Fatalf("%s: %v", name, wantErr)
		}
		for _, at := range positions(500, 500, 1) {
			err := l.harmed(harm{flipDown: at, bit: uint(at) % 8}, func() error {
				got, err := ask()
				if err == nil && (got != want || wantErr != nil) {
					t.Errorf("%s: byte %d flipped: %s", name, at, got)
				}
				return err
			})
			if errors.Is(err, volume.ErrNotFound) {
				t.Errorf("%s: byte %d flipped: %v", name, at, err)
			}
		}
	}
}

// TestDamagedDelete flips each byte of a request to delete: what was not asked
// for stays.
func TestDamagedDelete(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	gone, kept := testID(0x10), testID(0x11) // one bit apart
	for _, at := range positions(450, 450, 1) {
		put(t, l.mem, gone, nil)
		if at == 1 {
			put(t, l.mem, kept, nil)
		}
		err := l.harmed(harm{flipUp: at}, func() error { return l.client.Delete(t.Context(), []volume.BlobID{gone}) })
		if _, statErr := l.mem.Stat(t.Context(), gone); err == nil && !errors.Is(statErr, volume.ErrNotFound) {
			t.Errorf("byte %d flipped: delete acknowledged and not done", at)
		}
		if _, err := l.mem.Stat(t.Context(), kept); err != nil {
			t.Fatalf("byte %d flipped: another blob was deleted", at)
		}
		if err := l.mem.Delete(t.Context(), []volume.BlobID{gone}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCutPut(t *testing.T) {
	t.Parallel()
	for _, size := range []int{300, 200_000, maxBuffered + 200_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			data := testData(size)
			// The request is longer than its payload, so each of these is a cut.
			for i, at := range positions(10, int64(size), int64(size)/40+1) {
				id := testID(i)
				err := l.harmed(harm{cutUp: at}, func() error {
					return l.client.Put(t.Context(), id, int64(size), bytes.NewReader(data), testDescriptor)
				})
				expectError(t, fmt.Sprintf("cut at %d", at), err, volume.ErrUnavailable)
			}
			if infos, err := l.mem.List(t.Context(), volume.BlobID{}, 10); err != nil || len(infos) != 0 {
				t.Errorf("%d blobs were stored from cut requests, %v", len(infos), err)
			}
		})
	}
}

func TestCutAnswer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	data := testData(200_000)
	put(t, l.mem, testID(0), data)
	for i, at := range slices.Concat(positions(350, 350, 1), positions(0, int64(len(data)), 20_011)) {
		var got []byte
		err := l.harmed(harm{cutDown: at}, func() (err error) {
			got, err = read(t.Context(), l.client, testID(0), 0, toTheEnd(i, data))
			return err
		})
		expectError(t, fmt.Sprintf("get cut at %d", at), err, volume.ErrUnavailable)
		if !bytes.HasPrefix(data, got) {
			t.Errorf("get cut at %d: wrong bytes", at)
		}
		if at > 150 { // an answer to a put is not much longer
			continue
		}
		err = l.harmed(harm{cutDown: at}, func() error {
			_, err := l.client.Status(t.Context())
			return err
		})
		expectError(t, fmt.Sprintf("status cut at %d", at), err, volume.ErrUnavailable)
		err = l.harmed(harm{cutDown: at}, func() error {
			return l.client.Put(t.Context(), testID(int(at)), -1, bytes.NewReader(data), testDescriptor)
		})
		expectError(t, fmt.Sprintf("put cut at %d", at), err, volume.ErrUnavailable)
	}
}

func TestStalledAnswer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	data := testData(200_000)
	put(t, l.mem, testID(0), data)
	for i, at := range []int64{1, 100, 400, 100_000} {
		var got []byte
		err := l.harmed(harm{stallDown: at}, func() (err error) {
			got, err = read(t.Context(), l.client, testID(0), 0, toTheEnd(i, data))
			return err
		})
		expectError(t, fmt.Sprintf("stall at %d", at), err, volume.ErrUnavailable)
		if !bytes.HasPrefix(data, got) {
			t.Errorf("stall at %d: wrong bytes", at)
		}
	}
}

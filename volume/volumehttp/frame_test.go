package volumehttp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// putStreamOf returns the whole stream of a put.
func putStreamOf(t testing.TB, id volume.BlobID, data, descriptor []byte) []byte {
	t.Helper()
	f := &framer{
		ctx: t.Context(), id: id, size: -1, body: bytes.NewReader(data),
		desc: func() ([]byte, error) { return descriptor, nil },
	}
	var stream []byte
	for {
		var err error
		if stream, err = f.next(stream); errors.Is(err, io.EOF) {
			return stream
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// parsed is a stream taken apart.
type parsed struct {
	data       []byte
	descriptor []byte
	kinds      string
}

// parse reads a stream from offset, up to its end frame.
func parse(id volume.BlobID, offset int64, stream []byte) (p parsed, err error) {
	f := frameReader{id: id, r: bufio.NewReaderSize(bytes.NewReader(stream), frameBuffer), offset: offset}
	for {
		kind, payload, err := f.next()
		if err != nil {
			return p, err
		}
		p.kinds += string(rune(kind))
		switch kind {
		case kindData:
			p.data = append(p.data, payload...)
		case kindDescriptor:
			p.descriptor = slices.Clone(payload)
		case kindEnd:
			return p, f.end(payload, f.offset-offset)
		}
	}
}

func TestFrames(t *testing.T) {
	t.Parallel()
	for size, kinds := range map[int]string{
		0: "MZ", 1: "DMZ", volume.BlockSize - 1: "DMZ", volume.BlockSize: "DMZ", volume.BlockSize + 1: "DDMZ",
		3 * volume.BlockSize: "DDDMZ",
	} {
		data := testData(size)
		stream := putStreamOf(t, testID(1), data, []byte("desc"))
		p, err := parse(testID(1), 0, stream)
		if err != nil || !bytes.Equal(p.data, data) || string(p.descriptor) != "desc" || p.kinds != kinds {
			t.Errorf("%d bytes: %s, %d bytes, %q, %v", size, p.kinds, len(p.data), p.descriptor, err)
		}
		if _, err := parse(testID(2), 0, stream); !errors.Is(err, errDamaged) {
			t.Errorf("%d bytes, taken for another blob: %v", size, err)
		}
		if size > 0 {
			if _, err := parse(testID(1), volume.BlockSize, stream); !errors.Is(err, errDamaged) {
				t.Errorf("%d bytes, taken for the next block: %v", size, err)
			}
			if _, err := parse(testID(1), 1, stream); !errors.Is(err, errDamaged) {
				t.Errorf("%d bytes, taken for the next byte: %v", size, err)
			}
		}
	}
}

// TestFramesDamage flips each bit of a stream, and cuts it at each byte.
func TestFramesDamage(t *testing.T) {
	t.Parallel()
	stream := putStreamOf(t, testID(1), testData(100), []byte("desc"))
	for bit := range len(stream) * 8 {
		bad := slices.Clone(stream)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := parse(testID(1), 0, bad); !errors.Is(err, errDamaged) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("bit %d of byte %d flipped: %v", bit%8, bit/8, err)
		}
	}
	for n := range stream {
		if _, err := parse(testID(1), 0, stream[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	if _, err := parse(testID(1), 0, append(slices.Clone(stream), 0)); !errors.Is(err, errDamaged) {
		t.Errorf("a byte more: %v", err)
	}
}

// TestFramesReordered drops, repeats and swaps whole frames, each of them sound.
func TestFramesReordered(t *testing.T) {
	t.Parallel()
	const frame = frameHeader + volume.BlockSize
	stream := putStreamOf(t, testID(1), testData(2*volume.BlockSize+10), []byte("desc"))
	first, second, rest := stream[:frame], stream[frame:2*frame], stream[2*frame:]
	for name, bad := range map[string][]byte{
		"dropped":  slices.Concat(first, rest),
		"repeated": slices.Concat(first, first, second, rest),
		"swapped":  slices.Concat(second, first, rest),
		"no end":   slices.Concat(first, second),
	} {
		if _, err := parse(testID(1), 0, bad); !errors.Is(err, errDamaged) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
	noTail := slices.Concat(first, second, rest[frameHeader+10:]) // the last, short block is missing
	if _, err := parse(testID(1), 0, noTail); !errors.Is(err, errDamaged) {
		t.Errorf("last block dropped: %v", err)
	}
}

// FuzzFrames feeds the frame parser anything. What it accepts is exactly what
// the other side would have sent.
func FuzzFrames(f *testing.F) {
	stream := putStreamOf(f, testID(1), testData(300), []byte("desc"))
	f.Add(stream)
	f.Add(stream[:len(stream)-1])
	f.Add(putStreamOf(f, testID(1), nil, nil))
	f.Add(appendEnd(appendInfo(nil, volume.Info{ID: testID(1), Size: 5, Created: time.Unix(1, 2), Descriptor: []byte("desc")}), testID(1), 0))
	f.Add(appendFrame(nil, testID(1), kindError, []byte(`{"code":"corrupt"}`)))
	f.Fuzz(func(t *testing.T, stream []byte) {
		p, err := parse(testID(1), 0, stream)
		if err != nil || p.kinds[len(p.kinds)-1] != kindEnd {
			return
		}
		last := appendEnd(nil, testID(1), int64(len(p.data)))
		if !bytes.HasSuffix(stream, last) {
			t.Errorf("accepted with another end than it has: % x", stream)
		}
	})
}

// FuzzPut sends the server anything as a body. What it stores is exactly what a
// client would have sent.
func FuzzPut(f *testing.F) {
	f.Add(putStreamOf(f, testID(1), testData(300), []byte("desc")), int64(300))
	f.Add(putStreamOf(f, testID(1), testData(300), nil), int64(-1))
	f.Add(putStreamOf(f, testID(1), nil, nil), int64(0))
	f.Add([]byte("D"), int64(1))
	f.Add(append(appendInfo(nil, volume.Info{ID: testID(1)}), putStreamOf(f, testID(1), nil, nil)...), int64(0))
	f.Fuzz(func(t *testing.T, stream []byte, size int64) {
		mem := volumetest.NewMem()
		s, err := NewServer(t.Context(), mem, quiet(ServerConfig{}))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPut, blobPath(testID(1)), bytes.NewReader(stream))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set(headerVolume, s.volume)
		if size != -1 {
			r.Header.Set(headerSize, strconv.FormatInt(size, 10))
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		info, err := mem.Stat(t.Context(), testID(1))
		if (err == nil) != (w.Code == http.StatusCreated) {
			t.Fatalf("answered %d, and the store says %v", w.Code, err)
		}
		if err != nil {
			return
		}
		data, err := read(t.Context(), mem, testID(1), 0, -1)
		if err != nil || !bytes.Equal(putStreamOf(t, testID(1), data, info.Descriptor), stream) {
			t.Errorf("stored %d bytes from a stream that says otherwise: %v", len(data), err)
		}
	})
}

package checksum

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

var _ meta.Payload = (*Payload)(nil)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = rng.Read(b) // never fails
	return b
}

// valueOf computes an algorithm's checksum directly.
func valueOf(a Algorithm, data []byte) string {
	h := a.New()
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func md5Of(data []byte) string {
	sum := md5.Sum(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func sha256Of(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// trailed is a body with trailers.
type trailed struct {
	io.Reader
	trailers map[string]string
}

func (b trailed) Trailer(name string) (string, bool) {
	v, ok := b.trailers[name]
	return v, ok
}

// TestKnownValues pins the algorithms to published check values (the CRC
// catalogue's "123456789", FIPS 180-4's and RFC 1321's "abc", and what xxhsum
// says).
func TestKnownValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a    Algorithm
		data string
		want string // hex
	}{
		{CRC32, "123456789", "cbf43926"},
		{CRC32C, "123456789", "e3069283"},
		{CRC64NVME, "123456789", "ae8b14860a799888"},
		{SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{MD5, "abc", "900150983cd24fb0d6963f7d28e17f72"},
		{SHA512, "abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
		{XXHASH64, "", "ef46db3751d8e999"},
		{XXHASH64, "abc", "44bc2cf5ad770999"},
		{XXHASH3, "", "2d06800538d394c2"},
		{XXHASH3, "abc", "78af5f94892f3950"},
		{XXHASH128, "", "99aa06d3014798d86001c324468d497f"},
		{XXHASH128, "abc", "06b05ab6733a618578af5f94892f3950"},
		{SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	} {
		h := tt.a.New()
		h.Write([]byte(tt.data))
		if got := hex.EncodeToString(h.Sum(nil)); got != tt.want {
			t.Errorf("%s(%q) = %s, want %s", tt.a, tt.data, got, tt.want)
		}
		if h.Size() != tt.a.Size() {
			t.Errorf("%s: size %d, want %d", tt.a, tt.a.Size(), h.Size())
		}
	}
	if None.New() != nil {
		t.Error("None has a hash")
	}
}

// TestPayload reads bodies of sizes around every boundary, in several ways, and
// compares all digests with those computed directly.
func TestPayload(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 4095, togetherFrom - 1, togetherFrom, togetherFrom + 1, 128<<10 - 1, 128 << 10, 128<<10 + 1, 1<<20 + 7} {
		data := randomBytes(size)
		for _, a := range Algorithms() {
			for _, declared := range []int64{int64(size), -1} {
				spec := Spec{Algorithm: a, Value: valueOf(a, data), MD5: md5Of(data)}
				p := NewPayload(bytes.NewReader(data), Config{Size: declared, Spec: spec, SHA256: sha256Of(data)})
				if d := p.Digests(); d != (meta.Digests{}) {
					t.Errorf("digests before the end: %+v", d)
				}
				got, err := io.ReadAll(p)
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%s, %d bytes: read %d: %v", a, size, len(got), err)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				sum := md5.Sum(data)
				want := meta.Digests{
					ETag:     hex.EncodeToString(sum[:]),
					Checksum: meta.Checksum{Algorithm: a.String(), Type: "FULL_OBJECT", Value: spec.Value},
				}
				if d := p.Digests(); d != want {
					t.Errorf("%s, %d bytes: digests %+v, want %+v", a, size, d, want)
				}
				if p.Size() != int64(size) {
					t.Errorf("size %d, want %d", p.Size(), size)
				}
			}
		}
	}
}

func TestPayloadStore(t *testing.T) {
	t.Parallel()
	data := []byte("what the upload keeps is not what the part was checked with")
	for _, tt := range []struct {
		name string
		cfg  Config
		want Algorithm
	}{
		{"nothing asked", Config{}, CRC64NVME},
		{"the client's", Config{Spec: Spec{Algorithm: SHA1, Value: valueOf(SHA1, data)}}, SHA1},
		{"the upload's", Config{Store: CRC32C}, CRC32C},
		{"both", Config{Store: CRC64NVME, Spec: Spec{Algorithm: CRC32, Value: valueOf(CRC32, data)}}, CRC64NVME},
		{"shared with the payload hash", Config{Store: SHA256, SHA256: sha256Of(data)}, SHA256},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Size = int64(len(data))
			p := NewPayload(iotest.OneByteReader(bytes.NewReader(data)), tt.cfg)
			defer p.Close() //nolint:errcheck // has no error to give
			if _, err := io.Copy(io.Discard, p); err != nil {
				t.Fatal(err)
			}
			if got := p.Digests().Checksum; got.Algorithm != tt.want.String() || got.Value != valueOf(tt.want, data) {
				t.Errorf("checksum %+v, want %s", got, tt.want)
			}
		})
	}
}

// TestPayloadRefuses shows every wrong body with the exact error, and that its
// last byte is not released.
func TestPayloadRefuses(t *testing.T) {
	t.Parallel()
	data := randomBytes(100_000)
	other := randomBytes(99_999)
	size := int64(len(data))
	crcTrailer := func(v string) trailed {
		return trailed{bytes.NewReader(data), map[string]string{"x-amz-checksum-crc32": v}}
	}
	trailerSpec := Spec{Algorithm: CRC32, Trailer: true}
	cause := errors.New("connection reset")
	const (
		short     = "IncompleteBody: You did not provide the number of bytes specified by the Content-Length HTTP header"
		badMD5    = "BadDigest: The Content-MD5 you specified did not match what we received."
		malformed = "MalformedTrailerError: The request contained trailing data that was not well-formed or did not conform to our published schema."
	)
	for _, tt := range []struct {
		name   string
		body   io.Reader
		cfg    Config
		want   string
		fields []s3err.Field
	}{
		{"short", bytes.NewReader(data[:size-1]), Config{Size: size}, short, nil},
		{"empty", strings.NewReader(""), Config{Size: size}, short, nil},
		{"cut", io.MultiReader(bytes.NewReader(data[:10]), iotest.ErrReader(io.ErrUnexpectedEOF)), Config{Size: size}, short + ": unexpected EOF", nil},
		{"long", bytes.NewReader(append(bytes.Clone(data), 'x')), Config{Size: size}, short, nil},
		{"longer than nothing", strings.NewReader("x"), Config{Size: 0}, short, nil},
		{"connection error", io.MultiReader(bytes.NewReader(data[:10]), iotest.ErrReader(cause)), Config{Size: size}, "connection reset", nil},
		{"sha256", bytes.NewReader(data), Config{Size: size, SHA256: sha256Of(other)},
			"XAmzContentSHA256Mismatch: The provided 'x-amz-content-sha256' header does not match what was computed.",
			[]s3err.Field{{Name: "ClientComputedContentSHA256", Value: sha256Of(other)}, {Name: "S3ComputedContentSHA256", Value: sha256Of(data)}}},
		{"md5", bytes.NewReader(data), Config{Size: size, Spec: Spec{MD5: md5Of(other)}}, badMD5,
			[]s3err.Field{{Name: "ExpectedDigest", Value: md5Of(other)}, {Name: "CalculatedDigest", Value: md5Of(data)}}},
		{"crc32", bytes.NewReader(data), Config{Size: size, Spec: Spec{Algorithm: CRC32, Value: valueOf(CRC32, other)}},
			"BadDigest: The CRC32 you specified did not match the calculated checksum.", nil},
		{"crc32c", bytes.NewReader(data), Config{Size: size, Spec: Spec{Algorithm: CRC32C, Value: valueOf(CRC32C, other)}},
			"BadDigest: The CRC32C you specified did not match the calculated checksum.", nil},
		{"crc64nvme", bytes.NewReader(data), Config{Size: size, Spec: Spec{Algorithm: CRC64NVME, Value: valueOf(CRC64NVME, other)}},
			"BadDigest: The CRC64NVME you specified did not match the calculated checksum.", nil},
		{"sha1", bytes.NewReader(data), Config{Size: size, Spec: Spec{Algorithm: SHA1, Value: valueOf(SHA1, other)}},
			"BadDigest: The SHA1 you specified did not match the calculated checksum.", nil},
		{"sha256 checksum", bytes.NewReader(data), Config{Size: size, Spec: Spec{Algorithm: SHA256, Value: valueOf(SHA256, other)}},
			"BadDigest: The SHA256 you specified did not match the calculated checksum.", nil},
		{"trailer", crcTrailer(valueOf(CRC32, other)), Config{Size: size, Spec: trailerSpec},
			"BadDigest: The CRC32 you specified did not match the calculated checksum.", nil},
		{"invalid trailer", crcTrailer("AAA"), Config{Size: size, Spec: trailerSpec},
			"InvalidRequest: Value for x-amz-checksum-crc32 trailing header is invalid.", nil},
		{"missing trailer", trailed{Reader: bytes.NewReader(data)}, Config{Size: size, Spec: trailerSpec}, malformed, nil},
		{"no trailers at all", bytes.NewReader(data), Config{Size: size, Spec: trailerSpec}, malformed, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := NewPayload(tt.body, tt.cfg)
			got, err := io.ReadAll(p)
			if err == nil || err.Error() != tt.want {
				t.Fatalf("error %v, want %s", err, tt.want)
			}
			if int64(len(got)) >= tt.cfg.Size && tt.cfg.Size > 0 {
				t.Errorf("released all %d bytes of a bad body", len(got))
			}
			var e *Error
			if errors.As(err, &e) {
				for _, f := range tt.fields {
					if e.Field(f.Name) != f.Value {
						t.Errorf("%s: %q, want %q", f.Name, e.Field(f.Name), f.Value)
					}
				}
				if e.Status != 400 {
					t.Errorf("status %d", e.Status)
				}
			}
			if _, again := p.Read(make([]byte, 1)); !errors.Is(again, err) {
				t.Errorf("second read: %v, want the same error", again)
			}
			if d := p.Digests(); d != (meta.Digests{}) {
				t.Errorf("digests of a bad body: %+v", d)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPayloadLastByte reads exactly the declared size, as a consumer does that
// never waits for io.EOF.
func TestPayloadLastByte(t *testing.T) {
	t.Parallel()
	data := randomBytes(1000)
	for _, good := range []bool{true, false} {
		value := valueOf(CRC32, data)
		if !good {
			value = valueOf(CRC32, data[1:])
		}
		body := trailed{bytes.NewReader(data), map[string]string{"x-amz-checksum-crc32": value}}
		p := NewPayload(body, Config{Size: 1000, Spec: Spec{Algorithm: CRC32, Trailer: true}})
		_, err := io.ReadFull(p, make([]byte, 1000))
		if good != (err == nil) {
			t.Errorf("good %t: %v", good, err)
		}
		if good && p.Digests().Checksum.Value != value {
			t.Error("no digests with the last byte")
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPayloadClosed(t *testing.T) {
	t.Parallel()
	data := randomBytes(togetherFrom * 10)
	p := NewPayload(bytes.NewReader(data), Config{Size: int64(len(data))})
	if _, err := io.CopyN(io.Discard, p, togetherFrom*5); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Read(make([]byte, 10)); !errors.Is(err, errClosed) {
		t.Errorf("read after close: %v", err)
	}
}

// BenchmarkPayload reads bodies as an upload does: what it reads it also writes
// and sums once more, as a volume would.
func BenchmarkPayload(b *testing.B) {
	for _, bb := range []struct {
		name string
		size int
		cfg  Config
	}{
		{"16KiB", 16 << 10, Config{}},
		{"900KiB", 900 << 10, Config{}},
		{"8MiB", 8 << 20, Config{}},
		{"8MiB-sha256", 8 << 20, Config{Store: SHA256}},
	} {
		data := randomBytes(bb.size)
		buf := make([]byte, 256<<10)
		disk := make([]byte, len(buf))
		b.Run(bb.name, func(b *testing.B) {
			bb.cfg.Size = int64(bb.size)
			b.SetBytes(bb.cfg.Size)
			b.ReportAllocs()
			for b.Loop() {
				p := NewPayload(bytes.NewReader(data), bb.cfg)
				for {
					n, err := p.Read(buf)
					crc32.ChecksumIEEE(buf[:n])
					copy(disk, buf[:n])
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				if err := p.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

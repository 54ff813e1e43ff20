package checksum

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"tdkvs/master/meta"
)

func TestParseUpload(t *testing.T) {
	t.Parallel()
	const typed = "InvalidRequest: The %s checksum type cannot be used with the %s checksum algorithm."
	for _, tt := range []struct {
		algorithm, kind string
		want            Upload
		err             string
	}{
		{"", "", Upload{}, ""},
		{"CRC32", "", Upload{CRC32, Composite}, ""},
		{"CRC32C", "", Upload{CRC32C, Composite}, ""},
		{"SHA1", "", Upload{SHA1, Composite}, ""},
		{"SHA256", "", Upload{SHA256, Composite}, ""},
		{"CRC64NVME", "", Upload{CRC64NVME, FullObject}, ""},
		{"SHA512", "", Upload{SHA512, Composite}, ""},
		{"MD5", "", Upload{MD5, Composite}, ""},
		{"xxhash64", "composite", Upload{XXHASH64, Composite}, ""},
		{"XXHASH3", "", Upload{XXHASH3, Composite}, ""},
		{"XXHASH128", "", Upload{XXHASH128, Composite}, ""},
		{"CRC32", "FULL_OBJECT", Upload{CRC32, FullObject}, ""},
		{"crc32c", "full_object", Upload{CRC32C, FullObject}, ""},
		{"CRC64NVME", "FULL_OBJECT", Upload{CRC64NVME, FullObject}, ""},
		{"SHA256", "COMPOSITE", Upload{SHA256, Composite}, ""},
		{"SHA1", "FULL_OBJECT", Upload{}, fmt.Sprintf(typed, "FULL_OBJECT", "sha1")},
		{"SHA256", "FULL_OBJECT", Upload{}, fmt.Sprintf(typed, "FULL_OBJECT", "sha256")},
		{"SHA512", "FULL_OBJECT", Upload{}, fmt.Sprintf(typed, "FULL_OBJECT", "sha512")},
		{"MD5", "FULL_OBJECT", Upload{}, fmt.Sprintf(typed, "FULL_OBJECT", "md5")},
		{"XXHASH64", "FULL_OBJECT", Upload{}, fmt.Sprintf(typed, "FULL_OBJECT", "xxhash64")},
		{"XXHASH3", "FULL_OBJECT", Upload{}, fmt.Sprintf(typed, "FULL_OBJECT", "xxhash3")},
		{"XXHASH128", "FULL_OBJECT", Upload{}, fmt.Sprintf(typed, "FULL_OBJECT", "xxhash128")},
		{"CRC64NVME", "COMPOSITE", Upload{}, fmt.Sprintf(typed, "COMPOSITE", "crc64nvme")},
		{"MD4", "", Upload{}, unsupported},
		{"", "COMPOSITE", Upload{}, "InvalidRequest: The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."},
		{"CRC32", "HALF_OBJECT", Upload{}, "InvalidRequest: Value for x-amz-checksum-type header is invalid."},
	} {
		t.Run(tt.algorithm+" "+tt.kind, func(t *testing.T) {
			t.Parallel()
			h := headers()
			if tt.algorithm != "" {
				h.Set("X-Amz-Checksum-Algorithm", tt.algorithm)
			}
			if tt.kind != "" {
				h.Set("X-Amz-Checksum-Type", tt.kind)
			}
			got, err := ParseUpload(h)
			check(t, err, tt.err)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if err == nil {
				stored := meta.Upload{ChecksumAlgorithm: got.Algorithm.String(), ChecksumType: string(got.Type)}
				if back := UploadOf(stored); back != got {
					t.Errorf("read back as %+v", back)
				}
			}
		})
	}
}

func TestParseCopy(t *testing.T) {
	t.Parallel()
	a, err := ParseCopy(headers("x-amz-checksum-algorithm: sha1"))
	check(t, err, "")
	if a != SHA1 {
		t.Errorf("got %s", a)
	}
	_, err = ParseCopy(headers("x-amz-checksum-algorithm: x"))
	check(t, err, unsupported)
}

func TestCheckPart(t *testing.T) {
	t.Parallel()
	const mismatch = "InvalidRequest: Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s"
	for _, tt := range []struct {
		upload Upload
		part   Algorithm
		err    string
	}{
		{Upload{}, None, ""},
		{Upload{}, CRC32, ""},
		{Upload{}, XXHASH3, ""},
		{Upload{CRC32, FullObject}, None, ""},
		{Upload{CRC64NVME, FullObject}, None, ""},
		{Upload{CRC32, Composite}, CRC32, ""},
		{Upload{MD5, Composite}, MD5, ""},
		{Upload{CRC32, Composite}, None, fmt.Sprintf(mismatch, "crc32", "null")},
		{Upload{XXHASH128, Composite}, None, fmt.Sprintf(mismatch, "xxhash128", "null")},
		{Upload{SHA256, Composite}, CRC32, fmt.Sprintf(mismatch, "sha256", "crc32")},
		{Upload{CRC32, FullObject}, CRC32C, fmt.Sprintf(mismatch, "crc32", "crc32c")},
	} {
		check(t, tt.upload.CheckPart(Spec{Algorithm: tt.part}), tt.err)
	}
}

// cutParts cuts data into parts with their digests.
func cutParts(a Algorithm, data []byte, sizes ...int) []meta.Part {
	var parts []meta.Part
	for i, n := range sizes {
		sum := md5.Sum(data[:n])
		parts = append(parts, meta.Part{
			Number: i + 1, Size: int64(n),
			Digests: meta.Digests{ETag: hex.EncodeToString(sum[:]), Checksum: meta.Checksum{Algorithm: a.String(), Value: valueOf(a, data[:n])}},
		})
		data = data[n:]
	}
	return parts
}

func TestAssemble(t *testing.T) {
	t.Parallel()
	data := randomBytes(300_000)
	sizes := []int{100_000, 100_000, 65_536, 34_463, 0, 1}
	for _, u := range []Upload{{}, {CRC32, Composite}, {CRC32, FullObject}, {CRC32C, Composite}, {CRC32C, FullObject}, {CRC64NVME, FullObject}, {SHA1, Composite}, {SHA256, Composite},
		{SHA512, Composite}, {MD5, Composite}, {XXHASH64, Composite}, {XXHASH3, Composite}, {XXHASH128, Composite}} {
		parts := cutParts(u.Store(), data, sizes...)
		got, err := u.Assemble(parts)
		if err != nil {
			t.Fatal(err)
		}
		var sums, md5s bytes.Buffer
		for _, p := range parts {
			sum, _ := base64.StdEncoding.DecodeString(p.Checksum.Value)
			sums.Write(sum)
			sum, _ = hex.DecodeString(p.ETag)
			md5s.Write(sum)
		}
		want := meta.Checksum{Algorithm: u.Store().String(), Type: "FULL_OBJECT", Value: valueOf(u.Store(), data)}
		if u.Type == Composite {
			want.Type, want.Value = "COMPOSITE", valueOf(u.Store(), sums.Bytes())+"-6"
		}
		if got.Checksum != want {
			t.Errorf("%+v: checksum %+v, want %+v", u, got.Checksum, want)
		}
		if etag := fmt.Sprintf("%x-6", md5.Sum(md5s.Bytes())); got.ETag != etag {
			t.Errorf("ETag %s, want %s", got.ETag, etag)
		}
	}
}

func TestAssembleOddities(t *testing.T) {
	t.Parallel()
	u := Upload{CRC32, FullObject}
	parts := cutParts(CRC32, []byte("ab"), 1, 1)
	parts[1].Checksum = meta.Checksum{}
	d, err := u.Assemble(parts)
	if err != nil || d.Checksum != (meta.Checksum{}) || d.ETag == "" {
		t.Errorf("part without checksum: %+v, %v", d, err)
	}
	parts[1].Checksum = meta.Checksum{Algorithm: "CRC32", Value: "x"}
	if _, err := u.Assemble(parts); err == nil {
		t.Error("unreadable checksum passed")
	}
	parts[1].ETag = "x"
	if _, err := u.Assemble(parts); err == nil {
		t.Error("unreadable ETag passed")
	}
}

// TestCombine compares combined CRCs with direct ones, for random cuts.
func TestCombine(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	data := randomBytes(10_000)
	for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
		for range 200 {
			c := newCombiner(a)
			total := rng.IntN(len(data))
			for rest := data[:total]; len(rest) > 0; {
				n := rng.IntN(min(len(rest), 3000) + 1)
				c.add(digest(a, rest[:n]), int64(n))
				rest = rest[n:]
			}
			if got, want := c.sum(), digest(a, data[:total]); !bytes.Equal(got, want) {
				t.Fatalf("%s of %d bytes: %x, want %x", a, total, got, want)
			}
		}
	}
}

// TestCombineLarge checks shifts beyond any test body: appending n zero bytes
// and m more is appending n+m of them, up to the largest object.
func TestCombineLarge(t *testing.T) {
	t.Parallel()
	for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
		f := fieldOf(a)
		for _, n := range []int64{1, 5 << 20, 5 << 30, meta.MaxObjectSize - 1} {
			for _, m := range []int64{0, 1, 1 << 40} {
				if got, want := f.mul(f.shift(n), f.shift(m)), f.shift(n+m); got != want {
					t.Errorf("%s: x^8(%d+%d) = %x, want %x", a, n, m, got, want)
				}
			}
		}
	}
}

func digest(a Algorithm, data []byte) []byte {
	h := a.New()
	h.Write(data)
	return h.Sum(nil)
}

func FuzzCombine(f *testing.F) {
	f.Add([]byte("hello, world"), uint(5))
	f.Fuzz(func(t *testing.T, data []byte, cut uint) {
		n := int(cut % uint(len(data)+1))
		for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
			c := newCombiner(a)
			c.add(digest(a, data[:n]), int64(n))
			c.add(digest(a, data[n:]), int64(len(data)-n))
			if got, want := c.sum(), digest(a, data); !bytes.Equal(got, want) {
				t.Errorf("%s: %x, want %x", a, got, want)
			}
		}
	})
}

func BenchmarkAssemble(b *testing.B) {
	parts := make([]meta.Part, meta.MaxParts)
	one := cutParts(CRC64NVME, []byte("part"), 4)[0]
	for i := range parts {
		parts[i] = one
		parts[i].Size = 8 << 20
	}
	parts[len(parts)-1].Size = 12345
	for b.Loop() {
		if _, err := (Upload{}).Assemble(parts); err != nil {
			b.Fatal(err)
		}
	}
}

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
		{"CRC32", "FULL_OBJECT", Upload{CRC32, FullObject}, ""},
		{"crc32c", "full_object", Upload{CRC32C, FullObject}, ""},
		{"CRC64NVME", "FULL_OBJECT", Upload{CRC64NVME, FullObject}, ""},
		{"SHA256", "COMPOSITE", Upload{SHA256, Composite}, ""},
		{"SHA1", "FULL_OBJECT", Upload{}, fmt.Sprintf(typed, "FULL_OBJECT", "sha1")},
		{"SHA256", "FULL_OBJECT", Upload{}, fmt.Sprintf(typed, "FULL_OBJECT", "sha256")},
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
	for _, tt := range []struct {
		upload Upload
		part   Algorithm
		err    string
	}{
		{Upload{}, None, ""},
		{Upload{}, CRC32, ""},
		{Upload{CRC32, Composite}, None, ""},
		{Upload{CRC32, Composite}, CRC32, ""},
		{Upload{SHA256, Composite}, CRC32, "InvalidRequest: Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: crc32"},
	} {
		check(t, tt.upload.CheckPart(Spec{Algorithm: tt.part}), tt.err)
	}
}

func TestCheckCompletePart(t *testing.T) {
	t.Parallel()
	const invalidPart = "InvalidPart: One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
	stored := meta.Part{Number: 3, Digests: meta.Digests{Checksum: meta.Checksum{Algorithm: "CRC32", Value: "y/Q5Jg=="}}}
	for _, tt := range []struct {
		name      string
		upload    Upload
		algorithm Algorithm
		value     string
		err       string
	}{
		{"right", Upload{CRC32, Composite}, CRC32, "y/Q5Jg==", ""},
		{"none, full object", Upload{CRC32, FullObject}, None, "", ""},
		{"none, none", Upload{}, None, "", ""},
		{"some where the upload has none", Upload{}, CRC32, "y/Q5Jg==", ""},
		{"none, composite", Upload{CRC32, Composite}, None, "", "InvalidRequest: The upload was created using a crc32 checksum. The complete request must include the checksum for each part. It was missing for part 3 in the request."},
		{"other value", Upload{CRC32, Composite}, CRC32, "AAAAAA==", invalidPart},
		{"other algorithm", Upload{CRC32, Composite}, CRC32C, "y/Q5Jg==", invalidPart},
		{"garbage", Upload{CRC32, Composite}, CRC32, "garbage", "InvalidArgument: Invalid Base64 or multiple checksums present in request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, tt.upload.CheckCompletePart(3, tt.algorithm, tt.value, stored), tt.err)
		})
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	composite := meta.Checksum{Algorithm: "CRC32", Type: "COMPOSITE", Value: "y/Q5Jg==-2"}
	full := meta.Checksum{Algorithm: "CRC64NVME", Type: "FULL_OBJECT", Value: "rosUhgp5mIg="}
	for _, tt := range []struct {
		name     string
		lines    []string
		upload   Upload
		computed meta.Checksum
		err      string
	}{
		{"nothing said", nil, Upload{CRC32, Composite}, composite, ""},
		{"composite with number", []string{"x-amz-checksum-crc32: y/Q5Jg==-2"}, Upload{CRC32, Composite}, composite, ""},
		{"composite without number", []string{"x-amz-checksum-crc32: y/Q5Jg==", "x-amz-checksum-type: COMPOSITE"}, Upload{CRC32, Composite}, composite, ""},
		{"full object", []string{"x-amz-checksum-crc64nvme: rosUhgp5mIg=", "x-amz-checksum-type: FULL_OBJECT"}, Upload{CRC64NVME, FullObject}, full, ""},
		{"full object of an upload without", []string{"x-amz-checksum-crc64nvme: rosUhgp5mIg="}, Upload{}, full, ""},
		{"other value", []string{"x-amz-checksum-crc64nvme: AAAAAAAAAAA="}, Upload{CRC64NVME, FullObject}, full,
			"BadDigest: The CRC64NVME you specified did not match the calculated checksum."},
		{"other type", []string{"x-amz-checksum-type: FULL_OBJECT"}, Upload{CRC32, Composite}, composite,
			"InvalidRequest: The upload was created using the COMPOSITE checksum mode. The complete request must use the same checksum mode."},
		{"other algorithm", []string{"x-amz-checksum-crc32c: y/Q5Jg=="}, Upload{CRC32, Composite}, composite,
			"InvalidRequest: Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: crc32c"},
		{"two", []string{"x-amz-checksum-crc32c: y/Q5Jg==", "x-amz-checksum-crc32: y/Q5Jg=="}, Upload{CRC32, Composite}, composite, multiple},
		{"bad value", []string{"x-amz-checksum-crc32: x"}, Upload{CRC32, Composite}, composite, badCRC32},
		{"bad type", []string{"x-amz-checksum-type: x"}, Upload{CRC32, Composite}, composite, "InvalidRequest: Value for x-amz-checksum-type header is invalid."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := ParseComplete(headers(tt.lines...))
			if err == nil {
				err = v.Check(tt.upload, tt.computed)
			}
			check(t, err, tt.err)
		})
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
	for _, u := range []Upload{{}, {CRC32, Composite}, {CRC32, FullObject}, {CRC32C, Composite}, {CRC32C, FullObject}, {CRC64NVME, FullObject}, {SHA1, Composite}, {SHA256, Composite}} {
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

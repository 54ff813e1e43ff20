package checksum

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"
)

// Algorithm is an additional checksum algorithm of S3.
type Algorithm uint8

// The algorithms. None is the zero value.
const (
	None Algorithm = iota
	CRC32
	CRC32C
	CRC64NVME
	MD5
	SHA1
	SHA256
	SHA512
	XXHASH128
	XXHASH3
	XXHASH64

	algorithmCount
)

// algorithms says what there is to know of each algorithm. The names are in the
// order in which AWS lists them.
var algorithms = [algorithmCount]struct {
	name   string // as S3 writes it
	header string // of a value, in lower case
	size   int    // of a digest, in bytes
	new    func() hash.Hash
}{
	CRC32:     {"CRC32", "x-amz-checksum-crc32", 4, func() hash.Hash { return crc32.NewIEEE() }},
	CRC32C:    {"CRC32C", "x-amz-checksum-crc32c", 4, func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
	CRC64NVME: {"CRC64NVME", "x-amz-checksum-crc64nvme", 8, func() hash.Hash { return crc64nvme.New() }},
	MD5:       {"MD5", "x-amz-checksum-md5", md5.Size, md5.New},
	SHA1:      {"SHA1", "x-amz-checksum-sha1", sha1.Size, sha1.New},
	SHA256:    {"SHA256", "x-amz-checksum-sha256", sha256.Size, sha256.New},
	SHA512:    {"SHA512", "x-amz-checksum-sha512", sha512.Size, sha512.New},
	XXHASH128: {"XXHASH128", "x-amz-checksum-xxhash128", 16, func() hash.Hash { return xxh3x128{xxh3.New()} }},
	XXHASH3:   {"XXHASH3", "x-amz-checksum-xxhash3", 8, func() hash.Hash { return xxh3.New() }},
	XXHASH64:  {"XXHASH64", "x-amz-checksum-xxhash64", 8, func() hash.Hash { return xxhash.New() }},
}

// xxh3x128 is XXH3 with its result of 128 bits, in canonical byte order.
type xxh3x128 struct{ *xxh3.Hasher }

func (x xxh3x128) Size() int { return 16 }

func (x xxh3x128) Sum(b []byte) []byte {
	sum := x.Sum128().Bytes()
	return append(b, sum[:]...)
}

// Algorithms returns all algorithms, in the order in which AWS lists them.
func Algorithms() []Algorithm {
	all := make([]Algorithm, 0, algorithmCount-1)
	for a := None + 1; a < algorithmCount; a++ {
		all = append(all, a)
	}
	return all
}

// ParseAlgorithm reads a name such as "CRC32", in any case. It does not know "".
func ParseAlgorithm(name string) (Algorithm, bool) {
	for a := None + 1; a < algorithmCount; a++ {
		if strings.EqualFold(name, a.String()) {
			return a, true
		}
	}
	return None, false
}

// algorithmOfHeader reads a header's name such as "x-amz-checksum-crc32", in any
// case.
func algorithmOfHeader(name string) (Algorithm, bool) {
	if len(name) <= len(headerPrefix) || !strings.EqualFold(name[:len(headerPrefix)], headerPrefix) {
		return None, false
	}
	return ParseAlgorithm(name[len(headerPrefix):])
}

// valid reports whether v is a digest of the algorithm in base64.
func (a Algorithm) valid(v string) bool { return validBase64(v, a.Size()) }

// String returns the name as S3 writes it, "" for None.
func (a Algorithm) String() string { return algorithms[a].name }

// Header returns the header of a value, in lower case: "x-amz-checksum-crc32".
func (a Algorithm) Header() string { return algorithms[a].header }

// Size returns the length of a digest in bytes.
func (a Algorithm) Size() int { return algorithms[a].size }

// New returns a hash of the algorithm; None has none (nil).
func (a Algorithm) New() hash.Hash {
	if a == None {
		return nil
	}
	return algorithms[a].new()
}

// Linear reports whether the checksum of a whole follows from those of its parts
// and their sizes, which is so for the CRCs. Only such algorithms can be of the
// full object in a multipart upload.
func (a Algorithm) Linear() bool { return a == CRC32 || a == CRC32C || a == CRC64NVME }

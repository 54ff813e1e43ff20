package checksum

import (
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/minio/crc64nvme"
)

// Algorithm is an additional checksum algorithm of S3.
type Algorithm uint8

// The algorithms. None is the zero value.
const (
	None Algorithm = iota
	CRC32
	CRC32C
	CRC64NVME
	SHA1
	SHA256

	algorithmCount
)

// Algorithms returns all algorithms, in the order in which AWS lists them.
func Algorithms() []Algorithm { return []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256} }

var algorithmNames = [...]string{None: "", CRC32: "CRC32", CRC32C: "CRC32C", CRC64NVME: "CRC64NVME", SHA1: "SHA1", SHA256: "SHA256"}

var algorithmHeaders = [...]string{
	None: "", CRC32: "x-amz-checksum-crc32", CRC32C: "x-amz-checksum-crc32c", CRC64NVME: "x-amz-checksum-crc64nvme",
	SHA1: "x-amz-checksum-sha1", SHA256: "x-amz-checksum-sha256",
}

var algorithmSizes = [...]int{None: 0, CRC32: 4, CRC32C: 4, CRC64NVME: 8, SHA1: 20, SHA256: 32}

// ParseAlgorithm reads a name such as "CRC32", in any case. It does not know "".
func ParseAlgorithm(name string) (Algorithm, bool) {
	for _, a := range Algorithms() {
		if strings.EqualFold(name, a.String()) {
			return a, true
		}
	}
	return None, false
}

// algorithmOfHeader reads a header's name such as "x-amz-checksum-crc32", in any
// case.
func algorithmOfHeader(name string) (Algorithm, bool) {
	for _, a := range Algorithms() {
		if strings.EqualFold(name, a.Header()) {
			return a, true
		}
	}
	return None, false
}

// valid reports whether v is a digest of the algorithm in base64.
func (a Algorithm) valid(v string) bool { return validBase64(v, a.Size()) }

// String returns the name as S3 writes it, "" for None.
func (a Algorithm) String() string { return algorithmNames[a] }

// Header returns the header of a value, in lower case: "x-amz-checksum-crc32".
func (a Algorithm) Header() string { return algorithmHeaders[a] }

// Size returns the length of a digest in bytes.
func (a Algorithm) Size() int { return algorithmSizes[a] }

// New returns a hash of the algorithm; None has none (nil).
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case CRC64NVME:
		return crc64nvme.New()
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	default:
		return nil
	}
}

// Linear reports whether the checksum of a whole follows from those of its parts
// and their sizes, which is so for the CRCs.
func (a Algorithm) Linear() bool { return a == CRC32 || a == CRC32C || a == CRC64NVME }

package modeltest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/minio/crc64nvme"
)

// sum is the additional checksum of an object.
type sum struct{ algorithm, kind, value string }

const (
	fullObject = "FULL_OBJECT"
	composite  = "COMPOSITE"
)

// usualSum is what is computed where the client asks for nothing.
const usualSum = "CRC64NVME"

// algorithms are those that the streams use.
func algorithms() []string { return []string{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} }

// newHash returns the hash of an algorithm.
func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "CRC32":
		return crc32.NewIEEE()
	case "CRC32C":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "SHA1":
		return sha1.New()
	case "SHA256":
		return sha256.New()
	}
	return crc64nvme.New()
}

func digest(algorithm string, body []byte) string {
	h := newHash(algorithm)
	h.Write(body)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// sumOf is the checksum of an object that is written in one piece.
func sumOf(algorithm string, body []byte) sum {
	return sum{algorithm, fullObject, digest(algorithm, body)}
}

// header is where a checksum is sent.
func (s sum) header() string { return "x-amz-checksum-" + strings.ToLower(s.algorithm) }

// nodes are how documents show it.
func (s sum) nodes() []node {
	return []node{text("Checksum"+s.algorithm, s.value), text("ChecksumType", s.kind)}
}

func md5Hex(body []byte) string {
	d := md5.Sum(body)
	return hex.EncodeToString(d[:])
}

func md5Base64(body []byte) string {
	d := md5.Sum(body)
	return base64.StdEncoding.EncodeToString(d[:])
}

// assembledETag is the ETag of an object that is made of parts. Source: AWS
// "Checking object integrity".
func assembledETag(parts []part) string {
	h := md5.New()
	for _, p := range parts {
		d, _ := hex.DecodeString(p.etag) // the model's own
		h.Write(d)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}

// assembledSum is the checksum of an object that is made of parts: of all its
// bytes, or of the checksums of its parts.
func assembledSum(algorithm, kind string, parts []part) sum {
	s, h := sum{algorithm: algorithm, kind: kind}, newHash(algorithm)
	for _, p := range parts {
		if kind == fullObject {
			h.Write(p.body)
			continue
		}
		d, _ := base64.StdEncoding.DecodeString(p.sum) // the model's own
		h.Write(d)
	}
	s.value = base64.StdEncoding.EncodeToString(h.Sum(nil))
	if kind == composite {
		s.value += "-" + strconv.Itoa(len(parts))
	}
	return s
}

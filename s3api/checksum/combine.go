package checksum

import "encoding/binary"

// A CRC is the remainder of a message, taken as a polynomial over GF(2), divided
// by the algorithm's polynomial P. Appending n bytes multiplies what stands
// before by x^(8n), so
//
//	crc(A B) = crc(A) * x^(8 len(B)) mod P + crc(B)
//
// where + is xor; the inversions at both ends of the three CRCs of S3 cancel
// out. (Mark Adler explains it in the comments of zlib's crc32_combine.) All
// three CRCs are bit-reflected: the highest bit of a value is x^0.
type field struct {
	width uint   // bits of a value
	poly  uint64 // P without its leading term, reflected
}

func fieldOf(a Algorithm) field {
	switch a {
	case CRC32:
		return field{32, 0xedb88320}
	case CRC32C:
		return field{32, 0x82f63b78}
	default: // CRC64NVME
		return field{64, 0x9a6c9329ac4bc9b5}
	}
}

// mul returns a*b mod P.
func (f field) mul(a, b uint64) uint64 {
	var product uint64
	for bit := uint64(1) << (f.width - 1); a != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
			a ^= bit
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= f.poly
		}
	}
	return product
}

// shift returns x^(8n) mod P: what n appended bytes multiply by.
func (f field) shift(n int64) uint64 {
	result := uint64(1) << (f.width - 1) // x^0
	for power := uint64(1) << (f.width - 9); n > 0; n >>= 1 {
		if n&1 != 0 {
			result = f.mul(result, power)
		}
		power = f.mul(power, power)
	}
	return result
}

// combiner computes the CRC of a whole from those of its parts, in order.
type combiner struct {
	field
	crc uint64

	size   int64  // of the last part
	factor uint64 // shift(size): parts are mostly of one size
}

func newCombiner(a Algorithm) *combiner {
	f := fieldOf(a)
	return &combiner{field: f, factor: f.shift(0)}
}

// add appends a part by its digest (big-endian, of the field's width) and size.
func (c *combiner) add(sum []byte, size int64) {
	if size != c.size {
		c.size, c.factor = size, c.shift(size)
	}
	var b [8]byte
	copy(b[8-len(sum):], sum)
	c.crc = c.mul(c.crc, c.factor) ^ binary.BigEndian.Uint64(b[:])
}

// sum returns the digest of the whole.
func (c *combiner) sum() []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], c.crc)
	return b[8-c.width/8:]
}

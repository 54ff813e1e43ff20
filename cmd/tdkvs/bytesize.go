package main

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// byteSize is a number of bytes, written in a file as 512MiB, 10GB or 4096.
type byteSize uint64

// sizeUnits are the units of a size, IEC and SI, the largest first of each.
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"PiB", 1 << 50}, {"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"PB", 1e15}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
	}
}

type sizeUnit struct {
	name  string
	bytes uint64
}

// parseByteSize reads digits and an optional unit, with nothing but spaces
// between them.
func parseByteSize(text string) (byteSize, error) {
	digits, factor := text, uint64(1)
	for _, u := range sizeUnits() {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			digits, factor = strings.TrimRight(rest, " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("want a size such as 512MiB, 10GB or 4096, not %q", text)
	}
	high, low := bits.Mul64(n, factor)
	if high != 0 || low > math.MaxInt64 {
		return 0, fmt.Errorf("%q is too large a size", text)
	}
	return byteSize(low), nil
}

// String writes the size with the largest IEC unit that divides it.
func (s byteSize) String() string {
	for _, u := range sizeUnits()[:5] {
		if s != 0 && uint64(s)%u.bytes == 0 {
			return strconv.FormatUint(uint64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatUint(uint64(s), 10)
}

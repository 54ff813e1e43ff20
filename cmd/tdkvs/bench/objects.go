package bench

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Sizes says how large objects are, in bytes: all alike, or between two bounds.
type Sizes struct {
	Least, Most int64
	// Log makes each power of two as likely as the next, as in real stores; else
	// each size is as likely as any other.
	Log bool
}

// of returns the size of an object: it follows from its number.
func (s Sizes) of(number uint64) int64 {
	if s.Least == s.Most {
		return s.Least
	}
	u := float64(mix(^number)>>11) / (1 << 53) // in [0, 1)
	if s.Log {
		low, high := math.Log(float64(max(s.Least, 1))), math.Log(float64(s.Most)+1)
		return min(max(int64(math.Exp(low+u*(high-low))), s.Least), s.Most)
	}
	return s.Least + int64(u*float64(s.Most-s.Least+1))
}

// mean is the size that objects have on average.
func (s Sizes) mean() int64 {
	if s.Log && s.Least != s.Most {
		least, most := float64(max(s.Least, 1)), float64(s.Most)
		return int64((most - least) / (math.Log(most) - math.Log(least)))
	}
	return s.Least + (s.Most-s.Least)/2
}

// Keys says which of its objects a load takes next.
type Keys string

// The distributions.
const (
	Sequential Keys = "sequential" // one after the other
	Random     Keys = "random"     // each as likely as any other
	Zipf       Keys = "zipf"       // few often, many seldom (exponent 1.1)
)

// AllKeys are the distributions.
func AllKeys() []Keys { return []Keys{Sequential, Random, Zipf} }

const zipfExponent = 1.1

// zipf draws with math/rand's rejection, which wants its own kind of source.
func newZipf(rng *rand.Rand, n uint64) *rand.Zipf {
	return rand.NewZipf(rng, zipfExponent, 1, n-1)
}

// appendName appends the key of an object behind its prefix. Keys are in the order
// of their numbers, and say the size, for whoever stores nothing.
func appendName(dst []byte, prefix string, number uint64, size int64) []byte {
	const digits = 10
	dst = append(dst, prefix...)
	text := strconv.AppendUint(make([]byte, 0, 20), number, 10)
	for range digits - len(text) {
		dst = append(dst, '0')
	}
	dst = append(append(dst, text...), '-')
	return strconv.AppendInt(dst, size, 10)
}

// parseName reads number and size from a key.
func parseName(key string) (number uint64, size int64, ok bool) {
	name := key[strings.LastIndexByte(key, '/')+1:]
	first, last, found := strings.Cut(name, "-")
	number, err := strconv.ParseUint(first, 10, 64)
	size, err2 := strconv.ParseInt(last, 10, 64)
	return number, size, found && err == nil && err2 == nil && size >= 0
}

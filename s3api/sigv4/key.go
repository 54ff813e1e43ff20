package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"sync"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	asymmetric = "AWS4-ECDSA-P256-SHA256" // version 4a
	terminator = "aws4_request"

	timeFormat = "20060102T150405Z" // ISO 8601 basic, as in x-amz-date
	dateFormat = "20060102"
)

// scope is what a signing key is good for.
type scope struct {
	date    string // YYYYMMDD
	region  string
	service string
}

// String returns the scope as it stands in a string to sign.
func (s scope) String() string { return string(s.append(nil)) }

func (s scope) append(dst []byte) []byte {
	for _, part := range [...]string{s.date, s.region, s.service} {
		dst = append(append(dst, part...), '/')
	}
	return append(dst, terminator...)
}

type signingKey [sha256.Size]byte

// deriveKey computes a signing key: four HMACs, each keyed by the one before.
func deriveKey(secret string, s scope) signingKey {
	key := []byte("AWS4" + secret)
	for _, part := range [...]string{s.date, s.region, s.service, terminator} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return signingKey(key)
}

// maxKeys bounds the cache: some hundred users times a day and a region. A full
// cache is emptied; deriving a key again costs microseconds.
const maxKeys = 512

// keyCache keeps derived keys. The zero value is ready.
type keyCache struct {
	mu   sync.Mutex
	keys map[keyID]signingKey // guarded by mu
}

type keyID struct {
	secret string
	scope  scope
}

func (c *keyCache) get(secret string, s scope) signingKey {
	id := keyID{secret, s}
	c.mu.Lock()
	key, ok := c.keys[id]
	c.mu.Unlock()
	if ok {
		return key
	}
	key = deriveKey(secret, s)
	// The strings of a scope are cut from the request: keep copies, not it.
	id.scope = scope{strings.Clone(s.date), strings.Clone(s.region), strings.Clone(s.service)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		c.keys = make(map[keyID]signingKey)
	}
	if len(c.keys) >= maxKeys {
		clear(c.keys)
	}
	c.keys[id] = key
	return key
}

// appendStringToSign appends the string to sign of a request. stamp is its time
// in timeFormat.
func appendStringToSign(dst []byte, stamp string, s scope, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	dst = append(dst, algorithm+"\n"...)
	dst = append(dst, stamp...)
	dst = append(dst, '\n')
	dst = s.append(dst)
	dst = append(dst, '\n')
	return hex.AppendEncode(dst, sum[:])
}

// usualLength is the length in bytes that strings to sign of requests stay below;
// those of policies may be longer.
const usualLength = 256

// mac returns the HMAC of a message (RFC 2104), which crypto/hmac would make
// several objects for. Both blocks of the key are computed on the way: they are
// 64 bytes each.
func (k *signingKey) mac(message []byte) [sha256.Size]byte {
	var inside [sha256.BlockSize + usualLength]byte
	var outside [sha256.BlockSize + sha256.Size]byte
	for i := range sha256.BlockSize {
		var b byte
		if i < len(k) {
			b = k[i]
		}
		inside[i], outside[i] = b^0x36, b^0x5c
	}
	inner := sha256.Sum256(append(inside[:sha256.BlockSize], message...))
	copy(outside[sha256.BlockSize:], inner[:])
	return sha256.Sum256(outside[:])
}

// sign returns the signature of a string to sign in hex.
func (k *signingKey) sign(stringToSign []byte) string {
	sum := k.mac(stringToSign)
	return hex.EncodeToString(sum[:])
}

// matches compares, in constant time, the signature of a string to sign.
func (k *signingKey) matches(stringToSign []byte, signature string) bool {
	sum := k.mac(stringToSign)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return subtle.ConstantTimeCompare(text[:], []byte(signature)) == 1
}

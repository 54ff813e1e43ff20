package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
)

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// chunkSigner is what the signatures of chunks are made from.
type chunkSigner struct {
	key       signingKey
	accessKey string
	previous  string // the last signature in hex; at first that of the request
	scope     string // time and scope lines of every string to sign
}

// stringToSign appends the string to sign of a chunk or a trailer:
// middle is the line that only chunks have.
func (s *chunkSigner) stringToSign(dst []byte, kind, middle string, sum []byte) []byte {
	dst = append(dst, algorithm+"-"...)
	dst = append(dst, kind...)
	dst = append(dst, '\n')
	dst = append(dst, s.scope...)
	dst = append(dst, s.previous...)
	dst = append(dst, '\n')
	dst = append(dst, middle...)
	return hex.AppendEncode(dst, sum)
}

// chunkVerifier checks one chunk after another.
type chunkVerifier struct {
	chunkSigner
	mac     hash.Hash
	hash    hash.Hash // of the current chunk's data
	claimed string    // the current chunk's signature, as sent
	buf     []byte
}

func newChunkVerifier(s chunkSigner) *chunkVerifier {
	return &chunkVerifier{chunkSigner: s, mac: hmac.New(sha256.New, s.key[:]), hash: sha256.New()}
}

// begin starts a chunk that claims a signature.
func (v *chunkVerifier) begin(signature string) {
	v.hash.Reset()
	v.claimed = signature
}

// end checks the chunk whose data has been written to hash.
func (v *chunkVerifier) end() error {
	var sum [sha256.Size]byte
	v.buf = v.stringToSign(v.buf[:0], "PAYLOAD", emptyHash+"\n", v.hash.Sum(sum[:0]))
	return v.check(v.claimed)
}

// trailer checks the signature over all trailers.
func (v *chunkVerifier) trailer(trailers []trailer, signature string) error {
	var text []byte
	for _, t := range trailers {
		text = append(text, t.name+":"+t.value+"\n"...)
	}
	sum := sha256.Sum256(text)
	v.buf = v.stringToSign(v.buf[:0], "TRAILER", "", sum[:])
	return v.check(signature)
}

// check compares the signature of buf, and makes it the previous one.
func (v *chunkVerifier) check(claimed string) error {
	v.mac.Reset()
	v.mac.Write(v.buf)
	var sum [sha256.Size]byte
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], v.mac.Sum(sum[:0]))
	if subtle.ConstantTimeCompare(text[:], []byte(claimed)) != 1 {
		return errSignature(v.accessKey, claimed, v.buf, nil)
	}
	v.previous = claimed
	return nil
}

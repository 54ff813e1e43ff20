package volumehttp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"tdkvs/volume"
)

const (
	authScheme = "TDKVS-HMAC-SHA256"
	// clockWindow is how far the clocks of client and server may differ, and
	// how long a recorded request can be sent again.
	clockWindow = 15 * time.Minute
)

// signer signs requests with a cluster secret, and checks those of others. It keeps
// the keyed hashes, so that the key is not worked in for each request anew.
type signer struct {
	secret string
	pool   sync.Pool // of *keyed
}

// keyed is a hash that the secret has been worked into.
type keyed struct {
	mac hash.Hash
	buf []byte
}

func newSigner(secret string) *signer {
	s := &signer{secret: secret}
	s.pool.New = func() any { return &keyed{mac: hmac.New(sha256.New, []byte(secret))} }
	return s
}

// signature appends HMAC-SHA256 (RFC 2104), keyed by the cluster secret, over the
// parts of a request that say what is done to which volume, one a line. The
// body is not part of it: frames and messages carry checksums against damage,
// and an attacker on the path is TLS's business.
func (s *signer) signature(dst []byte, method, uri, timestamp, expectedVolume string) []byte {
	k := s.pool.Get().(*keyed)
	defer s.pool.Put(k)
	k.buf = k.buf[:0]
	for _, part := range [...]string{"tdkvs-volume-1", method, uri, timestamp, expectedVolume} {
		k.buf = append(append(k.buf, part...), '\n')
	}
	k.mac.Reset()
	_, _ = k.mac.Write(k.buf) // a hash never fails
	return k.mac.Sum(dst)
}

// appendSigned appends the value of the Authorization header: scheme, seconds since
// 1970, signature.
func (s *signer) appendSigned(dst []byte, method, uri, expectedVolume string, now time.Time) []byte {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	var sum [sha256.Size]byte
	dst = append(append(append(dst, authScheme+" "...), timestamp...), ' ')
	return hex.AppendEncode(dst, s.signature(sum[:0], method, uri, timestamp, expectedVolume))
}

// authorize checks that a request may be served at all: that it is signed with
// the cluster secret or, where there is none, that its sender is on this
// machine. All its errors are ErrDenied.
func (s *signer) authorize(r *http.Request, now time.Time) error {
	return s.check(r.Header.Get(headerAuth), r.Method, r.RequestURI, r.Header.Get(headerVolume), r.RemoteAddr, now)
}

// check is authorize of what a request consists of.
func (s *signer) check(authorization, method, uri, expectedVolume, peer string, now time.Time) error {
	if s.secret == "" {
		return loopbackOnly(peer)
	}
	scheme, rest, _ := strings.Cut(authorization, " ")
	timestamp, given, ok := strings.Cut(rest, " ")
	if !ok || scheme != authScheme {
		return fmt.Errorf("%w: the request is not signed: set cluster_secret to this volume's value", volume.ErrDenied)
	}
	var sum [sha256.Size]byte
	var text [2 * sha256.Size]byte
	want := hex.AppendEncode(text[:0], s.signature(sum[:0], method, uri, timestamp, expectedVolume))
	if !hmac.Equal([]byte(given), want) {
		return fmt.Errorf("%w: it differs from this volume's cluster_secret", volume.ErrDenied)
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: timestamp %q", volume.ErrDenied, timestamp)
	}
	if skew := now.Sub(time.Unix(seconds, 0)); skew.Abs() > clockWindow {
		return fmt.Errorf("%w: the clocks differ by %v: set both to the time", volume.ErrDenied, skew.Round(time.Second))
	}
	return nil
}

func loopbackOnly(remote string) error {
	peer, err := netip.ParseAddrPort(remote)
	if err == nil && peer.Addr().Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w: this volume has none, so it serves its own machine only: "+
		"set cluster_secret to the same value for the master and for every volume", volume.ErrDenied)
}

package volumehttp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tdkvs/volume"
)

const (
	authScheme = "TDKVS-HMAC-SHA256"
	// clockWindow is how far the clocks of client and server may differ, and
	// how long a recorded request can be sent again.
	clockWindow = 15 * time.Minute
)

// signature is HMAC-SHA256 (RFC 2104) keyed by the cluster secret over the
// parts of a request that say what is done to which volume, one a line. The
// body is not part of it: frames and messages carry checksums against damage,
// and an attacker on the path is TLS's business.
func signature(secret, method, uri, timestamp, expectedVolume string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	for _, part := range []string{"tdkvs-volume-1", method, uri, timestamp, expectedVolume} {
		_, _ = mac.Write([]byte(part + "\n")) // a hash never fails
	}
	return mac.Sum(nil)
}

// sign adds the Authorization header: scheme, seconds since 1970, signature.
func sign(req *http.Request, secret string, now time.Time) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	sum := signature(secret, req.Method, req.URL.RequestURI(), timestamp, req.Header.Get(headerVolume))
	req.Header.Set(headerAuth, authScheme+" "+timestamp+" "+hex.EncodeToString(sum))
}

// authorize checks that a request may be served at all: that it is signed with
// the cluster secret or, where there is none, that its sender is on this
// machine. All its errors are ErrDenied.
func authorize(r *http.Request, secret string, now time.Time) error {
	if secret == "" {
		return loopbackOnly(r.RemoteAddr)
	}
	fields := strings.Fields(r.Header.Get(headerAuth))
	if len(fields) != 3 || fields[0] != authScheme {
		return fmt.Errorf("%w: the request is not signed: set cluster_secret to this volume's value", volume.ErrDenied)
	}
	got, err := hex.DecodeString(fields[2])
	want := signature(secret, r.Method, r.RequestURI, fields[1], r.Header.Get(headerVolume))
	if err != nil || !hmac.Equal(got, want) {
		return fmt.Errorf("%w: it differs from this volume's cluster_secret", volume.ErrDenied)
	}
	seconds, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return fmt.Errorf("%w: timestamp %q", volume.ErrDenied, fields[1])
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

package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestStamps: what the quick readers take, and make of it, is what time.Parse does.
func TestStamps(t *testing.T) {
	t.Parallel()
	check := func(s string) {
		t.Helper()
		want, err := time.Parse(timeFormat, s)
		if got, ok := parseStamp(s); ok != (err == nil && len(s) == len(timeFormat)) || ok && !got.Equal(want) {
			t.Errorf("%q: %v %v, want %v %v", s, got, ok, want, err)
		}
		day := s[:min(len(s), len(dateFormat))]
		want, err = time.Parse(dateFormat, day)
		if got, ok := parseDay(day); ok != (err == nil) || ok && !got.Equal(want) {
			t.Errorf("%q: %v %v, want %v %v", day, got, ok, want, err)
		}
	}
	for _, s := range []string{
		"", "2026", "20260228T235959Z", "20260229T000000Z", "20240229T000000Z", "21000229T000000Z", "20260431T000000Z", "20261301T000000Z",
		"20260001T000000Z", "20260100T000000Z", "20260101T240000Z", "20260101T006000Z", "20260101T000060Z", "00000101T000000Z",
		"20260101t000000Z", "20260101T000000z", "2026-101T000000Z", "2026+101T000000Z", "20260101T00000.Z", "20260101T0000001", "20260101T000000Z ", "99991231T235959Z",
	} {
		check(s)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const valid = "20240229T235959Z"
	for range 20_000 {
		b := []byte(valid)
		for range rng.IntN(4) {
			b[rng.IntN(len(b))] = "0123456789TZ-+. a"[rng.IntN(17)]
		}
		check(string(b))
	}
}

// TestMAC: the two hashes are the HMAC of the library, for messages around the
// length that fits on the stack.
func TestMAC(t *testing.T) {
	t.Parallel()
	key := deriveKey("secret", scope{"20130524", "us-east-1", "s3"})
	for _, n := range []int{0, 1, 140, usualLength - 1, usualLength, usualLength + 1, 5000} {
		message := []byte(strings.Repeat("m", n))
		mac := hmac.New(sha256.New, key[:])
		mac.Write(message)
		if got, want := key.sign(message), hex.EncodeToString(mac.Sum(nil)); got != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
		if !key.matches(message, key.sign(message)) || key.matches(append(message, 'x'), key.sign(message)) {
			t.Errorf("%d bytes: the wrong one matches", n)
		}
	}
}

// TestVerifyAllocates bounds what a signature costs that is as clients make them.
func TestVerifyAllocates(t *testing.T) {
	r := parseRequest(t, "GET /bucket/key HTTP/1.1\nHost: localhost:3000\nx-amz-meta-a: b\n")
	resign(exampleSigner, emptyHash, exampleTime)(r)
	v := exampleVerifier(exampleTime)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := v.Verify(r); err != nil {
			t.Fatal(err)
		}
	}); n > 8 { // 4, and more where the race detector empties pools
		t.Errorf("%v allocations", n)
	}
}

package sigv4

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Credentials are a key pair and, for temporary ones, their session token.
type Credentials struct {
	AccessKey string
	SecretKey string
	Token     string
}

// Signer signs requests for one service and region.
type Signer struct {
	Credentials
	Region  string
	Service string // "" means "s3"
}

// Sign adds x-amz-date, x-amz-content-sha256 and Authorization to r. payload is
// the value of x-amz-content-sha256: the hex SHA-256 of the body,
// "UNSIGNED-PAYLOAD" (also meant by "") or a streaming mode. The host and every
// header that r has by now are signed, but for a few that proxies change.
func (s Signer) Sign(r *http.Request, payload string, at time.Time) error {
	if payload == "" {
		payload = payloadUnsigned
	}
	at = at.UTC()
	r.Header.Del("Authorization")
	r.Header.Set("X-Amz-Date", at.Format(timeFormat))
	r.Header.Set("X-Amz-Content-Sha256", payload)
	if s.Token != "" {
		r.Header.Set("X-Amz-Security-Token", s.Token)
	}
	params, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	signed := signedHeaders(r.Header)
	sc := s.scope(at)
	signature := s.signature(r, params, signed, payload, at)
	r.Header.Set("Authorization", algorithm+" Credential="+s.AccessKey+"/"+sc.String()+
		", SignedHeaders="+strings.Join(signed, ";")+", Signature="+signature)
	return nil
}

// Presign returns r's URL with a signature in its query that is good for
// expires (1 s to MaxExpires, whole seconds) from at. The host and every header
// that r has are signed, so the user of the URL must send them, too.
func (s Signer) Presign(r *http.Request, expires time.Duration, at time.Time) (string, error) {
	seconds := int64(expires / time.Second)
	if seconds < 1 || expires > MaxExpires {
		return "", errors.New("sigv4: a presigned URL is good for 1 second to 7 days")
	}
	at = at.UTC()
	signed := signedHeaders(r.Header)
	query := [][2]string{
		{paramAlgorithm, algorithm},
		{paramCredential, s.AccessKey + "/" + s.scope(at).String()},
		{paramDate, at.Format(timeFormat)},
		{paramExpires, strconv.FormatInt(seconds, 10)},
		{paramSignedHeaders, strings.Join(signed, ";")},
	}
	if s.Token != "" {
		query = append(query, [2]string{paramToken, s.Token})
	}
	params, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	for _, q := range query {
		params = append(params, param{escape(q[0]), escape(q[1])})
	}
	u := *r.URL
	if u.Host == "" {
		u.Host = r.Host
	}
	signature := s.signature(r, params, signed, payloadUnsigned, at)
	u.RawQuery = string(appendQuery(nil, params)) + "&" + paramSignature + "=" + signature
	return u.String(), nil
}

func (s Signer) scope(at time.Time) scope {
	service := s.Service
	if service == "" {
		service = "s3"
	}
	return scope{date: at.Format(dateFormat), region: s.Region, service: service}
}

// signature signs a request that a client is about to send.
func (s Signer) signature(r *http.Request, params []param, signed []string, payload string, at time.Time) string {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	sc := s.scope(at)
	canonical := appendCanonicalRequest(nil, r, host, params, signed, payload)
	key := deriveKey(s.SecretKey, sc)
	return key.sign(appendStringToSign(nil, at.UTC().Format(timeFormat), sc, canonical))
}

// signedHeaders returns the names to sign, in lower case and order.
func signedHeaders(h http.Header) []string {
	signed := []string{"host"}
	for name := range h {
		switch name = strings.ToLower(name); name {
		case "host", "authorization", "user-agent", "accept-encoding", "connection", "expect",
			"transfer-encoding", "x-amzn-trace-id":
		default:
			signed = append(signed, name)
		}
	}
	slices.Sort(signed)
	return signed
}

func escape(s string) string {
	dst := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		dst = appendEscaped(dst, s[i])
	}
	return string(dst)
}

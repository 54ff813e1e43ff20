package sigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tdkvs/s3api/s3err"
)

// claim is what a request says of its own signature, before any of it is
// believed.
type claim struct {
	kind      Kind
	accessKey string
	scope     scope
	signed    []string // names of the signed headers, as sent
	signature string
	time      time.Time
	stamp     string // the time as sent
	expires   time.Duration
	token     string
	payload   string // x-amz-content-sha256
}

// Query parameters of a presigned URL.
const (
	paramAlgorithm     = "X-Amz-Algorithm"
	paramCredential    = "X-Amz-Credential"
	paramDate          = "X-Amz-Date"
	paramExpires       = "X-Amz-Expires"
	paramSignedHeaders = "X-Amz-SignedHeaders"
	paramSignature     = "X-Amz-Signature"
	paramToken         = "X-Amz-Security-Token"
	paramPayload       = "X-Amz-Content-Sha256"
)

// detect finds out how a request authenticates itself.
func detect(r *http.Request, params []param) (Kind, error) {
	authorization := r.Header.Get("Authorization")
	var v4, v2 bool
	for _, p := range params {
		switch p.name {
		case paramAlgorithm, paramSignature, paramCredential:
			v4 = true
		case "AWSAccessKeyId", "Signature":
			v2 = true
		}
	}
	switch {
	case authorization != "" && (v4 || v2):
		return 0, s3err.Argument("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "+
			"Signature query string parameter or the Authorization header should be specified",
			"Authorization", firstWord(authorization))
	case v4:
		return Presigned, nil
	case v2:
		return 0, errUnsupportedMechanism()
	case authorization != "":
		return Header, nil
	default:
		return Anonymous, nil
	}
}

// firstWord is how much of an Authorization header may be repeated: the scheme,
// never what might be a password.
func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

// headerClaim reads the Authorization header.
func headerClaim(r *http.Request) (*claim, error) {
	value := r.Header.Get("Authorization")
	mechanism, rest, ok := strings.Cut(value, " ")
	switch {
	case !ok:
		return nil, s3err.Argument("Authorization header is invalid -- one and only one ' ' (space) required.", "Authorization", "")
	case mechanism == algorithm:
	case mechanism == "AWS", mechanism == asymmetric: // version 2, 4a
		return nil, errUnsupportedMechanism()
	default:
		return nil, s3err.Argument("Unsupported Authorization Type", "Authorization", mechanism)
	}
	credential, headers, signature, err := splitAuthorization(rest)
	if err != nil {
		return nil, err
	}
	signedHeaders, ok := parseSignedHeaders(headers)
	if !ok {
		return nil, dialectOf(Header).credential("the authorization component %q is malformed.", "SignedHeaders="+headers)
	}
	c := &claim{
		kind:      Header,
		signed:    signedHeaders,
		signature: signature,
		token:     r.Header.Get("X-Amz-Security-Token"),
		payload:   r.Header.Get("X-Amz-Content-Sha256"),
	}
	if err := c.readCredential(credential); err != nil {
		return nil, err
	}
	if c.stamp = r.Header.Get("X-Amz-Date"); c.stamp == "" {
		c.stamp = r.Header.Get("Date")
	}
	if c.time, ok = parseTime(c.stamp); !ok {
		return nil, s3err.New(s3err.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header.")
	}
	return c, nil
}

// splitAuthorization takes the three components out of
// "Credential=…, SignedHeaders=…, Signature=…", in any order and with any
// spacing around the commas.
func splitAuthorization(s string) (credential, headers, signature string, err error) {
	d := dialectOf(Header)
	n := 0
	for part := range strings.SplitSeq(s, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		n++
		switch {
		case !ok:
			return "", "", "", d.credential("the authorization component %q is malformed.", strings.TrimSpace(part))
		case name == "Credential" && credential == "":
			credential = value
		case name == "SignedHeaders" && headers == "":
			headers = value
		case name == "Signature" && signature == "":
			signature = value
		case name == "Credential", name == "SignedHeaders", name == "Signature":
			n = -1 << 10 // repeated: never three
		}
	}
	switch {
	case n != 3:
		return "", "", "", d.credential("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	case credential == "":
		return "", "", "", d.credential("missing Credential.")
	case headers == "":
		return "", "", "", d.credential("missing SignedHeaders.")
	case signature == "":
		return "", "", "", d.credential("missing Signature.")
	}
	return credential, headers, signature, nil
}

// readCredential splits "AKID/date/region/service/aws4_request".
func (c *claim) readCredential(s string) error {
	d := dialectOf(c.kind)
	parts := strings.Split(s, "/")
	if len(parts) != 5 {
		return d.credential(credentialForm)
	}
	c.accessKey = parts[0]
	c.scope = scope{date: parts[1], region: parts[2], service: parts[3]}
	if c.accessKey == "" {
		return d.credential("a non-empty Access Key (AKID) must be provided in the credential.")
	}
	if last := parts[4]; last != terminator {
		return d.credential("incorrect terminal %q. This endpoint uses %q.", last, terminator)
	}
	if _, err := time.Parse(dateFormat, c.scope.date); err != nil {
		return d.credential(`incorrect date format %q. This date in the credential must be in the format "yyyyMMdd".`, c.scope.date)
	}
	return nil
}

// parseSignedHeaders splits a list of header names. They must be in lower case and
// each stand once: a long header signed a thousand times would make a canonical
// request of a thousand times its length.
func parseSignedHeaders(s string) ([]string, bool) {
	names := strings.Split(s, ";")
	sorted := sortedNames(names)
	for i, name := range sorted {
		if name == "" || strings.ToLower(name) != name || i > 0 && name == sorted[i-1] {
			return nil, false
		}
	}
	return names, true
}

// sortedNames returns names in order; honest clients send them so.
func sortedNames(names []string) []string {
	if slices.IsSorted(names) {
		return names
	}
	return slices.Sorted(slices.Values(names))
}

// parseStamp reads a time in ISO 8601 basic form. (time.Parse would take
// fractions of a second, too.)
func parseStamp(s string) (time.Time, bool) {
	if len(s) != len(timeFormat) {
		return time.Time{}, false
	}
	t, err := time.Parse(timeFormat, s)
	return t, err == nil
}

// parseTime reads x-amz-date or Date: ISO 8601 basic, or one of the forms of an
// HTTP date.
func parseTime(s string) (time.Time, bool) {
	if t, ok := parseStamp(s); ok {
		return t, true
	}
	if t, err := http.ParseTime(s); err == nil {
		return t.UTC(), true
	}
	if t, err := time.Parse(time.RFC1123Z, s); err == nil {
		return t.UTC(), true
	}
	return time.Time{}, false
}

// queryClaim reads a presigned URL.
func queryClaim(r *http.Request, params []param) (*claim, error) {
	get := func(name string) string {
		p, _ := find(params, name)
		return p.decoded()
	}
	for _, name := range [...]string{paramAlgorithm, paramCredential, paramSignature, paramDate, paramSignedHeaders, paramExpires} {
		if get(name) == "" {
			return nil, errQuery("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, " +
				"X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	switch get(paramAlgorithm) {
	case algorithm:
	case asymmetric: // AWS knows it, but not everywhere
		return nil, errQuery(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`)
	default:
		return nil, errQuery(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`)
	}
	signed, ok := parseSignedHeaders(get(paramSignedHeaders))
	if !ok {
		return nil, errQuery("X-Amz-SignedHeaders must be a list of header names in lower case, each once, separated by semicolons")
	}
	c := &claim{
		kind:      Presigned,
		signed:    signed,
		signature: get(paramSignature),
		stamp:     get(paramDate),
		token:     get(paramToken),
		payload:   get(paramPayload),
	}
	if c.token == "" {
		c.token = r.Header.Get("X-Amz-Security-Token")
	}
	if c.payload == "" {
		c.payload = r.Header.Get("X-Amz-Content-Sha256")
	}
	if err := c.readCredential(get(paramCredential)); err != nil {
		return nil, err
	}
	if c.time, ok = parseStamp(c.stamp); !ok {
		return nil, errQuery(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	var err error
	if c.expires, err = parseExpires(get(paramExpires)); err != nil {
		return nil, err
	}
	return c, nil
}

func errQuery(message string) error {
	return s3err.New(s3err.AuthorizationQueryParametersError, message)
}

// parseExpires reads X-Amz-Expires in seconds. Zero is a number that it may be,
// but such a URL has expired when it is made.
func parseExpires(s string) (time.Duration, error) {
	seconds, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return 0, errQuery("X-Amz-Expires should be a number")
	case seconds < 0:
		return 0, errQuery("X-Amz-Expires must be non-negative")
	case seconds > int64(MaxExpires/time.Second):
		return 0, errQuery("X-Amz-Expires must be less than a week (in seconds); " +
			"that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	return time.Duration(seconds) * time.Second, nil
}

// checkSigned refuses a request with headers that matter and are not signed:
// the host and everything that is addressed to S3.
func (c *claim) checkSigned(r *http.Request) error {
	signed := sortedNames(c.signed)
	var missing []string
	if _, ok := slices.BinarySearch(signed, "host"); !ok {
		missing = append(missing, "host")
	}
	for name := range r.Header {
		if len(name) < len("x-amz-") || !strings.EqualFold(name[:len("x-amz-")], "x-amz-") {
			continue
		}
		name = strings.ToLower(name)
		// CloudFront adds x-amz-cf-id to what it forwards.
		if _, ok := slices.BinarySearch(signed, name); !ok && name != "x-amz-cf-id" {
			missing = append(missing, name)
		}
	}
	if missing == nil {
		return nil
	}
	slices.Sort(missing)
	return errNotSigned(missing)
}

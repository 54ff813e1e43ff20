package sigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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
	basic     string // the time in timeFormat
	expires   time.Duration
	token     string
	payload   string // x-amz-content-sha256
}

// first returns the first value of a header, by its canonical name. (http.Header.Get
// makes sure of that again, each time.)
func first(h http.Header, canonical string) string {
	if v := h[canonical]; len(v) > 0 {
		return v[0]
	}
	return ""
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
	authorization := first(r.Header, "Authorization")
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

// readHeader reads the Authorization header.
func (c *claim) readHeader(r *http.Request) error {
	value := first(r.Header, "Authorization")
	mechanism, rest, ok := strings.Cut(value, " ")
	switch {
	case !ok:
		return s3err.Argument("Authorization header is invalid -- one and only one ' ' (space) required.", "Authorization", "")
	case mechanism == algorithm:
	case mechanism == "AWS", mechanism == asymmetric: // version 2, 4a
		return errUnsupportedMechanism()
	default:
		return s3err.Argument("Unsupported Authorization Type", "Authorization", mechanism)
	}
	credential, headers, signature, err := splitAuthorization(rest)
	if err != nil {
		return err
	}
	c.kind, c.signature = Header, signature
	c.token, c.payload = first(r.Header, "X-Amz-Security-Token"), first(r.Header, "X-Amz-Content-Sha256")
	if !c.readSigned(headers) {
		return dialectOf(Header).credential("the authorization component %q is malformed.", "SignedHeaders="+headers)
	}
	if err := c.readCredential(credential); err != nil {
		return err
	}
	stamp := first(r.Header, "X-Amz-Date")
	if stamp == "" {
		stamp = first(r.Header, "Date")
	}
	if !c.readTime(stamp) {
		return s3err.New(s3err.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header.")
	}
	return nil
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
	if strings.Count(s, "/") != 4 {
		return d.credential(credentialForm)
	}
	c.accessKey, s, _ = strings.Cut(s, "/")
	c.scope.date, s, _ = strings.Cut(s, "/")
	c.scope.region, s, _ = strings.Cut(s, "/")
	var last string
	c.scope.service, last, _ = strings.Cut(s, "/")
	if c.accessKey == "" {
		return d.credential("a non-empty Access Key (AKID) must be provided in the credential.")
	}
	if last != terminator {
		return d.credential("incorrect terminal %q. This endpoint uses %q.", last, terminator)
	}
	if _, ok := parseDay(c.scope.date); !ok {
		return d.credential(`incorrect date format %q. This date in the credential must be in the format "yyyyMMdd".`, c.scope.date)
	}
	return nil
}

// readSigned splits a list of header names. They must be in lower case and each
// stand once: a long header signed a thousand times would make a canonical
// request of a thousand times its length.
func (c *claim) readSigned(list string) bool {
	for name := range strings.SplitSeq(list, ";") {
		c.signed = append(c.signed, name)
	}
	sorted := sortedNames(c.signed)
	for i, name := range sorted {
		if name == "" || !isLower(name) || i > 0 && name == sorted[i-1] {
			return false
		}
	}
	return true
}

// isLower reports whether a name is in lower case.
func isLower(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z':
			return false
		case c >= utf8.RuneSelf: // no header's name, but not for us to say
			return strings.ToLower(name) == name
		}
	}
	return true
}

// sortedNames returns names in order; honest clients send them so.
func sortedNames(names []string) []string {
	if slices.IsSorted(names) {
		return names
	}
	return slices.Sorted(slices.Values(names))
}

// readQuery reads a presigned URL.
func (c *claim) readQuery(r *http.Request, params []param) error {
	get := func(name string) string {
		p, _ := find(params, name)
		return p.decoded()
	}
	for _, name := range [...]string{paramAlgorithm, paramCredential, paramSignature, paramDate, paramSignedHeaders, paramExpires} {
		if get(name) == "" {
			return errQuery("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, " +
				"X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	switch get(paramAlgorithm) {
	case algorithm:
	case asymmetric: // AWS knows it, but not everywhere
		return errQuery(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`)
	default:
		return errQuery(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`)
	}
	c.kind, c.signature = Presigned, get(paramSignature)
	c.stamp, c.token, c.payload = get(paramDate), get(paramToken), get(paramPayload)
	if !c.readSigned(get(paramSignedHeaders)) {
		return errQuery("X-Amz-SignedHeaders must be a list of header names in lower case, each once, separated by semicolons")
	}
	if c.token == "" {
		c.token = first(r.Header, "X-Amz-Security-Token")
	}
	if c.payload == "" {
		c.payload = first(r.Header, "X-Amz-Content-Sha256")
	}
	if err := c.readCredential(get(paramCredential)); err != nil {
		return err
	}
	var ok bool
	c.basic = c.stamp
	if c.time, ok = parseStamp(c.stamp); !ok {
		return errQuery(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	var err error
	if c.expires, err = parseExpires(get(paramExpires)); err != nil {
		return err
	}
	return nil
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
		if len(name) < len("x-amz-") || name[0]|0x20 != 'x' || !strings.EqualFold(name[:len("x-amz-")], "x-amz-") {
			continue
		}
		if _, ok := slices.BinarySearchFunc(signed, name, compareLower); ok {
			continue
		}
		if name = strings.ToLower(name); name != "x-amz-cf-id" { // CloudFront adds it to what it forwards
			missing = append(missing, name)
		}
	}
	if missing == nil {
		return nil
	}
	slices.Sort(missing)
	return errNotSigned(missing)
}

// compareLower compares a name in lower case with any header's name, whose letters
// are ASCII.
func compareLower(lower, name string) int {
	for i := range min(len(lower), len(name)) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if lower[i] != c {
			return int(lower[i]) - int(c)
		}
	}
	return len(lower) - len(name)
}

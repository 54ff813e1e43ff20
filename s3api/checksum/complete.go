package checksum

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// Claim is the checksum that a client says a part has, in the <ChecksumXXX>
// element of its Complete document. The zero value is none.
type Claim struct {
	Algorithm Algorithm
	Value     string // base64
}

// ParseClaims reads what a document says of one part: names without "Checksum",
// and values. More than one, or one that is no digest, is InvalidArgument; ok is
// false where a name is unknown.
func ParseClaims(names, values []string) (c Claim, ok bool, err error) {
	var text string
	valid := true
	for i, name := range names {
		if c.Algorithm, ok = ParseAlgorithm(name); !ok {
			return Claim{}, false, nil
		}
		c.Value = values[i]
		valid = valid && i == 0 && c.Algorithm.valid(c.Value)
		text += name + ":" + c.Value + ";"
	}
	if !valid {
		return Claim{}, true, s3err.Argument("Invalid Base64 or multiple checksums present in request", "Checksum", text)
	}
	return c, true, nil
}

// CheckClaim compares what the client claims of part number n with what is
// stored: same is false where the value is another one. A COMPOSITE upload needs
// a claim for each part; a claim of another algorithm than the upload's is
// BadDigest.
func (u Upload) CheckClaim(n int, c Claim, stored meta.Part) (same bool, err error) {
	switch {
	case c.Algorithm == None && u.Algorithm != None && u.Type == Composite:
		return false, invalid("The upload was created using a %s checksum. The complete request must include the checksum for each part. "+
			"It was missing for part %d in the request.", strings.ToLower(u.Algorithm.String()), n)
	case c.Algorithm == None:
		return true, nil
	case c.Algorithm != u.Store():
		if u.Algorithm == None {
			return true, nil // was checked when the part came, and not kept
		}
		return false, s3err.New(s3err.BadDigest, fmt.Sprintf("The %s you specified for part %d did not match what we received.",
			strings.ToLower(c.Algorithm.String()), n))
	}
	return c.Value == stored.Checksum.Value, nil
}

// Value is a checksum that a client gives for comparison: in
// CompleteMultipartUpload's headers, for the whole object. The zero value is
// none.
type Value struct {
	Algorithm Algorithm
	Type      Type   // "" when not said
	Value     string // base64, without "-N"
	Parts     int    // N; 0 when not said
}

// ParseComplete reads x-amz-checksum-* and x-amz-checksum-type of
// CompleteMultipartUpload; the zero Value when there is none. A composite value
// may carry its "-N" or not.
func ParseComplete(h http.Header) (Value, error) {
	t, err := parseType(h.Get("X-Amz-Checksum-Type"))
	if err != nil {
		return Value{}, err
	}
	bare := http.Header{}
	parts := 0
	for key, values := range h {
		if !strings.HasPrefix(key, headerPrefix) {
			continue
		}
		for _, value := range values {
			digest, number, numbered := strings.Cut(value, "-") // standard base64 has no "-"
			if n, err := strconv.ParseUint(number, 10, 31); numbered && err == nil && n > 0 {
				value, parts = digest, int(n)
			}
			bare[key] = append(bare[key], value)
		}
	}
	a, v, err := headerValue(bare)
	return Value{Algorithm: a, Type: t, Value: v, Parts: parts}, err
}

// Check compares the type with that of the upload, and the algorithm: each must
// be the upload's own. Where the upload has no algorithm, AWS takes no notice of
// the value.
func (v Value) Check(u Upload) error {
	switch {
	case v.Type != "" && v.Type != u.kind():
		return invalid("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", u.kind())
	case v.Algorithm == None || u.Algorithm == None || v.Algorithm == u.Algorithm:
		return nil
	}
	return errMismatch(u.Algorithm, v.Algorithm)
}

// CheckClaims compares with the composite of the checksums that the client
// claims for its parts. Where it lacks one, CheckClaim will say so.
func (v Value) CheckClaims(u Upload, claims []Claim) error {
	if v.Algorithm == None || u.Algorithm == None || u.Type != Composite {
		return nil
	}
	parts := make([]meta.Part, len(claims))
	for i, c := range claims {
		if c.Algorithm != u.Algorithm {
			return nil
		}
		parts[i].Checksum.Value = c.Value
	}
	value, err := assembleValue(u.Algorithm, u.Type, parts)
	if err != nil {
		return s3err.Internal(err)
	}
	return v.Compare(u, meta.Checksum{Value: value})
}

// Compare compares with the checksum of the whole object, as Assemble computed
// it: BadDigest when it differs.
func (v Value) Compare(u Upload, computed meta.Checksum) error {
	if v.Algorithm == None || u.Algorithm == None {
		return nil
	}
	digest, number, _ := strings.Cut(computed.Value, "-")
	if v.Value == digest && (v.Parts == 0 || strconv.Itoa(v.Parts) == number) {
		return nil
	}
	return errBadDigest(strings.ToLower(v.Algorithm.String()))
}

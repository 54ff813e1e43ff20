package checksum

import (
	"net/http"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// Type is x-amz-checksum-type.
type Type string

// The types: of the whole object, or of its parts' checksums.
const (
	FullObject Type = "FULL_OBJECT"
	Composite  Type = "COMPOSITE"
)

// parseType reads a type; "" is none.
func parseType(s string) (Type, error) {
	switch t := Type(strings.ToUpper(s)); t {
	case "", FullObject, Composite:
		return t, nil
	default:
		return "", invalid("Value for x-amz-checksum-type header is invalid.")
	}
}

// Upload is the checksum of a multipart upload: what CreateMultipartUpload
// settles for its parts and its object.
type Upload struct {
	Algorithm Algorithm // None: the client asked for none; CRC64NVME is computed
	Type      Type      // "" with None
}

// ParseUpload reads x-amz-checksum-algorithm and x-amz-checksum-type of
// CreateMultipartUpload. Without a type, CRC64NVME means FULL_OBJECT and the
// others COMPOSITE. Every error is an *Error.
func ParseUpload(h http.Header) (Upload, error) {
	t, err := parseType(h.Get("X-Amz-Checksum-Type"))
	if err != nil {
		return Upload{}, err
	}
	name := h.Get("X-Amz-Checksum-Algorithm")
	if name == "" {
		if t != "" {
			return Upload{}, invalid("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return Upload{}, nil
	}
	a, ok := ParseAlgorithm(name)
	if !ok {
		return Upload{}, errUnsupported()
	}
	if t == "" {
		t = Composite
		if a == CRC64NVME {
			t = FullObject
		}
	}
	if t == FullObject && !a.Linear() || t == Composite && a == CRC64NVME {
		return Upload{}, invalid("The %s checksum type cannot be used with the %s checksum algorithm.", t, strings.ToLower(a.String()))
	}
	return Upload{Algorithm: a, Type: t}, nil
}

// ParseCopy reads x-amz-checksum-algorithm of CopyObject: the algorithm that the
// copy shall have, None when not said.
func ParseCopy(h http.Header) (Algorithm, error) {
	name := h.Get("X-Amz-Checksum-Algorithm")
	if name == "" {
		return None, nil
	}
	a, ok := ParseAlgorithm(name)
	if !ok {
		return None, errUnsupported()
	}
	return a, nil
}

func errUnsupported() error {
	return invalid("Checksum algorithm provided is unsupported. Please try again with any of the valid types: " +
		"[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
}

// UploadOf returns the checksum recorded with an upload.
func UploadOf(up meta.Upload) Upload {
	a, _ := ParseAlgorithm(up.ChecksumAlgorithm)
	return Upload{Algorithm: a, Type: Type(up.ChecksumType)}
}

// Store returns the algorithm that is computed over each part and kept with it.
func (u Upload) Store() Algorithm {
	if u.Algorithm == None {
		return CRC64NVME
	}
	return u.Algorithm
}

// kind is the type of the assembled object's checksum.
func (u Upload) kind() Type {
	if u.Algorithm == None {
		return FullObject
	}
	return u.Type
}

// CheckPart refuses an UploadPart whose checksum is of another algorithm than
// that of the upload. A part may come without one; it is computed then. Where
// the upload has none, a part's own checksum, which SDKs send by default, is
// checked and CRC64NVME kept.
func (u Upload) CheckPart(s Spec) error {
	if u.Algorithm == None || s.Algorithm == None || s.Algorithm == u.Algorithm {
		return nil
	}
	return invalid("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
		strings.ToLower(u.Algorithm.String()), strings.ToLower(s.Algorithm.String()))
}

// CheckCompletePart compares what the client's Complete document says of part
// number n with what is stored. algorithm and value are those of its
// <ChecksumXXX> element, None and "" when it has none. A COMPOSITE upload needs
// the value for each part.
func (u Upload) CheckCompletePart(n int, algorithm Algorithm, value string, stored meta.Part) error {
	switch {
	case algorithm == None && u.Algorithm != None && u.Type == Composite:
		return invalid("The upload was created using a %s checksum. The complete request must include the checksum for each part. "+
			"It was missing for part %d in the request.", strings.ToLower(u.Algorithm.String()), n)
	case algorithm == None:
		return nil
	case !algorithm.valid(value):
		return s3err.Argument("Invalid Base64 or multiple checksums present in request", "Checksum", value)
	case algorithm != u.Store():
		if u.Algorithm == None {
			return nil // was checked when the part came, and not kept
		}
		return s3err.Of(s3err.InvalidPart)
	case value != stored.Checksum.Value:
		return s3err.Of(s3err.InvalidPart)
	}
	return nil
}

// Value is a checksum that a client gives for comparison: in
// CompleteMultipartUpload's headers, for the whole object. The zero value is
// none.
type Value struct {
	Algorithm Algorithm
	Type      Type   // "" when not said
	Value     string // base64, without "-N"
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
	for key, values := range h {
		if !strings.HasPrefix(key, headerPrefix) {
			continue
		}
		for _, value := range values {
			value, _, _ = strings.Cut(value, "-") // standard base64 has no "-"
			bare[key] = append(bare[key], value)
		}
	}
	a, v, err := headerValue(bare)
	return Value{Algorithm: a, Type: t, Value: v}, err
}

// Check compares with what Assemble computed: BadDigest when it differs,
// InvalidRequest when algorithm or type are others than the upload's.
func (v Value) Check(u Upload, computed meta.Checksum) error {
	if v.Type != "" && v.Type != u.kind() {
		return invalid("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", u.kind())
	}
	if v.Algorithm == None {
		return nil
	}
	if v.Algorithm != u.Store() {
		return invalid("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
			strings.ToLower(u.Store().String()), strings.ToLower(v.Algorithm.String()))
	}
	if want, _, _ := strings.Cut(computed.Value, "-"); v.Value != want {
		return errBadDigest(v.Algorithm)
	}
	return nil
}

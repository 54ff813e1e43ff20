package checksum

import (
	"net/http"
	"strings"

	"tdkvs/master/meta"
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
	var names []string
	for _, a := range Algorithms() {
		names = append(names, a.String())
	}
	return invalid("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [%s]", strings.Join(names, ", "))
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
// that of the upload, or that has none where the upload is COMPOSITE: there the
// client computes them, and names them when it completes. Elsewhere a part may
// come without one; it is computed then. Where the upload has none, a part's own
// checksum, which SDKs send by default, is checked and CRC64NVME kept.
func (u Upload) CheckPart(s Spec) error {
	if u.Algorithm == None || s.Algorithm == u.Algorithm || s.Algorithm == None && u.Type != Composite {
		return nil
	}
	return errMismatch(u.Algorithm, s.Algorithm)
}

func errMismatch(expected, actual Algorithm) error {
	name := "null"
	if actual != None {
		name = strings.ToLower(actual.String())
	}
	return invalid("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
		strings.ToLower(expected.String()), name)
}

package checksum

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// Assemble returns the digests of an object made of parts, in their order: the
// multipart ETag (MD5 of the MD5s, "-N") and the checksum of the upload's type.
// Where the client asked for none, that is CRC64NVME of the full object. There
// is no checksum when a part lacks its own. An error means that what is stored
// with a part cannot be read; it is an *Error, InternalError.
func (u Upload) Assemble(parts []meta.Part) (meta.Digests, error) {
	etag, err := etagOf(parts)
	if err != nil {
		return meta.Digests{}, s3err.Internal(err)
	}
	d := meta.Digests{ETag: etag}
	a, t := u.Store(), u.kind()
	for _, p := range parts {
		if p.Checksum.Value == "" || p.Checksum.Algorithm != a.String() {
			return d, nil
		}
	}
	value, err := assembleValue(a, t, parts)
	if err != nil {
		return meta.Digests{}, s3err.Internal(err)
	}
	d.Checksum = meta.Checksum{Algorithm: a.String(), Type: string(t), Value: value}
	return d, nil
}

// etagOf returns the ETag of AWS "Common Response Headers" for multipart
// objects: the MD5 of the parts' binary MD5s, and their number.
func etagOf(parts []meta.Part) (string, error) {
	h := md5.New()
	for _, p := range parts {
		sum, err := hex.DecodeString(p.ETag)
		if err != nil || len(sum) != md5.Size {
			return "", fmt.Errorf("checksum: part %d has ETag %q", p.Number, p.ETag)
		}
		h.Write(sum)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)), nil
}

func assembleValue(a Algorithm, t Type, parts []meta.Part) (string, error) {
	sums := make([][]byte, len(parts))
	for i, p := range parts {
		sum, err := base64.StdEncoding.DecodeString(p.Checksum.Value)
		if err != nil || len(sum) != a.Size() {
			return "", fmt.Errorf("checksum: part %d has %s %q", p.Number, a, p.Checksum.Value)
		}
		sums[i] = sum
	}
	if t == FullObject {
		c := newCombiner(a)
		for i, p := range parts {
			c.add(sums[i], p.Size)
		}
		return base64.StdEncoding.EncodeToString(c.sum()), nil
	}
	h := a.New()
	for _, sum := range sums {
		h.Write(sum)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)), nil
}

package s3api

import (
	"strings"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

const (
	versionHeader       = "x-amz-version-id"
	sourceVersionHeader = "x-amz-copy-source-version-id"
)

// Ids of versions are as long as on AWS, and of the characters that AWS's have.
const (
	versionIDLen      = 32
	versionIDAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-+/"
)

// versionID reads the versionId parameter; empty where there is none.
func (r *Request) versionID() (string, error) {
	values := r.query["versionId"]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return parseVersionID(values[0], "versionId")
	}
	// Which of them was authorised, and which is meant?
	return "", invalidVersionID("versionId", strings.Join(values, ", "))
}

// parseVersionID refuses what can not be the id of any version. argument is
// where it was given.
func parseVersionID(id, argument string) (string, error) {
	switch {
	case id == "":
		return "", s3err.Argument("Version id cannot be the empty string", argument, "")
	case id == meta.NullVersion:
		return id, nil
	case len(id) == versionIDLen && strings.Trim(id, versionIDAlphabet) == "", foreignID(id):
		return id, nil
	}
	return "", invalidVersionID(argument, id)
}

// foreignID reports whether an id has the form that other stores give to those of
// versions, a UUID or a ULID. Clients that moved here may still ask for one: that
// there is no such version tells them more than that there can be none.
func foreignID(id string) bool {
	const hex, crockford = "0123456789abcdef", "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	switch len(id) {
	case 26:
		return strings.Trim(id, crockford) == ""
	case 36:
		return id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' && strings.Trim(id, hex+"-") == ""
	}
	return false
}

func invalidVersionID(argument, value string) *s3err.Error {
	return s3err.Argument("Invalid version id specified", argument, value)
}

// refuseVersionID refuses the versionId parameter of an operation that is never
// about a version that exists.
func (r *Request) refuseVersionID() error {
	if values := r.query["versionId"]; r.op.noVersion && len(values) > 0 {
		return s3err.Argument("This operation does not accept a version-id.", "versionId", values[0])
	}
	return nil
}

// setVersion names the version that was read, in a bucket that is or was
// versioned.
func (r *Response) setVersion(obj *meta.Object) {
	r.setOptional(versionHeader, obj.VersionID)
}

// setWritten names the version that was written. AWS is seen not to name that of
// a suspended bucket, which is always the null version.
func (r *Response) setWritten(obj *meta.Object) {
	if obj.VersionID != meta.NullVersion {
		r.setVersion(obj)
	}
}

package s3api

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"tdkvs/s3api/s3err"
)

// Limits of tags, from AWS "Categorizing your objects using tags" and "Using
// cost allocation S3 bucket tags". Lengths are in UTF-16 units, as AWS counts.
const (
	maxObjectTags = 10
	maxBucketTags = 50
	maxTagKey     = 128
	maxTagValue   = 256
)

// tag is one tag of a bucket or an object.
type tag struct{ key, value string }

// readTagSet decodes the children of a Tagging element.
func readTagSet(x *reader) ([]tag, error) {
	var tags []tag
	sets := 0
	err := x.children(func(name string) error {
		if sets++; name != "TagSet" || sets > 1 {
			return unexpected(name)
		}
		var err error
		tags, err = readTags(x)
		return err
	})
	if err == nil && sets == 0 {
		err = malformed(nil)
	}
	return tags, err
}

// readTags decodes the Tag children of the current element.
func readTags(x *reader) ([]tag, error) {
	var tags []tag
	err := x.children(func(name string) error {
		if name != "Tag" {
			return unexpected(name)
		}
		t, err := readTag(x)
		tags = append(tags, t)
		return err
	})
	return tags, err
}

// readTag decodes one Tag: exactly one Key and one Value.
func readTag(x *reader) (tag, error) {
	var t tag
	keys, values := 0, 0
	err := x.children(func(name string) error {
		var err error
		switch name {
		case "Key":
			keys++
			t.key, err = x.text()
		case "Value":
			values++
			t.value, err = x.text()
		default:
			return unexpected(name)
		}
		return err
	})
	if err == nil && (keys != 1 || values != 1) {
		err = malformed(nil)
	}
	return t, err
}

// writeTagSet writes the TagSet element.
func writeTagSet(doc *document, tags []tag) {
	doc.open("TagSet")
	for _, t := range tags {
		doc.open("Tag")
		doc.text("Key", t.key)
		doc.text("Value", t.value)
		doc.close("Tag")
	}
	doc.close("TagSet")
}

// checkBucketTags checks the tags of a bucket.
func checkBucketTags(tags []tag) error {
	if len(tags) > maxBucketTags {
		return tooManyBucketTags()
	}
	return checkTags(tags, "System tags cannot be added/updated by requester")
}

// checkNewBucketTags checks the tags that CreateBucket gives a bucket.
func checkNewBucketTags(tags []tag) error {
	if len(tags) > maxBucketTags {
		return tooManyBucketTags()
	}
	return checkTags(tags, `User-defined tag keys can't start with "aws:". This prefix is reserved for system tags. Remove "aws:" from your tag keys and try again.`)
}

func tooManyBucketTags() *s3err.Error {
	return s3err.New(s3err.BadRequest, "Bucket tag count cannot be greater than 50")
}

// checkObjectTags checks the tags of an object.
func checkObjectTags(tags []tag) error {
	if len(tags) > maxObjectTags {
		return s3err.New(s3err.BadRequest, "Object tags cannot be greater than 10")
	}
	return checkTags(tags, "Your TagKey cannot be prefixed with aws:")
}

// checkTags checks every tag and that no key comes twice. system is the message
// for keys that AWS keeps for itself.
func checkTags(tags []tag, system string) error {
	seen := make(map[string]bool, len(tags))
	for _, t := range tags {
		switch {
		case t.key == "" || utf16Len(t.key) > maxTagKey || !tagText(t.key):
			return s3err.New(s3err.InvalidTag, "The TagKey you have provided is invalid").With("TagKey", t.key)
		case seen[t.key]:
			return s3err.New(s3err.InvalidTag, "Cannot provide multiple Tags with the same key").With("TagKey", t.key)
		case len(t.key) >= 4 && strings.EqualFold(t.key[:4], "aws:"):
			return s3err.New(s3err.InvalidTag, system).With("TagKey", t.key)
		case utf16Len(t.value) > maxTagValue || !tagText(t.value):
			return s3err.New(s3err.InvalidTag, "The TagValue you have provided is invalid").With("TagKey", t.key).With("TagValue", t.value)
		}
		seen[t.key] = true
	}
	return nil
}

func utf16Len(s string) int {
	n := 0
	for _, c := range s {
		n += utf16.RuneLen(c)
	}
	return n
}

// tagText reports whether s has only the characters that tags may have: letters,
// numbers and separators of any script, and "_.:/=+-@".
func tagText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if !unicode.IsLetter(c) && !unicode.IsNumber(c) && !unicode.Is(unicode.Z, c) && !strings.ContainsRune("_.:/=+-@", c) {
			return false
		}
	}
	return true
}

// parseTagging reads x-amz-tagging: tags as a URL query, without a key twice.
func parseTagging(s string) (map[string]string, error) {
	if s == "" {
		return nil, nil
	}
	bad := s3err.Argument("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
		"x-amz-tagging", s)
	var tags []tag
	for pair := range strings.SplitSeq(s, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(k)
		if err != nil {
			return nil, bad
		}
		value, err := url.QueryUnescape(v)
		if err != nil || !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, bad
		}
		if key == "" || slices.ContainsFunc(tags, func(t tag) bool { return t.key == key }) {
			return nil, bad
		}
		tags = append(tags, tag{key, value})
	}
	if err := checkObjectTags(tags); err != nil {
		return nil, err
	}
	return tagMap(tags), nil
}

// tagMap returns tags as the engine keeps them.
func tagMap(tags []tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.key] = t.value
	}
	return m
}

// sortedTags returns an object's tags in the order of their keys.
func sortedTags(m map[string]string) []tag {
	tags := make([]tag, 0, len(m))
	for k, v := range m {
		tags = append(tags, tag{k, v})
	}
	slices.SortFunc(tags, func(a, b tag) int { return strings.Compare(a.key, b.key) })
	return tags
}

// bucketTags is the Tagging document of a bucket. Setting it answers 204, as on
// AWS.
func bucketTags() bucketXML[[]tag] {
	return bucketXML[[]tag]{
		kind: "tagging", root: "Tagging", unset: noTagSet, digest: digestRequired,
		read: readTagSet, check: checkBucketTags, write: writeTagSet,
		empty: func(tags []tag) bool { return len(tags) == 0 },
	}
}

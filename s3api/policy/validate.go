package policy

import (
	"strings"
	"unicode/utf8"
)

// Target is what kind of resource an action works on.
type Target uint8

// The kinds, which can be joined.
const (
	OnBucket Target = 1 << iota
	OnObject
)

const arnPrefix = "arn:aws:s3:::"

// ARN names a bucket, or an object in it where key is not empty.
func ARN(bucket, key string) string {
	if key == "" {
		return arnPrefix + bucket
	}
	return arnPrefix + bucket + "/" + key
}

// Validate checks a policy against the bucket that it is for: every action must
// be known (actions maps each to its targets), every resource must be this
// bucket or in it, and every action must apply to a resource of its statement.
// Every error is an *Error.
func (p *Policy) Validate(bucket string, actions map[string]Target) error {
	for i := range p.Statements {
		s := &p.Statements[i]
		resources := append(append([]string(nil), s.Resources...), s.NotResources...)
		var on Target
		for _, r := range resources {
			t, ok := targetOf(r, bucket)
			if !ok {
				return invalid("Policy has invalid resource")
			}
			on |= t
		}
		if len(s.NotResources) > 0 {
			on = OnBucket | OnObject
		}
		for _, a := range append(append([]string(nil), s.Actions...), s.NotActions...) {
			targets := targetsOf(a, actions)
			switch {
			case targets == 0:
				return invalid("Policy has invalid action")
			case len(s.Actions) > 0 && targets&on == 0:
				return invalid("Action does not apply to any resource(s) in statement")
			}
		}
	}
	return nil
}

// targetOf finds out what a resource pattern can name in a bucket.
func targetOf(resource, bucket string) (Target, bool) {
	if resource == "*" {
		return OnBucket | OnObject, true
	}
	name, ok := strings.CutPrefix(resource, arnPrefix)
	if !ok {
		return 0, false
	}
	b, _, inside := strings.Cut(name, "/")
	if !match(b, bucket, false) {
		return 0, false
	}
	switch {
	case inside:
		return OnObject, true
	case strings.HasSuffix(b, "*"):
		return OnBucket | OnObject, true // "bucket*" covers "bucket/key"
	}
	return OnBucket, true
}

// targetsOf joins the targets of the actions that a pattern names; 0 where it
// names none.
func targetsOf(pattern string, actions map[string]Target) Target {
	if pattern == "*" {
		return OnBucket | OnObject
	}
	var all Target
	for name, t := range actions {
		if match(pattern, name, true) {
			all |= t
		}
	}
	return all
}

// What stands in a pattern for a star and a question mark that are no wildcards.
// A string that holds these characters itself matches none of them.
const (
	literalStar = "\x01"
	literalMark = "\x02"
)

// match reports whether s matches a pattern in which "*" is any run of
// characters and "?" any one.
func match(pattern, s string, foldCase bool) bool {
	if foldCase {
		pattern, s = strings.ToLower(pattern), strings.ToLower(s)
	}
	var p, i int
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			i += firstRune(s[i:])
		case p < len(pattern) && matchByte(pattern[p], s[i]):
			p++
			i++
		case star >= 0:
			p = star + 1
			mark += firstRune(s[mark:])
			i = mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// firstRune is the length of the first character, in bytes.
func firstRune(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

func matchByte(pattern, c byte) bool {
	switch pattern {
	case literalStar[0]:
		return c == '*'
	case literalMark[0]:
		return c == '?'
	}
	return pattern == c
}

package postpolicy

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"tdkvs/s3api/s3err"
)

// condition is about the value of one field.
type condition struct {
	field  string // lower case
	prefix bool   // the value must begin with want, rather than be it
	want   string
	words  string // of the policy, for errors
}

// sizeRange bounds the length of the file, in bytes, both ends included.
type sizeRange struct{ min, max int64 }

// add reads one condition.
func (p *Policy) add(raw json.RawMessage) error {
	if members, ok := object(raw); ok {
		return p.addSimple(members)
	}
	list, ok := array(raw)
	if !ok {
		return invalid("Invalid condition test: must be a List or Object.")
	}
	if len(list) == 0 {
		return invalid("Invalid Condition: missing operation identifier.")
	}
	operation, ok := text(list[0])
	if !ok {
		return invalidJSON()
	}
	switch name := strings.ToLower(operation); name {
	case "eq", "starts-with":
		if len(list) != 3 {
			return errArguments(operation)
		}
		return p.addMatch(list, name == "starts-with", words(list))
	case "content-length-range":
		if len(list) != 3 {
			return errArguments(operation)
		}
		return p.addRange(list, words(list))
	}
	return invalid("Invalid Condition: unknown operation '" + operation + "'.")
}

// words is a condition as AWS shows it, however the policy spaces it.
func words(list []json.RawMessage) string {
	parts := make([]string, len(list))
	for i, raw := range list {
		parts[i] = string(raw)
		if s, ok := text(raw); ok {
			parts[i] = quote(s)
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func errArguments(operation string) error {
	return invalid("Invalid " + operation + ": wrong number of arguments.")
}

// addSimple reads a condition such as {"acl": "private"}.
func (p *Policy) addSimple(members []member) error {
	if len(members) != 1 {
		return invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
	}
	want, ok := text(members[0].value)
	switch {
	case string(members[0].value) == "null":
		return invalidJSON()
	case !ok:
		return invalid("Invalid Simple-Condition: value must be a string.")
	}
	name := members[0].name
	words := `["eq", ` + quote("$"+name) + `, ` + quote(want) + `]`
	if name == "" {
		return errFailed(words)
	}
	p.conditions = append(p.conditions, condition{field: strings.ToLower(name), want: want, words: words})
	return nil
}

// quote writes a JSON string, without the escapes that are for HTML.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a builder takes everything
	return strings.TrimSuffix(b.String(), "\n")
}

// addMatch reads a condition such as ["eq", "$acl", "private"].
func (p *Policy) addMatch(list []json.RawMessage, prefix bool, words string) error {
	field, ok := text(list[1])
	if !ok {
		return invalidJSON()
	}
	want, ok := text(list[2])
	if !ok {
		if want = string(list[2]); !isNumber(want) {
			return invalidJSON()
		}
	}
	name, ok := strings.CutPrefix(field, "$")
	if !ok || name == "" {
		return errFailed(words)
	}
	p.conditions = append(p.conditions, condition{field: strings.ToLower(name), prefix: prefix, want: want, words: words})
	return nil
}

// addRange reads ["content-length-range", 1, 1024]; the numbers may stand in
// quotes.
func (p *Policy) addRange(list []json.RawMessage, words string) error {
	var bounds [2]int64
	for i, raw := range list[1:] {
		s, quoted := text(raw)
		if !quoted {
			s = string(raw)
		}
		n, err := strconv.ParseInt(s, 10, 64)
		switch {
		case err != nil && quoted:
			return errFailed(words)
		case err != nil:
			return invalidJSON()
		}
		bounds[i] = n
	}
	p.sizes = append(p.sizes, sizeRange{bounds[0], bounds[1]})
	return nil
}

// isNumber reports whether a JSON value is a number.
func isNumber(s string) bool { return s != "" && (s[0] == '-' || '0' <= s[0] && s[0] <= '9') }

// Field is one field of a form.
type Field struct {
	Name  string // as sent; case does not matter
	Value string // with its variables replaced
}

// Check decides whether a form for a bucket keeps the policy at a time. fields
// are those before the file, each name once. The size of the file is left to
// CheckSize. Every error is AccessDenied.
func (p *Policy) Check(bucket string, fields []Field, now time.Time) error {
	if !now.Before(p.expiration) {
		return violated("Policy expired.")
	}
	// The bucket is not in the form: it is where the form was sent, and must be
	// covered all the same.
	if !p.covers("bucket") {
		return violated("Extra input fields: bucket")
	}
	values := map[string]string{}
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		if !exempt(name) && !p.covers(name) {
			return violated("Extra input fields: " + f.Name)
		}
		values[name] = f.Value
	}
	values["bucket"] = bucket
	for _, c := range p.conditions {
		if value, ok := values[c.field]; !ok || !c.holds(value) {
			return errFailed(c.words)
		}
	}
	return nil
}

func (p *Policy) covers(field string) bool {
	return slices.ContainsFunc(p.conditions, func(c condition) bool { return c.field == field })
}

// exempt reports whether a field, by its name in lower case, needs no condition:
// what signs the form, what the form says is of no meaning, and checksums, which
// only make the store look closer.
func exempt(name string) bool {
	switch name {
	case "policy", "x-amz-signature", "awsaccesskeyid", "signature", "bucket", "content-md5":
		return true
	}
	return strings.HasPrefix(name, "x-ignore-") || strings.HasPrefix(name, "x-amz-checksum-")
}

// holds reports whether a value meets the condition. In a content type, commas
// make a list, each of whose entries must.
func (c *condition) holds(value string) bool {
	if !c.prefix {
		return value == c.want
	}
	if c.field != "content-type" {
		return strings.HasPrefix(value, c.want)
	}
	for entry := range strings.SplitSeq(value, ",") {
		if !strings.HasPrefix(strings.TrimSpace(entry), c.want) && !strings.HasPrefix(entry, c.want) {
			return false
		}
	}
	return true
}

// MaxSize is the largest file that the policy allows, limit where it says
// nothing.
func (p *Policy) MaxSize(limit int64) int64 {
	for _, r := range p.sizes {
		limit = min(limit, max(r.max, 0))
	}
	return limit
}

// CheckSize decides whether a file of size bytes keeps the policy: EntityTooLarge
// or EntityTooSmall where not.
func (p *Policy) CheckSize(size int64) error {
	for _, r := range p.sizes {
		if size > r.max {
			return s3err.Of(s3err.EntityTooLarge).
				With("ProposedSize", strconv.FormatInt(size, 10)).
				With("MaxSizeAllowed", strconv.FormatInt(r.max, 10))
		}
		if size < r.min {
			return s3err.Of(s3err.EntityTooSmall).
				With("ProposedSize", strconv.FormatInt(size, 10)).
				With("MinSizeAllowed", strconv.FormatInt(r.min, 10))
		}
	}
	return nil
}

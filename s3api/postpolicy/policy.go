package postpolicy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"tdkvs/s3api/s3err"
)

// Policy is a policy document, read and found well-formed.
type Policy struct {
	expiration time.Time
	conditions []condition
	sizes      []sizeRange
}

// Parse reads a policy as a form carries it: JSON in base64. Every error is an
// *s3err.Error: InvalidPolicyDocument for what is malformed, and AccessDenied for
// a condition that no form can meet.
func Parse(encoded string) (*Policy, error) {
	encoded = strings.TrimSpace(encoded)
	if encoded == "" {
		return nil, invalid("Expecting '{' but found End-of-Input")
	}
	doc, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		if doc, err = base64.RawStdEncoding.DecodeString(encoded); err != nil {
			return nil, invalid("invalid Base64 encoding.")
		}
	}
	doc = plainEscapes(doc)
	if !json.Valid(doc) {
		return nil, invalidJSON()
	}
	members, ok := object(doc)
	if !ok {
		return nil, invalidJSON()
	}
	return parseMembers(members)
}

// parseMembers reads the two members that a policy has.
func parseMembers(members []member) (*Policy, error) {
	var expiration, conditions json.RawMessage
	for _, m := range members {
		switch {
		case m.name == "expiration" && expiration == nil:
			expiration = m.value
		case m.name == "conditions" && conditions == nil:
			conditions = m.value
		default: // unknown, or given twice
			return nil, invalid("Unexpected: '" + strings.ToLower(m.name) + "'")
		}
	}
	if expiration == nil {
		return nil, invalid("Policy missing expiration.")
	}
	if conditions == nil {
		return nil, invalid("Policy missing conditions.")
	}
	p := new(Policy)
	stamp, ok := text(expiration)
	if !ok {
		return nil, invalidJSON()
	}
	if p.expiration, ok = parseTime(stamp); !ok {
		return nil, invalid("Invalid 'expiration' value: '" + stamp + "'")
	}
	list, ok := array(conditions)
	if !ok {
		return nil, invalid("Invalid 'conditions' value: must be a List.")
	}
	for _, c := range list {
		if err := p.add(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// parseTime reads an expiration: ISO 8601 in UTC, to the second or finer.
func parseTime(s string) (time.Time, bool) {
	const form = "2006-01-02T15:04:05Z"
	if len(s) < len(form) || s[len(s)-1] != 'Z' || strings.Contains(s, ",") {
		return time.Time{}, false
	}
	t, err := time.Parse(form, s) // takes fractions of a second, too
	return t, err == nil
}

// member is one member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// object returns the members of a JSON object, in order and with those that it
// has twice.
func object(doc []byte) ([]member, bool) {
	d := json.NewDecoder(bytes.NewReader(doc))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	var members []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		m := member{}
		var ok bool
		if m.name, ok = name.(string); !ok {
			return nil, false
		}
		if err := d.Decode(&m.value); err != nil {
			return nil, false
		}
		members = append(members, m)
	}
	return members, true
}

// array returns the elements of a JSON array.
func array(raw json.RawMessage) ([]json.RawMessage, bool) {
	var list []json.RawMessage
	err := json.Unmarshal(raw, &list)
	return list, err == nil && list != nil // null is no list
}

// text returns the value of a JSON string.
func text(raw json.RawMessage) (string, bool) {
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", false
	}
	return *s, true
}

// plainEscapes rewrites the two escapes that policies have and JSON has not: \$
// and \v. Source: AWS "POST Policy", Character Escaping.
func plainEscapes(doc []byte) []byte {
	if !bytes.Contains(doc, []byte(`\$`)) && !bytes.Contains(doc, []byte(`\v`)) {
		return doc
	}
	out := make([]byte, 0, len(doc)+16)
	for i := 0; i < len(doc); i++ {
		if doc[i] != '\\' || i+1 == len(doc) {
			out = append(out, doc[i])
			continue
		}
		i++
		switch doc[i] {
		case '$':
			out = append(out, '$')
		case 'v':
			out = append(out, `\u000b`...)
		default:
			out = append(out, '\\', doc[i])
		}
	}
	return out
}

func invalid(message string) error {
	return s3err.New(s3err.InvalidPolicyDocument, "Invalid Policy: "+message)
}

func invalidJSON() error { return invalid("Invalid JSON.") }

// violated is the answer to a form that does not keep a policy.
func violated(message string) error {
	return s3err.New(s3err.AccessDenied, "Invalid according to Policy: "+message)
}

// errFailed reports a condition, in the words of the policy.
func errFailed(condition string) error { return violated("Policy Condition failed: " + condition) }

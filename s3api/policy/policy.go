package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// MaxSize is how long a bucket policy may be, in bytes.
const MaxSize = 20 << 10

// Policy is a parsed policy document.
type Policy struct {
	Version    string
	ID         string
	Statements []Statement
}

// Statement is one rule of a policy. Exactly one of each pair (Principals,
// NotPrincipals), (Actions, NotActions), (Resources, NotResources) is set.
type Statement struct {
	Sid           string
	Allow         bool // false: Deny
	Principals    *Principals
	NotPrincipals *Principals
	Actions       []string
	NotActions    []string
	Resources     []string
	NotResources  []string
	Conditions    []Condition
}

// Principals are whom a statement is about.
type Principals struct {
	Everyone  bool     // "*", {"AWS": "*"}
	AWS       []string // ARNs or account ids
	Canonical []string // canonical user ids
	Other     []string // services and federated users, of which this store has none
}

// Error says why a document is not a policy; its text is for the client.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func invalid(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// words is a JSON string or a list of them. Numbers and booleans, which
// conditions may hold, are taken as they are written.
type words []string

func (w *words) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		var list []scalar
		if err := json.Unmarshal(b, &list); err != nil {
			return err
		}
		*w = make(words, len(list))
		for i, s := range list {
			(*w)[i] = string(s)
		}
		return nil
	}
	var s scalar
	err := json.Unmarshal(b, &s)
	*w = words{string(s)}
	return err
}

// scalar is a JSON string, number or boolean.
type scalar string

func (s *scalar) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] == '{' || b[0] == '[' || b[0] == 'n' {
		return invalid("Syntax errors in policy.")
	}
	if b[0] != '"' {
		*s = scalar(b)
		return nil
	}
	var text string
	err := json.Unmarshal(b, &text)
	*s = scalar(text)
	return err
}

// document is a policy as it is written.
type document struct {
	Version   string          `json:"Version"`
	ID        string          `json:"Id"`
	Statement json.RawMessage `json:"Statement"`
}

// statement is a statement as it is written.
type statement struct {
	Sid          string                      `json:"Sid"`
	Effect       string                      `json:"Effect"`
	Principal    json.RawMessage             `json:"Principal"`
	NotPrincipal json.RawMessage             `json:"NotPrincipal"`
	Action       words                       `json:"Action"`
	NotAction    words                       `json:"NotAction"`
	Resource     words                       `json:"Resource"`
	NotResource  words                       `json:"NotResource"`
	Condition    map[string]map[string]words `json:"Condition"`
}

// Parse reads a policy document. Unknown elements, operators and versions are
// errors: what is not understood can not be enforced. Every error is an *Error.
func Parse(doc []byte) (*Policy, error) {
	if len(doc) > MaxSize {
		return nil, invalid("Policy exceeds the maximum allowed document size.")
	}
	if len(doc) == 0 || doc[0] != '{' {
		return nil, invalid("Policies must be valid JSON and the first byte must be '{'")
	}
	var d document
	if err := strict(doc, &d); err != nil {
		return nil, err
	}
	p := &Policy{Version: d.Version, ID: d.ID}
	switch d.Version {
	case "":
		p.Version = "2008-10-17"
	case "2008-10-17", "2012-10-17":
	default:
		return nil, invalid("The policy must contain a valid version string")
	}
	var raw []statement
	switch s := bytes.TrimSpace(d.Statement); {
	case len(s) == 0:
		return nil, invalid("Missing required field Statement")
	case s[0] == '{':
		raw = make([]statement, 1)
		if err := strict(s, &raw[0]); err != nil {
			return nil, err
		}
	default:
		if err := strict(s, &raw); err != nil {
			return nil, err
		}
	}
	if len(raw) == 0 {
		return nil, invalid("Could not parse the policy: Statement is empty!")
	}
	for i := range raw {
		s, err := raw[i].parse()
		if err != nil {
			return nil, err
		}
		p.Statements = append(p.Statements, s)
	}
	return p, nil
}

// strict decodes one JSON value and nothing behind it, without unknown fields.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return invalid("Policies must be valid JSON and the first byte must be '{'")
		}
		return nil
	}
	var own *Error
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("This policy contains invalid Json")
	}
	if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
		return invalid("Unknown field %s", strings.Trim(name, `"`))
	}
	return invalid("Syntax errors in policy.")
}

// parse checks one statement by itself.
func (r *statement) parse() (Statement, error) {
	s := Statement{Sid: r.Sid, Actions: r.Action, NotActions: r.NotAction, Resources: r.Resource, NotResources: r.NotResource}
	switch r.Effect {
	case "Allow":
		s.Allow = true
	case "Deny":
	case "":
		return s, invalid("Missing required field Effect")
	default:
		return s, invalid("Invalid effect: %s", r.Effect)
	}
	var err error
	if s.Principals, err = parsePrincipals(r.Principal); err != nil {
		return s, err
	}
	if s.NotPrincipals, err = parsePrincipals(r.NotPrincipal); err != nil {
		return s, err
	}
	for _, pair := range []struct {
		name       string
		has, hasNo bool
	}{
		{"Principal", s.Principals != nil, s.NotPrincipals != nil},
		{"Action", len(s.Actions) > 0, len(s.NotActions) > 0},
		{"Resource", len(s.Resources) > 0, len(s.NotResources) > 0},
	} {
		switch {
		case !pair.has && !pair.hasNo:
			return s, invalid("Missing required field %s", pair.name)
		case pair.has && pair.hasNo:
			return s, invalid("Statement contains both %s and Not%s", pair.name, pair.name)
		}
	}
	s.Conditions, err = parseConditions(r.Condition)
	return s, err
}

// parsePrincipals reads a Principal element; nil where there is none.
func parsePrincipals(b json.RawMessage) (*Principals, error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return nil, nil
	}
	if b[0] == '"' {
		if string(b) == `"*"` {
			return &Principals{Everyone: true}, nil
		}
		return nil, invalid("Invalid principal in policy")
	}
	var kinds map[string]words
	if json.Unmarshal(b, &kinds) != nil || len(kinds) == 0 {
		return nil, invalid("Invalid principal in policy")
	}
	p := new(Principals)
	for kind, names := range kinds {
		if len(names) == 0 || slices.Contains(names, "") {
			return nil, invalid("Invalid principal in policy")
		}
		switch kind {
		case "AWS":
			for _, name := range names {
				if name == "*" {
					p.Everyone = true
					continue
				}
				if !validPrincipal(name) {
					return nil, invalid("Invalid principal in policy")
				}
				p.AWS = append(p.AWS, name)
			}
		case "CanonicalUser":
			p.Canonical = append(p.Canonical, names...)
		case "Service", "Federated":
			p.Other = append(p.Other, names...)
		default:
			return nil, invalid("Invalid principal in policy")
		}
	}
	return p, nil
}

// validPrincipal reports whether name is an account id or the ARN of an account,
// a user or a role. Wildcards are not allowed within.
func validPrincipal(name string) bool {
	if isAccount(name) {
		return true
	}
	parts := strings.SplitN(name, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] != "aws" || parts[3] != "" || !isAccount(parts[4]) {
		return false
	}
	kind, rest, _ := strings.Cut(parts[5], "/")
	switch {
	case strings.ContainsAny(name, "*?"):
		return false
	case parts[2] == "iam":
		return kind == "root" && rest == "" || (kind == "user" || kind == "role" || kind == "group") && rest != ""
	case parts[2] == "sts":
		return (kind == "assumed-role" || kind == "federated-user") && rest != ""
	}
	return false
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

package policy

import (
	"slices"
	"strings"
)

// Decision is what a policy says of a request.
type Decision uint8

// The decisions. A deny outweighs every allow; Silent means that no statement
// matches, which is a denial unless something else allows.
const (
	Silent Decision = iota
	Allowed
	Denied
)

// Principal is who asks.
type Principal struct {
	Anonymous bool
	AccountID string // twelve digits
	ARN       string // "arn:aws:iam::123456789012:user/name"; empty for the account itself
	Canonical string // canonical user id
}

// Request is what is asked for.
type Request struct {
	Principal Principal
	Action    string // "s3:GetObject"
	Resource  string // as ARN makes it
	// Value returns the values of a condition key, given in lower case, such as
	// "aws:sourceip"; none when the request has no such key.
	Value func(key string) []string
}

// Evaluate decides a request. Source: AWS "Policy evaluation logic".
func (p *Policy) Evaluate(r *Request) Decision {
	decision := Silent
	for i := range p.Statements {
		s := &p.Statements[i]
		if !s.applies(r) {
			continue
		}
		if !s.Allow {
			return Denied
		}
		decision = Allowed
	}
	return decision
}

// applies reports whether every element of a statement matches.
func (s *Statement) applies(r *Request) bool {
	if !s.names(r.Principal) || !s.covers(r.Action, r.Resource, r) {
		return false
	}
	for i := range s.Conditions {
		if !s.Conditions[i].holds(r) {
			return false
		}
	}
	return true
}

func (s *Statement) names(p Principal) bool {
	if s.NotPrincipals != nil {
		return !s.NotPrincipals.include(p)
	}
	return s.Principals.include(p)
}

// include reports whether p is among the principals. An account stands for all
// its users.
func (ps *Principals) include(p Principal) bool {
	if ps.Everyone {
		return true
	}
	if p.Anonymous {
		return false
	}
	for _, name := range ps.AWS {
		if name == p.AccountID || name == "arn:aws:iam::"+p.AccountID+":root" || p.ARN != "" && name == p.ARN {
			return true
		}
	}
	return slices.Contains(ps.Canonical, p.Canonical)
}

func (s *Statement) covers(action, resource string, r *Request) bool {
	if s.NotActions != nil {
		if slices.ContainsFunc(s.NotActions, func(pattern string) bool { return match(pattern, action, true) }) {
			return false
		}
	} else if !slices.ContainsFunc(s.Actions, func(pattern string) bool { return match(pattern, action, true) }) {
		return false
	}
	named := func(pattern string) bool {
		pattern, ok := r.expand(pattern, like)
		return ok && match(pattern, resource, false)
	}
	if s.NotResources != nil {
		return !slices.ContainsFunc(s.NotResources, named)
	}
	return slices.ContainsFunc(s.Resources, named)
}

// style says how an expanded pattern will be compared.
type style uint8

const (
	exact style = iota // every character for itself
	like               // by match: what a variable brings in must not be a wildcard
)

// expand replaces policy variables such as ${aws:username}, and ${*}, ${?} and
// ${$}, which stand for the characters themselves. It is false where the request
// has no such value: the pattern then matches nothing. Source: AWS "IAM policy
// elements: Variables and tags".
func (r *Request) expand(pattern string, as style) (string, bool) {
	if !strings.Contains(pattern, "${") {
		return pattern, true
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(pattern, "${")
		b.WriteString(before)
		if !ok {
			return b.String(), true
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return "", false
		}
		value := name
		if name != "*" && name != "?" && name != "$" {
			values := r.Value(lowerKey(name))
			if len(values) != 1 {
				return "", false
			}
			value = values[0]
		}
		if as == like {
			value = strings.NewReplacer("*", literalStar, "?", literalMark).Replace(value)
		}
		b.WriteString(value)
		pattern = after
	}
}

package cors

import (
	"slices"
	"strings"

	"tdkvs/s3api/s3err"
)

// Request is what the rules are asked about.
type Request struct {
	Origin string
	Method string   // that the page wants to use
	Names  []string // of the headers that it wants to send, in lower case
}

// Grant is what a browser is told when a rule matches.
type Grant struct {
	Rule   *Rule
	Origin string // for Access-Control-Allow-Origin: "*" where the rule says just that
}

// Match returns what the first rule that matches grants. A rule matches when it
// allows the origin, the method and every header.
func Match(rules []Rule, r Request) (Grant, bool) {
	for i := range rules {
		rule := &rules[i]
		pattern, ok := rule.origin(r.Origin)
		if !ok || !slices.Contains(rule.AllowedMethods, r.Method) || !rule.allowsHeaders(r.Names) {
			continue
		}
		if pattern != "*" {
			pattern = r.Origin
		}
		return Grant{Rule: rule, Origin: pattern}, true
	}
	return Grant{}, false
}

// origin returns the first pattern of a rule that an origin matches.
func (r *Rule) origin(origin string) (pattern string, ok bool) {
	for _, p := range r.AllowedOrigins {
		if wildcard(p, origin) {
			return p, true
		}
	}
	return "", false
}

func (r *Rule) allowsHeaders(names []string) bool {
	for _, name := range names {
		if !slices.ContainsFunc(r.AllowedHeaders, func(p string) bool { return wildcard(strings.ToLower(p), name) }) {
			return false
		}
	}
	return true
}

// wildcard matches a pattern with at most one "*", which stands for any
// characters or none.
func wildcard(pattern, s string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}

// Names reads Access-Control-Request-Headers: header names between commas. They
// come back in lower case. A name that no header can have is BadRequest.
func Names(list string) ([]string, error) {
	var names []string
	for part := range strings.SplitSeq(list, ",") {
		name := strings.Trim(part, " \t")
		if name == "" {
			continue
		}
		if !token(name) {
			return nil, s3err.New(s3err.BadRequest, `Access-Control-Request-Headers "`+part+`" contains invalid character.`)
		}
		names = append(names, strings.ToLower(name))
	}
	return names, nil
}

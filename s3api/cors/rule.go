package cors

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"tdkvs/s3api/s3err"
)

// Limits of a configuration. Source: AWS CORSConfiguration and CORSRule.
const (
	MaxRules = 100
	maxID    = 255 // characters
)

// Rule is one CORSRule. Lists are in the order in which they were set.
type Rule struct {
	ID             string
	AllowedOrigins []string // each with at most one "*"
	AllowedMethods []string
	AllowedHeaders []string // each with at most one "*"; case does not matter
	ExposeHeaders  []string
	MaxAge         *int64 // seconds; nil where it was not set
}

// Check refuses rules that AWS refuses. Every error is an *s3err.Error.
func Check(rules []Rule) error {
	if len(rules) == 0 {
		return s3err.Of(s3err.MalformedXML)
	}
	if len(rules) > MaxRules {
		return invalid("The number of CORS rules should not exceed allowed limit of %d rules.", MaxRules)
	}
	for i := range rules {
		if err := rules[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rule) check() error {
	if len(r.AllowedOrigins) == 0 || len(r.AllowedMethods) == 0 {
		return s3err.Of(s3err.MalformedXML)
	}
	if utf8.RuneCountInString(r.ID) > maxID {
		return s3err.New(s3err.InvalidArgument, fmt.Sprintf("ID length should not exceed allowed limit of %d", maxID))
	}
	for _, m := range r.AllowedMethods {
		if !ValidMethod(m) {
			return invalid("Found unsupported HTTP method in CORS config. Unsupported method is %s", m)
		}
	}
	for _, o := range r.AllowedOrigins {
		if strings.Count(o, "*") > 1 {
			return invalid(`AllowedOrigin "%s" can not have more than one wildcard.`, o)
		}
	}
	return r.checkHeaders()
}

func (r *Rule) checkHeaders() error {
	for _, name := range r.AllowedHeaders {
		if strings.Count(name, "*") > 1 {
			return invalid(`AllowedHeader "%s" can not have more than one wildcard.`, name)
		}
		if !token(name) {
			return invalid(`AllowedHeader "%s" contains invalid character.`, name)
		}
	}
	for _, name := range r.ExposeHeaders {
		if strings.Contains(name, "*") {
			return invalid(`ExposeHeader "%s" contains wildcard. We currently do not support wildcard for ExposeHeader.`, name)
		}
		if !token(name) { // AWS names the wrong element
			return invalid(`AllowedHeader "%s" contains invalid character.`, name)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return s3err.New(s3err.InvalidRequest, fmt.Sprintf(format, args...))
}

// ValidMethod reports whether a rule may name a method. Case matters.
func ValidMethod(method string) bool {
	switch method {
	case "GET", "PUT", "POST", "DELETE", "HEAD":
		return true
	}
	return false
}

// token reports whether s has only the characters of a header name (RFC 9110,
// 5.6.2). The empty string has.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

package policy

import (
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Condition is one operator on one key: it holds when the key's value matches
// one of Values, or for a negated operator none of them.
type Condition struct {
	Operator string // such as "StringEquals", without its quantifier and suffix
	Key      string // in lower case, but for the name behind a tag's slash
	Values   []string
	IfExists bool       // holds when the key is missing
	Each     quantifier // for keys of several values
}

// quantifier says how the several values of a key count.
type quantifier uint8

const (
	single      quantifier = iota
	forAllValue            // holds when every value matches, or there is none
	forAnyValue            // holds when some value matches
)

// operators returns the comparison of an operator; nil for one that is unknown
// or the negation of another.
func operators(name string) func(have, want string) bool {
	switch name {
	case "StringEquals", "BinaryEquals":
		return func(have, want string) bool { return have == want }
	case "StringEqualsIgnoreCase":
		return strings.EqualFold
	case "StringLike":
		return func(have, want string) bool { return match(want, have, false) }
	case "ArnEquals", "ArnLike":
		return matchARN
	case "Bool":
		return strings.EqualFold
	case "NumericEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals":
		return ordered(strings.TrimPrefix(name, "Numeric"), compareNumbers)
	case "DateEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals":
		return ordered(strings.TrimPrefix(name, "Date"), compareDates)
	case "IpAddress":
		return inNetwork
	}
	return nil
}

// negation returns the operator that name is the opposite of.
func negation(name string) (string, bool) {
	switch name {
	case "StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "ArnNotEquals", "ArnNotLike",
		"NumericNotEquals", "DateNotEquals":
		return strings.Replace(name, "Not", "", 1), true
	case "NotIpAddress":
		return "IpAddress", true
	}
	return name, false
}

// parseConditions reads a Condition element.
func parseConditions(raw map[string]map[string]words) ([]Condition, error) {
	var all []Condition
	for operator, keys := range raw {
		name := operator
		var each quantifier
		if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
			name, each = rest, forAllValue
		} else if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
			name, each = rest, forAnyValue
		}
		name, ifExists := strings.CutSuffix(name, "IfExists")
		base, _ := negation(name)
		if operators(base) == nil && (name != "Null" || ifExists) {
			return nil, invalid("Invalid Condition type : %s", operator)
		}
		for key, values := range keys {
			if !validKey(key) {
				return nil, invalid("Policy has an invalid condition key")
			}
			if len(values) == 0 {
				return nil, invalid("Policy has an invalid condition value")
			}
			all = append(all, Condition{Operator: name, Key: lowerKey(key), Values: values, IfExists: ifExists, Each: each})
		}
	}
	slices.SortFunc(all, func(a, b Condition) int { return strings.Compare(a.Operator+a.Key, b.Operator+b.Key) })
	return all, nil
}

// lowerKey writes a condition key in lower case, but for a tag's name.
func lowerKey(key string) string {
	name, tag, ok := strings.Cut(key, "/")
	if !ok {
		return strings.ToLower(key)
	}
	return strings.ToLower(name) + "/" + tag
}

func validKey(key string) bool {
	service, name, ok := strings.Cut(key, ":")
	if !ok || name == "" {
		return false
	}
	switch strings.ToLower(service) {
	case "aws", "s3":
		return true
	}
	return false
}

// holds evaluates a condition. A missing key fails it, except for negated
// operators, IfExists and ForAllValues. Source: AWS "IAM JSON policy elements:
// Condition operators".
func (c *Condition) holds(r *Request) bool {
	have := r.Value(c.Key)
	if c.Operator == "Null" {
		return strings.EqualFold(c.Values[0], "true") == (len(have) == 0)
	}
	base, negated := negation(c.Operator)
	compare := operators(base)
	one := func(value string) bool {
		matched := slices.ContainsFunc(c.Values, func(want string) bool {
			want, ok := r.expand(want, styleOf(base))
			return ok && compare(value, want)
		})
		return matched != negated
	}
	switch {
	case len(have) == 0:
		return c.IfExists || c.Each == forAllValue || c.Each == single && negated
	case c.Each == forAllValue:
		return !slices.ContainsFunc(have, func(v string) bool { return !one(v) })
	case c.Each == forAnyValue:
		return slices.ContainsFunc(have, one)
	}
	return one(have[0])
}

// styleOf tells the operators that know wildcards from those that do not.
func styleOf(operator string) style {
	switch operator {
	case "StringLike", "ArnEquals", "ArnLike":
		return like
	}
	return exact
}

// ordered makes the comparison of a relation from one that orders.
func ordered(relation string, compare func(a, b string) (int, bool)) func(have, want string) bool {
	return func(have, want string) bool {
		c, ok := compare(have, want)
		if !ok {
			return false
		}
		switch relation {
		case "Equals":
			return c == 0
		case "LessThan":
			return c < 0
		case "LessThanEquals":
			return c <= 0
		case "GreaterThan":
			return c > 0
		}
		return c >= 0
	}
}

func compareNumbers(a, b string) (int, bool) {
	if len(a) > 64 || len(b) > 64 || strings.ContainsAny(a+b, "/eEpPxX_") {
		return 0, false
	}
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	if !okX || !okY {
		return 0, false
	}
	return x.Cmp(y), true
}

func compareDates(a, b string) (int, bool) {
	x, okX := parseDate(a)
	y, okY := parseDate(b)
	return x.Compare(y), okX && okY
}

// parseDate reads a date as the W3C writes them (ISO 8601), or seconds since
// 1970.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(n, 0), err == nil
}

// inNetwork reports whether an address lies in a network in CIDR form.
func inNetwork(have, want string) bool {
	addr, err := netip.ParseAddr(have)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	if network, err := netip.ParsePrefix(want); err == nil {
		return network.Masked().Contains(addr)
	}
	one, err := netip.ParseAddr(want)
	return err == nil && one.Unmap() == addr
}

// matchARN compares ARNs part by part, so that a wildcard does not reach over a
// colon.
func matchARN(have, want string) bool {
	h, w := strings.SplitN(have, ":", 6), strings.SplitN(want, ":", 6)
	if len(h) != 6 || len(w) != 6 {
		return false
	}
	for i := range h {
		if !match(w[i], h[i], false) {
			return false
		}
	}
	return true
}

package policy

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// matchSlowly is match from its definition.
func matchSlowly(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	switch pattern[0] {
	case '*':
		return matchSlowly(pattern[1:], s) || s != "" && matchSlowly(pattern, s[firstRune(s):])
	case '?':
		return s != "" && matchSlowly(pattern[1:], s[firstRune(s):])
	}
	return s != "" && s[0] == pattern[0] && matchSlowly(pattern[1:], s[1:])
}

// FuzzMatch compares with the definition.
func FuzzMatch(f *testing.F) {
	f.Add("a*b?c", "aXXbYc")
	f.Add("**", "")
	f.Add("*a*a*", "banana")
	f.Add("a?", "aü")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(s) || len(pattern) > 12 || len(s) > 16 || strings.ContainsAny(pattern, literalStar+literalMark) {
			return // the definition is slow; the others stand for a star and a mark themselves
		}
		if got, want := match(pattern, s, false), matchSlowly(pattern, s); got != want {
			t.Errorf("%q on %q: %v", pattern, s, got)
		}
		if match(pattern, s, false) && !match(pattern, s, true) {
			t.Errorf("%q matches %q, but not in any case", pattern, s)
		}
	})
}

// FuzzEvaluate: the order of statements means nothing, one more that denies
// everything denies, and one more that allows never does.
func FuzzEvaluate(f *testing.F) {
	f.Add(statementOf(bare), "ann")
	f.Add(statementOf(bare+`,"Condition":{"StringLike":{"aws:username":["${aws:username}","a*"]}}`), "a")
	f.Add(`{"Statement":[{"Effect":"Deny","Principal":"*","NotAction":"s3:Get*","Resource":"*"},{"Effect":"Allow","Principal":"*","Action":"s3:*","NotResource":"arn:aws:s3:::x"}]}`, "b")
	f.Add(`{"Statement":{"Effect":"Allow","NotPrincipal":{"AWS":"1"},"Action":"*","Resource":"*","Condition":{"NumericLessThanIfExists":{"s3:max-keys":"10"}}}}`, "c")
	f.Fuzz(func(t *testing.T, doc, user string) {
		p, err := Parse([]byte(doc))
		if err != nil {
			return
		}
		r := ask(map[string]string{"aws:username": user})
		decision := p.Evaluate(r)
		turned := &Policy{Statements: slices.Clone(p.Statements)}
		slices.Reverse(turned.Statements)
		if got := turned.Evaluate(r); got != decision {
			t.Errorf("%q: %v one way, %v the other", doc, decision, got)
		}
		for effect, want := range map[string]func(Decision) bool{
			"Deny":  func(d Decision) bool { return d == Denied },
			"Allow": func(d Decision) bool { return d != Silent && (d == Denied) == (decision == Denied) },
		} {
			more, err := Parse([]byte(`{"Statement":{"Effect":"` + effect + `","Principal":"*","Action":"*","Resource":"*"}}`))
			if err != nil {
				t.Fatal(err)
			}
			all := &Policy{Statements: slices.Concat(p.Statements, more.Statements)}
			if got := all.Evaluate(r); !want(got) {
				t.Errorf("%q, then %s of everything: %v", doc, effect, got)
			}
		}
	})
}

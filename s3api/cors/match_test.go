package cors

import (
	"slices"
	"strings"
	"testing"
)

// TestMatch goes through wildcards: the star stands for anything or nothing, and
// a pattern covers the whole of an origin, case and all.
func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern    string
		yes, notOK []string
	}{
		{"*suffix", []string{"suffix", "foo.suffix", "suffixsuffix"}, []string{"", "foo.suffix.get", "Suffix", "suffi"}},
		{"prefix*", []string{"prefix", "prefix.suffix"}, []string{"bla.prefix", "prefi"}},
		{"start*end", []string{"startend", "start1end", "start12end", "startendend"}, []string{"0start12end", "starten", "startend0", "starnd"}},
		{"aba*aba", []string{"abaaba", "abaXaba"}, []string{"aba", "ababa"}},
		{"http://*.example.com", []string{"http://a.example.com", "http://.example.com", "http://a.b/c.example.com"},
			[]string{"https://a.example.com", "http://example.com", "http://a.example.com:80", "http://a.example.com/"}},
		{"http://example.com", []string{"http://example.com"}, []string{"http://example.com:80", "http://Example.com", ""}},
		{"*", []string{"", "null", "anything"}, nil},
		{"", []string{""}, []string{"x"}},
	} {
		rules := []Rule{{AllowedOrigins: []string{tt.pattern}, AllowedMethods: []string{"GET"}}}
		for _, origin := range tt.yes {
			want := origin
			if tt.pattern == "*" {
				want = "*"
			}
			if g, ok := Match(rules, Request{Origin: origin, Method: "GET"}); !ok || g.Origin != want || g.Rule != &rules[0] {
				t.Errorf("%q does not match %q: %+v", origin, tt.pattern, g)
			}
		}
		for _, origin := range tt.notOK {
			if g, ok := Match(rules, Request{Origin: origin, Method: "GET"}); ok {
				t.Errorf("%q matches %q: %+v", origin, tt.pattern, g)
			}
		}
	}
}

// TestFirstRuleWins: origin, method and headers must match in the same rule, and
// within it the first origin counts.
func TestFirstRuleWins(t *testing.T) {
	t.Parallel()
	rules := []Rule{
		{ID: "0", AllowedOrigins: []string{"a"}, AllowedMethods: []string{"GET"}, AllowedHeaders: []string{"X-Amz-*", "b"}},
		{ID: "1", AllowedOrigins: []string{"a", "b", "*"}, AllowedMethods: []string{"GET", "PUT"}, AllowedHeaders: []string{"*"}},
		{ID: "2", AllowedOrigins: []string{"*", "b"}, AllowedMethods: []string{"PUT", "HEAD"}},
	}
	for _, tt := range []struct{ origin, method, names, rule, allowed string }{
		{"a", "GET", "", "0", "a"},
		{"a", "GET", "x-amz-date,b", "0", "a"},
		{"a", "GET", "x-amz-date,c", "1", "a"},
		{"b", "PUT", "q", "1", "b"},
		{"c", "PUT", "", "1", "*"},
		{"b", "HEAD", "", "2", "*"},
		{"b", "HEAD", "b", "", ""},
		{"a", "DELETE", "", "", ""},
		{"a", "get", "", "", ""},
		{"a", "", "", "", ""},
	} {
		names, err := Names(tt.names)
		if err != nil {
			t.Fatal(err)
		}
		g, ok := Match(rules, Request{tt.origin, tt.method, names})
		if ok != (tt.rule != "") || ok && (g.Rule.ID != tt.rule || g.Origin != tt.allowed) {
			t.Errorf("%+v: %v %+v", tt, ok, g)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		list string
		want []string
		bad  string
	}{
		{"", nil, ""}, {" , ,\t", nil, ""}, {"X-A,b", []string{"x-a", "b"}, ""}, {" X-Test , Content-Type\t", []string{"x-test", "content-type"}, ""},
		{"a, b c", nil, " b c"}, {"a:b", nil, "a:b"}, {"ok,X(y)", nil, "X(y)"}, {"é", nil, "é"}, {"a\tb", nil, "a\tb"}, {"*", []string{"*"}, ""},
	} {
		got, err := Names(tt.list)
		if !slices.Equal(got, tt.want) || (err != nil) != (tt.bad != "") {
			t.Errorf("%q: %q, %v", tt.list, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), `Access-Control-Request-Headers "`+tt.bad+`" contains invalid character.`) {
			t.Errorf("%q: %v", tt.list, err)
		}
	}
}

// FuzzWildcard compares with a search that tries everything.
func FuzzWildcard(f *testing.F) {
	f.Add("a*b", "axb")
	f.Add("*", "")
	f.Add("aba*aba", "ababa")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if strings.Count(pattern, "*") > 1 {
			return
		}
		want := pattern == s
		if before, after, ok := strings.Cut(pattern, "*"); ok {
			want = false
			for i := range len(s) + 1 {
				for j := i; j <= len(s); j++ {
					want = want || s[:i] == before && s[j:] == after
				}
			}
		}
		if got := wildcard(pattern, s); got != want {
			t.Errorf("wildcard(%q, %q) = %v", pattern, s, got)
		}
	})
}

package compattests

import "strings"

// awkwardKeys are keys that something between a client and a disk likes to change. All of them are different objects.
func awkwardKeys() []string {
	return []string{
		"a", "a/", "a//b", "a/b", "/a", "//", "a/./b", "../x", "..", ".", "./", "a/../../b", "~", "-", "_",
		" ", " a ", "a b", "a+b", "a%20b", "a%2Fb", "%", "%%", "%zz", "a%", "+", "a&b=c", "a?b", "a?uploads", "#", "a#b", "a=b",
		"a;b", "a:b", "a,b", "a|b", `a\b`, `a"b`, "a'b", "a<b>c", "a*b", "a!b", "a(b)", "a[b]", "a{b}", "a^b", "a`b", "a@b", "a$b",
		"ä", "a\u0308", "日本語/鍵", "😀", "👩‍👩‍👧/z", "\u200b", "\ufeff", "\ufffd", "A", "Straße",
		"get/x", "set/x", "-/healthz", "index.html", "null", "a.gz", "con", strings.Repeat("k", 1024), strings.Repeat("é", 512),
		strings.Repeat("d/", 500) + "x",
	}
}

// controlKeys are keys that XML cannot hold, so that they are listed with encoding-type=url only and cannot be named in
// a request whose body is XML.
func controlKeys() []string {
	return []string{"\x01", "a\x02b", "\x1b[31m", "\x7f", "a\nb", "a\rb", "a\tb", "\x1f/", "a\x00b"}
}

package main

import (
	"fmt"
	"testing"
)

// FuzzParseCode: a code that is accepted is read again as the same.
func FuzzParseCode(f *testing.F) {
	f.Add("4+2")
	f.Add(" 04 + 002")
	f.Add("999+999")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCode(text)
		if err != nil {
			return
		}
		if again, err := parseCode(fmt.Sprintf("%d+%d", c.Data, c.Parity)); err != nil || again != c {
			t.Errorf("%q is %v, which is %v, %v", text, c, again, err)
		}
	})
}

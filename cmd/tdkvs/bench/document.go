package bench

import (
	"bytes"
	"html"
)

// element returns the text of the first element of a name in an XML document.
// It is enough for the few that are looked for, in documents that machines
// wrote, and does not read the thousand keys of a page one by one.
func element(document []byte, name string) string {
	_, rest, found := bytes.Cut(document, []byte("<"+name+">"))
	if !found {
		return ""
	}
	text, _, found := bytes.Cut(rest, []byte("</"+name+">"))
	if !found {
		return ""
	}
	return html.UnescapeString(string(text))
}

// elements returns the texts of all elements of a name.
func elements(document []byte, name string) []string {
	var all []string
	end := []byte("</" + name + ">")
	for {
		i := bytes.Index(document, end)
		if i < 0 {
			return all
		}
		all = append(all, element(document[:i+len(end)], name))
		document = document[i+len(end):]
	}
}

// countElements counts the elements of a name.
func countElements(document []byte, name string) int {
	return bytes.Count(document, []byte("<"+name+">"))
}

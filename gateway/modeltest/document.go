package modeltest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// node is an element of a document: with text, or with children.
type node struct {
	name, text string
	kids       []node
}

func el(name string, kids ...node) node { return node{name: name, kids: kids} }
func text(name, value string) node      { return node{name: name, text: value} }
func num(name string, n int) node       { return text(name, strconv.Itoa(n)) }
func flag(name string, v bool) node     { return text(name, strconv.FormatBool(v)) }
func when(name string, t time.Time) node {
	return text(name, t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// some are the nodes that have a text.
func some(nodes ...node) []node {
	return slices.DeleteFunc(nodes, func(n node) bool { return n.text == "" && n.kids == nil })
}

// lines writes a document with a line for each element without children, in order.
func (n node) lines() []string {
	var out []string
	var walk func(path string, n node)
	walk = func(path string, n node) {
		path += "/" + n.name
		for _, kid := range n.kids {
			walk(path, kid)
		}
		if len(n.kids) == 0 {
			out = append(out, path+"="+n.text)
		}
	}
	walk("", n)
	return out
}

// timeless has the times in lines left out, where it is not known what they are.
func timeless(lines []string) []string {
	for i, line := range lines {
		path, _, _ := strings.Cut(line, "=")
		switch path[strings.LastIndex(path, "/")+1:] {
		case "LastModified", "Initiated", "CreationDate", "RetainUntilDate":
			lines[i] = path + "=a time"
		}
	}
	return lines
}

// parse reads a document.
func parse(doc []byte) (node, error) {
	d := xml.NewDecoder(bytes.NewReader(doc))
	stack := []node{{}}
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return node{}, err
		}
		top := &stack[len(stack)-1]
		switch t := t.(type) {
		case xml.StartElement:
			stack = append(stack, node{name: t.Name.Local})
		case xml.CharData:
			top.text += string(t)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
			above := &stack[len(stack)-1]
			above.kids = append(above.kids, *top)
		}
	}
	if len(stack) != 1 || len(stack[0].kids) != 1 {
		return node{}, fmt.Errorf("%d root elements", len(stack[0].kids))
	}
	return stack[0].kids[0], nil
}

// find returns the text of a child; empty where there is none.
func (n node) find(name string) string {
	for _, kid := range n.kids {
		if kid.name == name {
			return kid.text
		}
	}
	return ""
}

// escape writes a text into a document that is sent.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a builder takes everything
	return b.String()
}

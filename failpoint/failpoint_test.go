package failpoint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPointsAreListed: the list has the points that the code has, each of them once and in order.
func TestPointsAreListed(t *testing.T) {
	t.Parallel()
	at := pointsInCode(t, "..")
	for name, places := range at {
		if len(places) > 1 {
			t.Errorf("point %s is in %d places: %q", name, len(places), places)
		}
	}
	listed := literals(t, "points.go")
	if !slices.IsSorted(listed) {
		t.Errorf("the list is not in order")
	}
	for i, name := range listed {
		if i > 0 && listed[i-1] == name {
			t.Errorf("%s is listed twice", name)
		}
		if len(at[name]) == 0 {
			t.Errorf("%s is listed, and nowhere in the code", name)
		}
		delete(at, name)
		if family, step, found := strings.Cut(name, "/"); !found || family == "" || step == "" {
			t.Errorf("%s: want a family and a step, as in put/stored", name)
		}
	}
	for name, places := range at {
		t.Errorf("%s of %s is not in the list", name, places[0])
	}
	if len(listed) < 50 {
		t.Errorf("only %d points are listed: the check is blind", len(listed))
	}
}

// pointsInCode returns where the shipped code below a directory has which points.
func pointsInCode(t *testing.T, root string) map[string][]string {
	t.Helper()
	at := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != "..":
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !isAt(call.Fun) {
				return true
			}
			place := files.Position(call.Pos()).String()
			if len(call.Args) != 1 || literal(call.Args[0]) == "" {
				t.Errorf("%s: the name of a point must be a literal", place)
				return true
			}
			name := literal(call.Args[0])
			at[name] = append(at[name], place)
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// isAt reports whether an expression is failpoint.At.
func isAt(x ast.Expr) bool {
	s, ok := x.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, ok := s.X.(*ast.Ident)
	return ok && of.Name == "failpoint" && s.Sel.Name == "At"
}

// literal is the value of a string that stands there as such; empty: it does not.
func literal(x ast.Expr) string {
	b, ok := x.(*ast.BasicLit)
	if !ok || b.Kind != token.STRING {
		return ""
	}
	value, _ := strconv.Unquote(b.Value) // it has been parsed
	return value
}

// literals returns the strings in a file, in order.
func literals(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		if b, ok := n.(*ast.BasicLit); ok && literal(b) != "" {
			found = append(found, literal(b))
		}
		return true
	})
	return found
}

// TestPointsAreDocumented: docs/durability.md has each family, with how many points it has.
func TestPointsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/durability.md")
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]int{}
	for _, name := range literals(t, "points.go") {
		family, _, _ := strings.Cut(name, "/")
		families[family]++
	}
	for family, n := range families {
		if want := fmt.Sprintf("`%s` %d", family, n); !regexp.MustCompile(regexp.QuoteMeta(want) + `\b`).Match(page) {
			t.Errorf("docs/durability.md does not have %s", want)
		}
	}
}

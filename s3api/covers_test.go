package s3api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// coversMark begins the line of a test's comment that names the operations which
// the test covers: "Covers: PutObject, GetObject." The page of operations shows
// the tests of each from these lines.
const coversMark = "Covers:"

// coverage returns the tests of every operation, as "folder.TestName", in order.
func coverage(t *testing.T) map[string][]string {
	t.Helper()
	tests := map[string][]string{}
	for _, dir := range []string{".", filepath.Join("..", "master"), filepath.Join("..", "gateway"), filepath.Join("..", "compat-tests")} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, "_test.go") && !entry.IsDir() {
				err = coverageOf(path, tests)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, names := range tests {
		slices.Sort(names)
	}
	return tests
}

// coverageOf adds what the tests of one file cover.
func coverageOf(path string, tests map[string][]string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Doc == nil || !strings.HasPrefix(f.Name.Name, "Test") {
			continue
		}
		for line := range strings.SplitSeq(f.Doc.Text(), "\n") {
			list, ok := strings.CutPrefix(strings.TrimSpace(line), coversMark)
			if !ok {
				continue
			}
			for op := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(list), "."), ",") {
				op = strings.TrimSpace(op)
				tests[op] = append(tests[op], filepath.Base(abs)+"."+f.Name.Name)
			}
		}
	}
	return nil
}

// TestEveryOperationIsTested: an operation that is served names its tests, and
// no test names an operation that there is not.
func TestEveryOperationIsTested(t *testing.T) {
	t.Parallel()
	tests := coverage(t)
	for _, op := range operations() {
		if op.handle != nil && len(tests[op.name]) == 0 {
			t.Errorf("no test says that it covers %s: add a line %q to its comment", op.name, coversMark+" "+op.name+".")
		}
		delete(tests, op.name)
	}
	for name, by := range tests {
		t.Errorf("%v cover %q, which is no operation", by, name)
	}
}

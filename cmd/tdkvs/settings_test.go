package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
)

var update = flag.Bool("update", false, "rewrite the generated parts of docs/operations.md and the golden files")

// TestSettingsDocumented keeps the tables of docs/operations.md in step with
// the configuration structs: their fields, comments and defaults.
func TestSettingsDocumented(t *testing.T) {
	t.Parallel()
	const page = "../../docs/operations.md"
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	comments := fieldComments(t)
	want := string(content)
	for role, defaults := range map[string]any{"server": defaultServer(), "master": defaultMaster(), "volume": defaultVolume()} {
		begin, end := "<!-- settings of "+role+" -->\n", "<!-- end of settings -->\n"
		before, rest, found := strings.Cut(want, begin)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("%s has no part between %q and %q", page, begin, end)
		}
		table := "\n| setting | default | meaning |\n| --- | --- | --- |\n" +
			settingRows("", reflect.ValueOf(defaults), comments) + "\n"
		want = before + begin + table + end + after
	}
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(content, []byte(want)) {
		t.Errorf("%s does not say what the structs of config.go say: run \"make docs\"", page)
	}
}

// fieldComments reads config.go: the comment of each field as one line, under
// "struct.Field".
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		structure, ok := spec.Type.(*ast.StructType)
		if !ok {
			return false
		}
		for _, field := range structure.Fields.List {
			for _, name := range field.Names {
				comments[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
				if field.Doc.Text() == "" {
					t.Errorf("%s.%s has no comment", spec.Name.Name, name.Name)
				}
			}
		}
		return false
	})
	return comments
}

func settingRows(path string, v reflect.Value, comments map[string]string) string {
	var rows strings.Builder
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			rows.WriteString(settingRows(path, v.Field(i), comments))
			continue
		}
		name := path + field.Tag.Get("yaml")
		fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", name, defaultText(v.Field(i)), comments[v.Type().Name()+"."+field.Name])
		rows.WriteString(nestedRows(name, v.Field(i), comments))
	}
	return rows.String()
}

// nestedRows are the rows of a setting that has settings of its own.
func nestedRows(name string, v reflect.Value, comments map[string]string) string {
	switch {
	case v.Type() == reflect.TypeFor[meta.Code]():
		return ""
	case v.Kind() == reflect.Struct:
		return settingRows(name+".", v, comments)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		return settingRows(name+"[].", reflect.Zero(v.Type().Elem()), comments)
	case v.Type() == reflect.TypeFor[map[string]classConfig]():
		return settingRows(name+".NAME.", reflect.ValueOf(defaultClass()), comments)
	}
	return ""
}

// defaultText writes a default as a file would.
func defaultText(v reflect.Value) string {
	text := ""
	switch value := v.Interface().(type) {
	case []string:
		text = strings.Join(value, ", ")
	case []dirEntry:
		text = strings.Join((&serverConfig{Dirs: value}).paths(), ", ")
	case time.Duration:
		text = durationText(value)
	case byteSize:
		text = value.String()
	default:
		if v.Kind() != reflect.Struct && !v.IsZero() {
			text = fmt.Sprint(value)
		}
	}
	if text != "" {
		text = "`" + text + "`"
	}
	return text
}

// durationText writes 5m where Go writes 5m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

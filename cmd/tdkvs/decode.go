package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"tdkvs/master/meta"
)

// maxConfigSize bounds a configuration file, in bytes.
const maxConfigSize = 1 << 20

// configError is one thing wrong with a configuration file, said as compilers
// do: file:line: message.
type configError struct {
	File    string
	Line    int // from 1; 0: the file as a whole
	Message string
}

func (e *configError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
}

// document is a configuration file being decoded. It remembers where each
// setting stands, so that later checks can name the line too.
type document struct {
	file     string
	lines    map[string]int // line of each setting, by its path
	problems []error
}

func newDocument(file string) *document {
	return &document{file: file, lines: map[string]int{}}
}

// decodeFile reads a YAML file into target, a pointer to a struct that holds
// the defaults. Every field of the file must be one of target, once and of its
// type; what is wrong is collected in the document.
func decodeFile(file string, target any) *document {
	doc := newDocument(file)
	content, err := readBounded(file)
	if err != nil {
		doc.problems = append(doc.problems, fmt.Errorf("read configuration: %w", err))
		return doc
	}
	doc.decode(content, target)
	return doc
}

func readBounded(file string) (content []byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	content, err = io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err == nil && len(content) > maxConfigSize {
		err = fmt.Errorf("%s: larger than %d bytes", file, maxConfigSize)
	}
	return content, err
}

// err joins what was found wrong, one line each, in the order of the file.
func (d *document) err() error {
	slices.SortStableFunc(d.problems, func(a, b error) int { return lineOf(a) - lineOf(b) })
	return errors.Join(d.problems...)
}

func lineOf(err error) int {
	var e *configError
	if errors.As(err, &e) {
		return e.Line
	}
	return 0
}

// failf records that something is wrong at a line.
func (d *document) failf(line int, format string, args ...any) {
	d.problems = append(d.problems, &configError{d.file, line, fmt.Sprintf(format, args...)})
}

// rejectf records that the value of a setting is wrong.
func (d *document) rejectf(path, format string, args ...any) {
	d.failf(d.lines[path], "%s: %s", path, fmt.Sprintf(format, args...))
}

// has reports whether the file gives a setting.
func (d *document) has(path string) bool {
	_, ok := d.lines[path]
	return ok
}

func (d *document) decode(content []byte, target any) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var root, second yaml.Node
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		d.failf(0, "the file is empty")
		return
	case err != nil:
		d.syntaxError(content, err)
		return
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.syntaxError(content, err)
		return
	default:
		d.failf(second.Line, "a second document begins here: one is wanted")
		return
	}
	top := root.Content[0]
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		d.failf(0, "the file is empty")
		return
	}
	d.decodeStruct("", top, reflect.ValueOf(target).Elem())
}

// syntaxError reports a file that is no YAML. The parser gives the line only in
// its message.
func (d *document) syntaxError(content []byte, err error) {
	for i, line := range strings.Split(string(content), "\n") {
		if indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(indent, "\t") {
			d.failf(i+1, "a tab in the indentation: use spaces")
			return
		}
	}
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1 // what the parser does not number is the first line
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits, by the expression
		message = message[len(m[0]):]
		// The library counts lines from 0 in errors of its grammar, as opposed
		// to those of its scanner.
		if regexp.MustCompile(`^did not find expected (key$|node content$|',' or|'-' indicator|<document start>)`).MatchString(message) {
			line++
		}
	}
	// What is missing at the end is missing in the last line.
	line = min(line, bytes.Count(bytes.TrimRight(content, "\n"), []byte("\n"))+1)
	d.failf(line, "not valid YAML: %s", message)
}

// fieldsOf returns the fields of a struct value by their names in a file, and
// the names in order. Embedded structs are part of it.
func fieldsOf(v reflect.Value) (map[string]reflect.Value, []string) {
	fields := map[string]reflect.Value{}
	var names []string
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			inner, innerNames := fieldsOf(v.Field(i))
			for _, name := range innerNames {
				fields[name] = inner[name]
			}
			names = append(names, innerNames...)
			continue
		}
		name := field.Tag.Get("yaml")
		fields[name] = v.Field(i)
		names = append(names, name)
	}
	return fields, names
}

func (d *document) decodeStruct(path string, node *yaml.Node, v reflect.Value) {
	node = resolve(node)
	where := ""
	if path != "" {
		where = " in " + path
	}
	if node.Kind != yaml.MappingNode {
		d.failf(node.Line, "%swant settings, each as \"name: value\", not %s", prefix(path), describe(node))
		return
	}
	fields, names := fieldsOf(v)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field, known := fields[key.Value]
		if !known || key.Kind != yaml.ScalarNode {
			hint := didYouMean(key.Value, names)
			if hint == "" {
				hint = ": known are " + strings.Join(names, ", ")
			}
			d.failf(key.Line, "unknown field %q%s%s", key.Value, where, hint)
			continue
		}
		full := key.Value
		if path != "" {
			full = path + "." + key.Value
		}
		if first, twice := d.lines[full]; twice {
			d.failf(key.Line, "field %q%s is given twice, first in line %d", key.Value, where, first)
			continue
		}
		d.lines[full] = key.Line
		d.decodeValue(full, value, field)
	}
}

func (d *document) decodeValue(path string, node *yaml.Node, v reflect.Value) {
	node = resolve(node)
	switch target := v.Addr().Interface().(type) {
	case *string:
		if d.wantScalar(path, node, "text") {
			*target = node.Value
		}
	case *int:
		d.decodeInt(path, node, target)
	case *time.Duration:
		if d.wantScalar(path, node, "a duration such as 30s") {
			parsed, err := time.ParseDuration(node.Value)
			if err != nil || parsed < 0 {
				d.failf(node.Line, "%s: want a duration such as 30s, 5m or 24h, not %q", path, node.Value)
				return
			}
			*target = parsed
		}
	case *byteSize:
		if d.wantScalar(path, node, "a size such as 10GiB") {
			parsed, err := parseByteSize(node.Value)
			if err != nil {
				d.failf(node.Line, "%s: %v", path, err)
				return
			}
			*target = parsed
		}
	case **byteSize:
		*target = new(byteSize)
		d.decodeValue(path, node, reflect.ValueOf(*target).Elem())
	case **int:
		*target = new(int)
		d.decodeInt(path, node, *target)
	case **string:
		*target = new(string)
		d.decodeValue(path, node, reflect.ValueOf(*target).Elem())
	case *[]string:
		decodeList(d, path, node, target)
	case *[]volumeEntry:
		decodeList(d, path, node, target)
	case *[]dirEntry:
		decodeList(d, path, node, target)
	case *map[string]classConfig:
		d.decodeClasses(path, node, target)
	case *meta.Code:
		if d.wantScalar(path, node, "shards of data and of parity, such as 4+2") {
			parsed, err := parseCode(node.Value)
			if err != nil {
				d.failf(node.Line, "%s: %v", path, err)
				return
			}
			*target = parsed
		}
	default:
		if word := wordOf(v); word.IsValid() && node.Kind == yaml.ScalarNode && node.Tag != "!!null" {
			d.decodeValue(path, node, word)
			return
		}
		d.decodeStruct(path, node, v)
	}
}

// wordOf returns the setting that a single word stands for where settings could
// be; none where only settings will do.
func wordOf(v reflect.Value) reflect.Value {
	switch target := v.Addr().Interface().(type) {
	case *volumeEntry:
		return reflect.ValueOf(&target.URL).Elem()
	case *dirEntry:
		return reflect.ValueOf(&target.Path).Elem()
	case *classConfig:
		return reflect.ValueOf(&target.Code).Elem()
	}
	return reflect.Value{}
}

// decodeClasses reads settings whose names are the file's own.
func (d *document) decodeClasses(path string, node *yaml.Node, target *map[string]classConfig) {
	if node.Kind != yaml.MappingNode {
		d.failf(node.Line, "%s: want names, each as \"NAME: 4+2\", not %s", path, describe(node))
		return
	}
	classes := make(map[string]classConfig, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode {
			d.failf(key.Line, "%s: want a name, not %s", path, describe(key))
			continue
		}
		full := path + "." + key.Value
		if first, twice := d.lines[full]; twice {
			d.failf(key.Line, "%s is given twice, first in line %d", full, first)
			continue
		}
		d.lines[full] = key.Line
		class := defaultClass()
		d.decodeValue(full, node.Content[i+1], reflect.ValueOf(&class).Elem())
		classes[key.Value] = class
	}
	*target = classes
}

func (d *document) decodeInt(path string, node *yaml.Node, target *int) {
	if !d.wantScalar(path, node, "a whole number") {
		return
	}
	parsed, err := strconv.Atoi(node.Value)
	if err != nil || node.Tag != "!!int" {
		d.failf(node.Line, "%s: want a whole number, not %q", path, node.Value)
		return
	}
	*target = parsed
}

func decodeList[T any](d *document, path string, node *yaml.Node, target *[]T) {
	if node.Kind != yaml.SequenceNode {
		d.failf(node.Line, "%s: want a list, each entry on a line of its own after \"- \", not %s", path, describe(node))
		return
	}
	list := make([]T, len(node.Content))
	for i, item := range node.Content {
		item = resolve(item)
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		d.lines[itemPath] = item.Line
		d.decodeValue(itemPath, item, reflect.ValueOf(&list[i]).Elem())
	}
	*target = list
}

// wantScalar checks that a value is one word and not missing.
func (d *document) wantScalar(path string, node *yaml.Node, want string) bool {
	switch {
	case node.Kind == yaml.ScalarNode && node.Tag == "!!null":
		d.failf(node.Line, "%s: has no value: want %s", path, want)
	case node.Kind != yaml.ScalarNode:
		d.failf(node.Line, "%s: want %s, not %s", path, want, describe(node))
	default:
		return true
	}
	return false
}

// resolve follows an alias to what it names.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func describe(node *yaml.Node) string {
	switch {
	case node.Kind == yaml.MappingNode:
		return "settings of their own"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case node.Tag == "!!null":
		return "nothing"
	}
	return fmt.Sprintf("%q", node.Value)
}

func prefix(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

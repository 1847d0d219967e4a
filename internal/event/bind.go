package event

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile bounds what is parsed: the largest event known, FOSDEM with 35 rooms,
// needs less than 30 KiB.
const maxFile = 256 << 10

// maxNesting bounds lists and maps within each other, of which the event file
// has four: goccy/go-yaml 1.19.2 keeps each node's whole path as a string, and
// takes gigabytes for 256 KiB of "[".
const maxNesting = 16

// binder fills a struct from a YAML document and remembers on which line each
// value stands, so that a later check can name it. Errors are collected.
type binder struct {
	path  string
	lines map[string]int // by key path: rooms[0].mixer.host
	errs  []lineError
}

type lineError struct {
	line int
	text string
}

func (b *binder) errorf(line int, format string, args ...any) {
	b.errs = append(b.errs, lineError{line, fmt.Sprintf(format, args...)})
}

// at reports an error at the line of a key path, or of the nearest path above
// it that the file has.
func (b *binder) at(key, format string, args ...any) {
	b.errorf(b.line(key), format, args...)
}

func (b *binder) line(key string) int {
	for key != "" {
		if n, ok := b.lines[key]; ok {
			return n
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return 1
}

// err is every error so far, by line.
func (b *binder) err() error {
	slices.SortStableFunc(b.errs, func(x, y lineError) int { return x.line - y.line })
	var all []error
	for _, e := range b.errs {
		all = append(all, fmt.Errorf("%s:%d: %s", b.path, e.line, e.text))
	}
	return errors.Join(all...)
}

// parse reads one YAML document into target, a pointer to a struct.
func (b *binder) parse(data []byte, target any) {
	if len(data) > maxFile {
		b.errorf(1, "%d bytes; at most %d are read", len(data), maxFile)
		return
	}
	body, err := parseYAML(data)
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		b.errorf(syntax.GetToken().Position.Line, "no valid YAML: %s", oneLine(syntax.Message))
	case err != nil:
		b.errorf(1, "no valid YAML: %s", oneLine(err.Error()))
	case body == nil:
		b.errorf(1, "the file is empty; it must hold keys such as %s", strings.Join(keysOf(reflect.TypeOf(target).Elem())[:3], ", "))
	default:
		b.bind("", body, reflect.ValueOf(target).Elem())
	}
}

// parseYAML is goccy's parser for exactly one document. It has panicked on
// malformed input before (goccy/go-yaml's fuzzing issues), and a broken file is
// an error, so a panic is turned into one.
func parseYAML(data []byte) (body ast.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			body, err = nil, fmt.Errorf("the parser gave up: %v", p)
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if err := checkNesting(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			return nil, errors.New("more than one document; remove the line with ---")
		}
		body = d.Body
	}
	return body, nil
}

// checkNesting counts open brackets, and on one line the dashes and question
// marks that open a list or a map each. Over several lines a level costs
// indentation, so that the file's size bounds those.
func checkNesting(tokens token.Tokens) error {
	open, line, onLine := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open--
		case token.SequenceEntryType, token.MappingKeyType:
			onLine++
		}
		if open+onLine > maxNesting {
			return fmt.Errorf("line %d nests lists or keys more than %d deep", line, maxNesting)
		}
	}
	return nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (b *binder) bind(key string, n ast.Node, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		b.errorf(lineOf(n), "%s uses an anchor, alias or tag; write the value out", name(key))
		return
	case *ast.NullNode:
		b.errorf(lineOf(n), "%s has no value; give one or remove the line", name(key))
		return
	}
	_, text := v.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case v.Kind() == reflect.Struct && !text:
		b.bindStruct(key, n, v)
	case v.Kind() == reflect.Slice && !text:
		b.bindSlice(key, n, v)
	default:
		b.bindScalar(key, n, v)
	}
}

func (b *binder) bindStruct(key string, n ast.Node, v reflect.Value) {
	m, ok := n.(ast.MapNode)
	if !ok {
		b.errorf(lineOf(n), "%s must hold keys: %s", name(key), strings.Join(keysOf(v.Type()), ", "))
		return
	}
	for it := m.MapRange(); it.Next(); {
		b.bindKey(key, it.Key(), it.Value(), v)
	}
}

func (b *binder) bindKey(parent string, k ast.MapKeyNode, n ast.Node, v reflect.Value) {
	word, line := keyText(k), lineOf(k)
	for i := range v.NumField() {
		if tag(v.Type().Field(i)) != word {
			continue
		}
		key := strings.TrimPrefix(parent+"."+word, ".")
		if _, twice := b.lines[key]; twice {
			b.errorf(line, "%s is given twice; remove one", key)
			return
		}
		b.lines[key] = line
		b.bind(key, n, v.Field(i))
		return
	}
	known := keysOf(v.Type())
	where := ""
	if parent != "" {
		where = " in " + parent
	}
	if near := nearest(word, known); near != "" {
		b.errorf(line, "unknown key %q%s; did you mean %q?", word, where, near)
		return
	}
	b.errorf(line, "unknown key %q%s; known are %s", word, where, strings.Join(known, ", "))
}

func (b *binder) bindSlice(key string, n ast.Node, v reflect.Value) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		b.errorf(lineOf(n), "%s must be a list, each element on a line that starts with -", name(key))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values)))
	for i, e := range s.Values {
		elem := fmt.Sprintf("%s[%d]", key, i)
		b.lines[elem] = lineOf(e)
		if d, ok := v.Index(i).Addr().Interface().(interface{ defaults() }); ok {
			d.defaults()
		}
		b.bind(elem, e, v.Index(i))
	}
}

func (b *binder) bindScalar(key string, n ast.Node, v reflect.Value) {
	text, ok := scalar(n)
	if !ok {
		b.errorf(lineOf(n), "%s must be a single value", name(key))
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			b.errorf(lineOf(n), "%s: %v", name(key), err)
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != f || f-f != 0 { // not a number, or infinite
			b.errorf(lineOf(n), "%s: %q is no number; write one such as -16", name(key), text)
			return
		}
		v.SetFloat(f)
	default:
		i, err := strconv.Atoi(text)
		if err != nil {
			b.errorf(lineOf(n), "%s: %q is no whole number", name(key), text)
			return
		}
		v.SetInt(int64(i))
	}
}

// scalar is a value's text as it is written, without quotes.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func keyText(k ast.MapKeyNode) string {
	if t := k.GetToken(); t != nil {
		return t.Value
	}
	return k.String()
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return max(t.Position.Line, 1)
	}
	return 1
}

// name is a key path as errors show it; the document itself has none.
func name(key string) string {
	if key == "" {
		return "the file"
	}
	return key
}

func tag(f reflect.StructField) string {
	t, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return t
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if k := tag(t.Field(i)); k != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

// nearest is the known key that is at most two typing mistakes away, or "".
func nearest(word string, known []string) string {
	best, at := "", min(3, len(word)/2+1)
	for _, k := range known {
		if d := distance(word, k); d < at {
			best, at = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

package bootcfg

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxFile bounds what is read; the commented example has 2 KiB.
const maxFile = 64 << 10

// entry is a key with its values and where it stands.
type entry struct {
	line   int
	key    string
	values []string
	open   bool // nothing stands behind the key: a list may follow
}

// lines takes a file apart: a flat mapping, whose values are scalars or lists
// of them. It is read line by line and not as YAML as a whole, so that a
// mistake in one line leaves the others standing. What it takes is YAML.
func lines(data []byte) (list []entry, faults []Fault) {
	if len(data) > maxFile {
		return nil, []Fault{{1, "more than 64 KiB; this is not the file that was meant"}}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // Windows' editor writes it
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, []Fault{{1, "not in UTF-8; save it as UTF-8 or as plain text"}}
	}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimRight(line, " \t\r")
		text := strings.TrimLeft(line, " \t")
		switch {
		case text == "" || text[0] == '#' || text == "---":
		case strings.HasPrefix(text, "- ") && len(list) > 0 && list[len(list)-1].open:
			last := &list[len(list)-1]
			v, err := scalar(text[2:])
			if err != nil {
				faults = append(faults, Fault{i + 1, err.Error()})
				continue
			}
			last.values = append(last.values, v)
		case text != line:
			faults = append(faults, Fault{i + 1, "starts with a space; every key stands at the start of its line"})
		default:
			e, err := parseLine(text)
			if err != nil {
				faults = append(faults, Fault{i + 1, err.Error()})
				continue
			}
			e.line = i + 1
			list = append(list, e)
		}
	}
	return list, faults
}

func parseLine(text string) (entry, error) {
	key, rest, ok := strings.Cut(text, ":")
	if !ok || key == "" || strings.ContainsAny(key, " \t\"'[]{}") || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return entry{}, errors.New("no `key: value`; write for example name: hall-camera")
	}
	e := entry{key: key}
	rest = strings.TrimSpace(rest)
	if rest == "" || rest[0] == '#' {
		e.open = true
		return e, nil
	}
	if rest[0] == '[' {
		var err error
		e.values, err = flowList(rest)
		return e, err
	}
	v, err := scalar(rest)
	e.values = []string{v}
	return e, err
}

// flowList reads [a, b].
func flowList(text string) ([]string, error) {
	text, rest, ok := strings.Cut(text[1:], "]")
	if rest = strings.TrimSpace(rest); !ok || rest != "" && rest[0] != '#' {
		return nil, errors.New("a list that does not end; write [a, b]")
	}
	list := []string{}
	for _, part := range strings.Split(text, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		v, err := scalar(part)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// scalar reads a value: plain, 'quoted' or "quoted", with a comment behind it.
func scalar(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", errors.New("no value; give one or remove the line")
	case text[0] == '"':
		return doubleQuoted(text)
	case text[0] == '\'':
		return singleQuoted(text)
	case strings.ContainsRune("{}[]&*!|>%@`,", rune(text[0])):
		return "", errors.New("a value that starts with " + text[:1] + "; put it into quotes")
	}
	if i := strings.IndexAny(text, " \t"); i >= 0 && strings.HasPrefix(strings.TrimLeft(text[i:], " \t"), "#") {
		text = text[:i]
	}
	if i := strings.Index(text, " #"); i >= 0 {
		text = strings.TrimRight(text[:i], " \t")
	}
	return text, nil
}

var errQuotes = errors.New("quotes that don't end, or something behind them")

func doubleQuoted(text string) (string, error) {
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil || !nothing(text[len(quoted):]) {
		return "", errQuotes
	}
	return strconv.Unquote(quoted)
}

// singleQuoted is a text in which only ” means something: one quote.
func singleQuoted(text string) (string, error) {
	var b strings.Builder
	for rest := text[1:]; ; {
		part, after, ok := strings.Cut(rest, "'")
		if !ok {
			return "", errQuotes
		}
		b.WriteString(part)
		if !strings.HasPrefix(after, "'") {
			if !nothing(after) {
				return "", errQuotes
			}
			return b.String(), nil
		}
		b.WriteByte('\'')
		rest = after[1:]
	}
}

// nothing says whether only a comment is left.
func nothing(rest string) bool {
	t := strings.TrimLeft(rest, " \t")
	return t == "" || t[0] == '#' && t != rest
}

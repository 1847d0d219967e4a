package main_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the READMEs name is there: links, headings, make's targets and variables,
// folders of go run and go test, tests, files of the tree, programs in bin/.
func TestDocs(t *testing.T) {
	t.Chdir("../..")
	r, err := readRepository(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.docs) < 8 {
		t.Errorf("only %d pages seen", len(r.docs))
	}
	for _, doc := range r.docs {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range r.faults(filepath.Dir(doc), string(text)) {
			t.Errorf("%s: %s", doc, fault)
		}
	}
}

// repository is what pages may name.
type repository struct {
	docs     []string
	makefile string
	tests    []string // names of tests, benchmarks and fuzz targets
}

var (
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w+)\(`)
	link         = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading      = regexp.MustCompile(`(?m)^#+ (.*)$`)
	code         = regexp.MustCompile("(?s:```.*?```)|`(?:[^`\n]|\n[^`\n])+`|(?m:^    .*$)")
	makeCall     = regexp.MustCompile(`(?:^|[\s` + "`" + `])make ([a-z][a-z-]*(?: [a-z][a-z-]*)*)((?: [A-Z_]+=)?)`)
	makeVariable = regexp.MustCompile(`make [a-z -]*((?: ?[A-Z_]{2,}=\S*)+)`)
	goFolder     = regexp.MustCompile(`go (?:run|test|build|vet) [^|#;&\n]*?(\./[\w./-]+)`)
	goRun        = regexp.MustCompile(`-run '?([\w^$|/()…]+)'?`)
	testName     = regexp.MustCompile(`\b(?:Test|Benchmark|Fuzz)[A-Z]\w*`)
	treePath     = regexp.MustCompile("^`((?:appliance|drivers|display|mixer-host|restream-host|hardware|images|internal)/[\\w./-]+)`$")
	program      = regexp.MustCompile(`\bbin/([\w-]+)(?:\s|$|` + "`" + `)`)
)

func readRepository(root string) (r repository, err error) {
	data, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return r, err
	}
	r.makefile = string(data)
	return r, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains([]string{"bin", "run", "node_modules", "testdata"}, d.Name()) || strings.HasPrefix(d.Name(), ".") && path != root):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".md"):
			r.docs = append(r.docs, path)
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			for _, m := range testFunction.FindAllStringSubmatch(string(text), -1) {
				r.tests = append(r.tests, m[1])
			}
			return err
		}
		return nil
	})
}

// faults lists what a page in the folder dir names and isn't there.
func (r repository) faults(dir, text string) (faults []string) {
	for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
		if f := linkFault(dir, text, m[1]); f != "" {
			faults = append(faults, f)
		}
	}
	for _, c := range code.FindAllString(text, -1) {
		faults = append(faults, r.makeFaults(c)...)
		faults = append(faults, r.goFaults(c)...)
		if m := treePath.FindStringSubmatch(c); m != nil && !there(m[1]) && !there(filepath.Join(dir, m[1])) {
			faults = append(faults, m[1]+" is not in the tree")
		}
		for _, m := range program.FindAllStringSubmatch(c, -1) {
			if !strings.Contains(r.makefile, m[1]) {
				faults = append(faults, "bin/"+m[1]+" is made by no target")
			}
		}
	}
	for _, name := range testName.FindAllString(text, -1) {
		if !slices.ContainsFunc(r.tests, func(t string) bool { return strings.HasPrefix(t, name) }) {
			faults = append(faults, "no test is called "+name)
		}
	}
	return faults
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// linkFault says what is wrong with a relative link.
func linkFault(dir, text, to string) string {
	if strings.Contains(to, "://") {
		return ""
	}
	file, fragment, _ := strings.Cut(to, "#")
	if file != "" {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil && !there(filepath.Join(dir, file)) {
			return fmt.Sprintf("link to %s, which isn't there", to)
		}
		text = string(data)
	}
	if fragment != "" && !slices.ContainsFunc(heading.FindAllStringSubmatch(text, -1), func(m []string) bool { return slug(m[1]) == fragment }) {
		return fmt.Sprintf("link to %s: no such heading", to)
	}
	return ""
}

// slug is a heading as GitHub makes an anchor of it.
func slug(heading string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case c == '-' || c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c > 127:
			return c
		}
		return -1
	}, strings.ToLower(heading))
}

// makeFaults looks for make's targets and variables in the Makefile.
func (r repository) makeFaults(code string) (faults []string) {
	for _, m := range makeCall.FindAllStringSubmatch(code, -1) {
		for _, target := range strings.Fields(m[1]) {
			if !regexp.MustCompile(`(?m)^` + target + `:`).MatchString(r.makefile) {
				faults = append(faults, "make "+target+": no such target")
			}
		}
	}
	for _, m := range makeVariable.FindAllStringSubmatch(code, -1) {
		for _, set := range strings.Fields(m[1]) {
			name, _, _ := strings.Cut(set, "=")
			if !strings.Contains(r.makefile, name+" ?=") {
				faults = append(faults, "make "+name+"=: no such variable")
			}
		}
	}
	return faults
}

// goFaults looks for the folders and the tests that go's commands name.
func (r repository) goFaults(code string) (faults []string) {
	for _, m := range goFolder.FindAllStringSubmatch(code, -1) {
		if folder := strings.TrimSuffix(m[1], "..."); !there(folder) {
			faults = append(faults, m[1]+": no such folder")
		}
	}
	for _, m := range goRun.FindAllStringSubmatch(code, -1) {
		pattern, _, _ := strings.Cut(m[1], "/")
		want, err := regexp.Compile(pattern)
		if err != nil || !slices.ContainsFunc(r.tests, want.MatchString) {
			faults = append(faults, "-run "+m[1]+": no such test")
		}
	}
	return faults
}

// The check itself must find what it is there for.
func TestDocsFindsFaults(t *testing.T) {
	t.Chdir("../..")
	r := repository{makefile: "test: x\nDEV ?=\nbin/vm", tests: []string{"TestShortBoot"}}
	const q = "`"
	for want, text := range map[string]string{
		"link to none.md":        "[a](none.md)",
		"no such heading":        "# A b\n[a](#a-c)",
		"make tests:":            q + "make tests" + q,
		"make drill:":            "```\nmake test drill\n```",
		"make DRV=:":             "    make test DRV=1",
		"./none: no such":        q + "go run ./none --x" + q,
		"./internal/none: no":    q + "go test -race ./internal/none" + q,
		"called TestShortFoot":   "see TestShortFoot",
		"-run Foot: no such":     q + "go test -run Foot ./internal" + q,
		"images/none is not in":  q + "images/none" + q,
		"bin/vn is made by no t": q + "bin/vn --x" + q,
	} {
		if f := r.faults(".", text); len(f) != 1 || !strings.Contains(f[0], want) {
			t.Errorf("%s: %q", want, f)
		}
	}
	good := "# A `b`, c\n[x](#a-b-c) [y](README.md) [z](https://example.org/none)\n`make test DEV=/dev/sdX` `go test -run '^TestShort' ./internal/...` TestShortBoot `bin/vm` make sure\n"
	if f := r.faults(".", good); f != nil {
		t.Errorf("what is right: %q", f)
	}
}

package notices

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mains are the programs that are handed out.
var mains = []string{"./appliance/...", "./mixer-host", "./restream-host", "./internal/demo"}

// goList runs go list in the repository's root, also while some package there
// doesn't compile.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-e"}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Fields(string(out))
}

func byModule(path string) (Notice, bool) {
	i := slices.IndexFunc(modules, func(n Notice) bool { return n.module == path })
	if i < 0 {
		return Notice{}, false
	}
	return modules[i], true
}

func TestEveryLinkedModuleHasANotice(t *testing.T) {
	format := "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}"
	linked := goList(t, append([]string{"-deps", "-f", format}, mains...)...)
	slices.Sort(linked)
	linked = slices.Compact(linked)
	if len(linked) < 5 {
		t.Fatalf("only %d modules are linked: %v", len(linked), linked)
	}
	for _, path := range linked {
		if _, ok := byModule(path); !ok {
			t.Errorf("%s is linked and has no entry in modules", path)
		}
	}
}

// TestTextsAreTheModules compares each module's notice with the files beside its
// source.
func TestTextsAreTheModules(t *testing.T) {
	for _, line := range goList(t, "-m", "-f", "{{.Path}}={{.Dir}}", "all") {
		path, dir, _ := strings.Cut(line, "=")
		n, ok := byModule(path)
		if !ok || dir == "" || path == "github.com/golang/freetype" { // its LICENSE offers two others
			continue
		}
		licence, err := licenceIn(dir)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if !strings.Contains(squeeze(licence), squeeze(Text(n.Text))) {
			t.Errorf("%s: its licence isn't the text %s", path, n.Text)
		}
		notice, _ := os.ReadFile(filepath.Join(dir, "NOTICE"))
		if !strings.HasPrefix(n.Extra, string(notice)) { // where the source is may follow
			t.Errorf("%s: its NOTICE isn't passed on", path)
		}
		if strings.Contains(licence, "Copyright (") && n.Text != "Apache-2.0" && n.Text != "LGPL-2.1" &&
			!strings.Contains(squeeze(licence), squeeze(n.Copyright)) {
			t.Errorf("%s: %q isn't in its licence", path, n.Copyright)
		}
	}
}

func licenceIn(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "[LC][IO][CP][EY][NI]*"))
	if err != nil || len(files) == 0 {
		return "", os.ErrNotExist
	}
	data, err := os.ReadFile(files[0])
	return string(data), err
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestNoticesAreComplete(t *testing.T) {
	var names, used []string
	for _, n := range All() {
		if n.Name == "" || n.Licence == "" || n.Use == "" || n.Copyright == "" || !strings.HasPrefix(n.Source, "https://") {
			t.Errorf("something is missing in %+v", n)
		}
		if n.Text == "" && !strings.Contains(n.Extra, "https://") || n.Text != "" && len(Text(n.Text)) < 500 {
			t.Errorf("%s: no text %q", n.Name, n.Text)
		}
		if slices.Contains(names, n.Name) {
			t.Errorf("%s is listed twice", n.Name)
		}
		names = append(names, n.Name)
		used = append(used, n.Text)
	}
	files, err := texts.ReadDir("texts")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		key := strings.TrimSuffix(f.Name(), ".txt")
		if !slices.Contains(used, key) && key != ours && !strings.HasPrefix(key, "NOTICE-") {
			t.Errorf("text %s belongs to nothing", key)
		}
	}
}

func TestOurLicenceIsTheRepositorys(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(data)) != strings.TrimSpace(Text(ours)) {
		t.Error("texts/GPL-3.0.txt differs from LICENSE")
	}
}

func TestPages(t *testing.T) {
	fetch := func(target string) (string, string) {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
		return w.Body.String(), w.Header().Get("Content-Type")
	}
	html, kind := fetch("/licenses")
	if kind != "text/html; charset=utf-8" || !strings.Contains(html, `<a href="#Apache-2.0">Apache-2.0</a>`) ||
		!strings.Contains(html, `<h2 id="Apache-2.0">`) || !strings.Contains(html, "Bigelow &amp; Holmes") {
		t.Errorf("%s: %.2000s", kind, html)
	}
	plain, kind := fetch("/licenses?format=text")
	if kind != "text/plain; charset=utf-8" {
		t.Errorf("content type %s", kind)
	}
	for _, want := range []string{
		"Big Buck Bunny", "(c) copyright 2008, Blender Foundation", "https://creativecommons.org/licenses/by/3.0/",
		"work of\n", "the Independent JPEG Group",
	} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q in the text", want)
		}
	}
	if n := strings.Count(plain, "\nApache-2.0\n"); n != 1 {
		t.Errorf("the Apache licence is there %d times", n)
	}
}

func TestModulesOfThePageAreThoseLinked(t *testing.T) {
	linked, known := linkedModules()
	if !known {
		t.Skip("this test has no build information")
	}
	all := newPage(All())
	for _, n := range List() {
		if n.module != "" && n.Version != linked[n.module] {
			t.Errorf("%s %s, linked is %q", n.Name, n.Version, linked[n.module])
		}
	}
	if len(List()) >= len(all.List) {
		t.Error("the page of this test, which links almost nothing, lists every module")
	}
}

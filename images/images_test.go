// Package images holds the test of the gokrazy instances beside it.
package images

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/notices"
)

const ours = "github.com/openvideobox/videobox/"

// kernels says what a kernel package is built for.
var kernels = map[string]string{
	"github.com/gokrazy/kernel.rpi":     "arm64",
	"github.com/openvideobox/kernel-pc": "amd64",
}

// config is the part of a gokrazy instance that is checked.
type config struct {
	Hostname                                      string
	Environment                                   []string
	Update                                        struct{ NoPassword bool }
	KernelPackage, FirmwarePackage, EEPROMPackage string
	Packages, GokrazyPackages                     []string
	PackageConfig                                 map[string]struct {
		GoBuildEnvironment, GoBuildFlags, CommandLineFlags []string
		ExtraFilePaths                                     map[string]string
	}
}

// instance is a folder with a config.json.
type instance struct {
	config
	dir string
}

func instances(t *testing.T) (list []instance) {
	t.Helper()
	found, err := filepath.Glob("*/config.json")
	if err != nil || len(found) == 0 {
		t.Fatalf("no instance: %v", err)
	}
	for _, file := range found {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		i := instance{dir: filepath.Dir(file)}
		if err := json.Unmarshal(data, &i.config); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		list = append(list, i)
	}
	return list
}

// boot are the packages that hold what starts the machine; a PC brings its own
// firmware.
func (i instance) boot() []string {
	return slices.DeleteFunc([]string{i.KernelPackage, i.FirmwarePackage, i.EEPROMPackage}, func(p string) bool { return p == "" })
}

func (i instance) programs() []string { return slices.Concat(i.Packages, i.GokrazyPackages) }

// goList runs go list as gok does, but without leave to change go.mod.
func (i instance) goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-mod=readonly", "-tags=gokrazy,netgo,osusergo"}, args...)...)
	cmd.Dir = filepath.Join(i.dir, "builddir")
	cmd.Env = append(os.Environ(), append([]string{"CGO_ENABLED=0", "GOFLAGS="}, i.Environment...)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: go list %v: %v: %s", i.dir, args, err, &said)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestPackagesExistAndAreMains(t *testing.T) {
	for _, i := range instances(t) {
		for _, line := range i.goList(t, append([]string{"-f", "{{.Name}} {{.ImportPath}}"}, i.programs()...)...) {
			if !strings.HasPrefix(line, "main ") {
				t.Errorf("%s: %s is no program", i.dir, line)
			}
		}
		for name := range i.PackageConfig {
			if !slices.Contains(i.programs(), name) {
				t.Errorf("%s: settings for %s, which isn't in the image", i.dir, name)
			}
		}
		i.goList(t, append(i.boot(), "github.com/gokrazy/gokrazy")...)
	}
}

func TestArchitectureFitsTheKernel(t *testing.T) {
	compilers := map[string]string{"arm64": "CC=aarch64-linux-gnu-gcc", "amd64": "CC=x86_64-linux-gnu-gcc"}
	for _, i := range instances(t) {
		arch, ok := kernels[i.KernelPackage]
		if !ok {
			t.Fatalf("%s: kernel %s isn't in the table", i.dir, i.KernelPackage)
		}
		if !slices.Contains(i.Environment, "GOARCH="+arch) || !slices.Contains(i.Environment, "GOOS=linux") {
			t.Errorf("%s: %v for a kernel of %s", i.dir, i.Environment, arch)
		}
		for name, p := range i.PackageConfig {
			if !slices.Contains(p.GoBuildEnvironment, "CGO_ENABLED=1") {
				continue
			}
			if !slices.Contains(p.GoBuildEnvironment, compilers[arch]) {
				t.Errorf("%s: %s: %v, want %s", i.dir, name, p.GoBuildEnvironment, compilers[arch])
			}
			if !strings.Contains(strings.Join(p.GoBuildFlags, " "), "-extldflags=-static") {
				t.Errorf("%s: %s isn't linked statically, and there are no libraries on a box", i.dir, name)
			}
		}
	}
}

// TestCgoIsWhereItIsNeeded: without it the stand-ins would be in the image,
// which build and do nothing.
func TestCgoIsWhereItIsNeeded(t *testing.T) {
	for _, i := range instances(t) {
		for _, name := range i.Packages {
			deps := i.goList(t, "-deps", name)
			needs := slices.ContainsFunc(deps, func(d string) bool {
				return strings.HasPrefix(d, ours+"internal/codec/") && d != ours+"internal/codec/aac" || d == ours+"drivers/v4l2"
			})
			if has := slices.Contains(i.PackageConfig[name].GoBuildEnvironment, "CGO_ENABLED=1"); has != needs {
				t.Errorf("%s: %s: cgo %v, needed %v", i.dir, name, has, needs)
			}
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	hosts := map[string]string{}
	for _, i := range instances(t) {
		if other := hosts[i.Hostname]; other != "" {
			t.Errorf("%s and %s are both called %s", i.dir, other, i.Hostname)
		}
		hosts[i.Hostname] = i.dir
		programs := map[string]string{}
		for _, name := range i.programs() {
			base := path.Base(name)
			if other := programs[base]; other != "" {
				t.Errorf("%s: %s and %s are one file", i.dir, name, other)
			}
			programs[base] = name
		}
	}
}

// TestVersionsArePinned: each module has one version, in go.mod, and a sum.
func TestVersionsArePinned(t *testing.T) {
	version := regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+`)
	for _, i := range instances(t) {
		data, err := os.ReadFile(filepath.Join(i.dir, "builddir", "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "latest") || strings.Count(string(data), "=>") != strings.Count(string(data), "=> ../../") {
			t.Errorf("%s: go.mod has latest, or replaces more than this repository", i.dir)
		}
		sums, err := os.ReadFile(filepath.Join(i.dir, "builddir", "go.sum"))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range i.modules(t) {
			name, v, _ := strings.Cut(m, " ")
			if !version.MatchString(v) || !strings.Contains(string(sums), name+" "+v+" h1:") {
				t.Errorf("%s: %s %q has no version or no sum", i.dir, name, v)
			}
		}
		for _, p := range i.programs() {
			if !strings.Contains(string(data), "\t"+p+"\n") {
				t.Errorf("%s: %s is no tool of go.mod, so go mod tidy would drop what it needs", i.dir, p)
			}
		}
	}
}

// modules are those of which something is in the image, with their versions.
func (i instance) modules(t *testing.T) (list []string) {
	t.Helper()
	names := slices.Concat(i.programs(), i.boot(), []string{"github.com/gokrazy/gokrazy"})
	for _, m := range i.goList(t, append([]string{"-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}"}, names...)...) {
		if m != "" && !strings.HasPrefix(m, "github.com/openvideobox/") {
			list = append(list, m)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestLicencesAreListed: whose work an image holds is said at /licenses.
func TestLicencesAreListed(t *testing.T) {
	var sources []string
	for _, n := range notices.All() {
		sources = append(sources, n.Source)
	}
	for _, i := range instances(t) {
		modules := i.modules(t)
		if len(modules) < 20 {
			t.Fatalf("%s: only %d modules: %v", i.dir, len(modules), modules)
		}
		for _, m := range modules {
			name, _, _ := strings.Cut(m, " ")
			if !slices.Contains(sources, "https://pkg.go.dev/"+name) && !slices.Contains(sources, "https://"+name) {
				t.Errorf("%s: %s is in the image and not in internal/notices", i.dir, name)
			}
		}
	}
}

func TestEventOfTheImage(t *testing.T) {
	for _, i := range instances(t) {
		e, err := event.Load(filepath.Join(i.dir, "event.yaml"))
		if err != nil {
			t.Error(err)
			continue
		}
		for name, p := range i.PackageConfig {
			flags := strings.Join(p.CommandLineFlags, " ")
			if !strings.HasPrefix(name, ours) {
				continue
			}
			if !strings.Contains(flags, "--config=/run/videobox/event.yaml:/perm/event.yaml:/etc/videobox/event.yaml") || !strings.Contains(flags, "--name=auto") {
				t.Errorf("%s: %s: %s", i.dir, name, flags)
			}
		}
		if e.Secrets.Box.Bcrypt != "" || !i.Update.NoPassword {
			t.Errorf("%s: a password would be the same in every box", i.dir)
		}
	}
}

// TestTheProfileSetsTheEncoder: what stands in an image's capture.json would
// override the board's profile on every board that the image is for.
func TestTheProfileSetsTheEncoder(t *testing.T) {
	for _, instance := range []string{"videobox", "videobox-pc"} {
		data, err := os.ReadFile(filepath.Join(instance, "capture.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range []string{"preset", "threads"} {
			if bytes.Contains(data, []byte(flag)) {
				t.Errorf("%s: capture.json sets %s: %s", instance, flag, data)
			}
		}
	}
}

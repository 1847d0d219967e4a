// Package notices is whose work the programs stand on: third-party notices and
// licences, embedded, and shown at /licenses.
//
// Works that share a licence word for word share its text here; each keeps its
// own copyright line. A test compares both with what the module cache holds, and
// the list with what is linked into the programs.
package notices

import (
	"embed"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
)

// Notice is one work of somebody else's.
type Notice struct {
	Name      string
	Version   string // of a Go module: the one linked into this program, or ""
	Licence   string // SPDX expression
	Source    string // where the work is had
	Use       string // by which program, and for what
	Copyright string // line by line
	Extra     string // what its licence wants to be passed on besides
	Text      string // key of Text; "" when Extra links to it

	module string // path of a Go module
}

//go:embed texts/*.txt
var texts embed.FS

// Text is a licence's wording, without copyright lines that differ between
// works.
func Text(key string) string {
	data, err := texts.ReadFile("texts/" + key + ".txt")
	if err != nil {
		return ""
	}
	return string(data)
}

// List is every notice: the works that are no Go modules, those of a box's
// image, then those modules that are linked into this program. Without build
// information, which only an unusual build lacks, it is every module.
func List() []Notice {
	linked, known := linkedModules()
	list := slices.Concat(works, image)
	for _, n := range modules {
		version, ok := linked[n.module]
		if known && !ok {
			continue
		}
		n.Version = version
		list = append(list, n)
	}
	return list
}

// All is every notice, whatever this program links.
func All() []Notice { return slices.Concat(works, image, modules) }

// linkedModules are the versions by path, from the program's build information.
var linkedModules = sync.OnceValues(func() (map[string]string, bool) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, false
	}
	linked := map[string]string{"std": strings.TrimPrefix(info.GoVersion, "go")}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = &debug.Module{Path: m.Path, Version: m.Replace.Version}
		}
		linked[m.Path] = m.Version
	}
	return linked, true
})

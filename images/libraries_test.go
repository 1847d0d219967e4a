package images

import (
	"slices"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/notices"
)

// works says whose work comes into an image by what isn't a Go module: by a
// linker's flag, or by a file that is packed in.
var works = map[string]string{
	"-lx264": "x264", "-lopenh264": "OpenH264", "-ljpeg": "libjpeg-turbo",
	"-lm": "GNU C Library", "-lpthread": "GNU C Library", "-ldl": "GNU C Library", "-lstdc++": "GCC runtime libraries",
	"e2fsck.static": "e2fsprogs",
}

// foreign lists what an instance holds besides Go modules, as works has it.
func (i instance) foreign(t *testing.T) (list []string) {
	t.Helper()
	for _, name := range i.Packages {
		p := i.PackageConfig[name]
		if slices.Contains(p.GoBuildEnvironment, "CGO_ENABLED=1") {
			i := i
			i.Environment = append(slices.Clone(i.Environment), "CGO_ENABLED=1")
			for _, flags := range i.goList(t, "-deps", "-f", `{{if not .Standard}}{{join .CgoLDFLAGS " "}}{{end}}`, name) {
				list = append(list, strings.Fields(flags)...)
			}
		}
		for _, from := range p.ExtraFilePaths {
			if at := strings.LastIndex(from, "/"); at >= 0 { // our own lie beside config.json
				list = append(list, from[at+1:])
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestForeignWorksAreListed: C libraries and programs of others are at /licenses
// too, and whoever gets GPL or LGPL work in an image is told where its source is.
func TestForeignWorksAreListed(t *testing.T) {
	byName, bySource := map[string]notices.Notice{}, map[string]notices.Notice{}
	for _, n := range notices.All() {
		byName[n.Name], bySource[n.Source] = n, n
	}
	for _, i := range instances(t) {
		found := i.foreign(t)
		if len(found) < 6 {
			t.Errorf("%s: only %v are of others", i.dir, found)
		}
		for _, what := range found {
			n, listed := byName[works[what]]
			if !listed {
				t.Errorf("%s: %s (%q) is in the image and not in internal/notices", i.dir, what, works[what])
			}
			checkOffer(t, i, n)
		}
		for _, m := range i.modules(t) {
			name, _, _ := strings.Cut(m, " ")
			checkOffer(t, i, bySource["https://pkg.go.dev/"+name])
			checkOffer(t, i, bySource["https://"+name])
		}
	}
}

// checkOffer wants a way to the complete source of what is under GPL or LGPL
// and under nothing else.
func checkOffer(t *testing.T, i instance, n notices.Notice) {
	t.Helper()
	if strings.Contains(n.Licence, "GPL") && !strings.Contains(n.Licence, " OR ") && !strings.Contains(n.Extra, "omplete source") {
		t.Errorf("%s: %s is under %s: no offer of its source", i.dir, n.Name, n.Licence)
	}
}

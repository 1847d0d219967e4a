// Package videobox holds the test of who may import whom. The code is in the
// folders beside it.
package videobox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/openvideobox/videobox/"

// allowed says what the packages of a folder may import of our own; a name
// stands for the folder and all below it. The longest match of a package's
// path counts. internal/clock may be imported by all but those with no entry.
var allowed = map[string][]string{
	"internal/media":     {},
	"internal/clock":     {"internal/clock"},
	"internal/chromium":  {},
	"internal/h264":      {"internal/adts"},
	"internal/adts":      {"internal/h264"},
	"internal/codec":     {"internal/codec", "internal/media"},
	"internal/mpegts":    {"internal/media", "internal/h264", "internal/adts"},
	"internal/program":   {"internal/media", "internal/h264", "internal/adts", "internal/codec", "internal/mpegts", "internal/picture"},
	"internal/tee":       {"internal/mpegts"},
	"internal/picture":   {"internal/still", "internal/media", "internal/codec"},
	"internal/still":     {"internal/picture", "internal/media", "internal/codec"},
	"internal/level":     {"internal/media"},
	"internal/recording": {"internal/mpegts", "internal/h264"},
	"internal/dnssd":     {"internal/dnssd"},
	"internal/event":     {},
	"internal/run":       {"internal/metrics"},
	"internal/metrics":   {"internal/run"},
	"internal/bundle":    {"internal/bundle"},
	"internal/fat":       {},
	"internal/notices":   {},
	"internal/demo":      {"internal/event", "internal/run", "internal/metrics"},
	"internal/e2e":       {""},
	"drivers":            {"drivers", "internal/media", "internal/run"},
	"drivers/pattern":    {"drivers", "internal/media", "internal/picture", "internal/run"},
	"drivers/file":       {"drivers", "internal/media", "internal/picture", "internal/run"},
	"drivers/drivertest": {"drivers"},
	"display/screen":     {},
	"display/fb":         {"display", "drivers"},
	"display/tft":        {"display", "drivers"},
	"display/boxserial":  {"display", "drivers"},
	"appliance":          {"appliance", "display", "drivers", "hardware", "internal"},
	"mixer-host":         {"mixer-host", "internal"},
	"restream-host":      {"restream-host", "internal"},
	"hardware":           {},
	"hardware/pages":     {"hardware"}, // a program, which makes tables and drawings of the data
	"images":             {"images", "hardware", "drivers", "internal"},
}

type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestImportDirection(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", listError(err))
	}
	n := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; n++ {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, fault := range check(p) {
			t.Error(fault)
		}
	}
	if n < 10 {
		t.Errorf("only %d packages seen", n)
	}
}

// check lists the imports of p that the table doesn't allow.
func check(p listed) (faults []string) {
	path, ours := strings.CutPrefix(p.ImportPath, module)
	if !ours {
		return nil // the root package: this test
	}
	row, ok := rowOf(path)
	if !ok {
		return []string{path + " is in no row of the table of folders"}
	}
	for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
		dep, ours := strings.CutPrefix(imp, module)
		if ours && dep != path && dep != "internal/clock" && !slices.ContainsFunc(allowed[row], func(a string) bool { return below(dep, a) }) {
			faults = append(faults, path+" may not import "+dep)
		}
	}
	return faults
}

func rowOf(path string) (row string, ok bool) {
	for r := range allowed {
		if below(path, r) && len(r) >= len(row) {
			row, ok = r, true
		}
	}
	return row, ok
}

func below(path, folder string) bool {
	return folder == "" || path == folder || strings.HasPrefix(path, folder+"/")
}

// The check itself must find what it is there for.
func TestImportDirectionFindsFaults(t *testing.T) {
	for name, p := range map[string]listed{
		"tier to tier":     {ImportPath: module + "appliance/boxd", Imports: []string{module + "restream-host/internal/hls"}},
		"driver to codec":  {ImportPath: module + "drivers/alsa", Imports: []string{module + "internal/codec/jpeg"}},
		"in a test":        {ImportPath: module + "internal/media", TestImports: []string{module + "internal/picture"}},
		"in an outer test": {ImportPath: module + "internal/tee", XTestImports: []string{module + "internal/metrics"}},
		"unknown folder":   {ImportPath: module + "internal/util"},
	} {
		if len(check(p)) != 1 {
			t.Errorf("%s: %q", name, check(p))
		}
	}
	if f := check(listed{ImportPath: module + "mixer-host", Imports: []string{"fmt", module + "internal/run", module + "mixer-host/internal/engine", module + "internal/clock"}}); f != nil {
		t.Errorf("what is allowed: %q", f)
	}
}

// listError adds what go list said.
func listError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}

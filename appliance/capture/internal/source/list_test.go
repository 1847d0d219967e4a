package source

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/internal/program"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestList(t *testing.T) {
	s := drivertest.NewStick(t.TempDir(), drivertest.Config{})
	defer s.Close()
	Machine = Hardware{Kernel: s.Kernel(), USB: s.USB(), PCM: s.PCM, HID: s.HID}
	defer func() { Machine = Hardware{} }()
	var b strings.Builder
	if err := List(&b, program.Config{Width: 1280, Height: 720, Rate: 25}); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "list.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || b.String() != string(want) {
		t.Errorf("%v; got\n%s\nwant\n%s", err, b.String(), want)
	}
	if err := s.Command("unplug"); err != nil {
		t.Fatal(err)
	}
	if err := List(&b, program.Config{Width: 1280, Height: 720, Rate: 25}); err == nil || !strings.Contains(err.Error(), "there is no capture device") {
		t.Errorf("nothing there: %v", err)
	}
}

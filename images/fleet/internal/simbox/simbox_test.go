package simbox

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/bundle/bundletest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestContract asks a simulated box what appliance/boxd/internal/update is asked.
func TestContract(t *testing.T) {
	f := NewFleet(1)
	t.Cleanup(f.Close)
	b := f.Boxes[0]
	known := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.pass()
		r.SetBasicAuth(b.User, b.Password)
		b.behindCredentials(w, r)
	})
	bundletest.Contract(t, bundletest.Subject{Handler: known, Key: Key, Version: "1.2", Board: "videobox", Arch: "arm64", Build: OldBuild})
}

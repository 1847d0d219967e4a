package update

import (
	"testing"

	"github.com/openvideobox/videobox/internal/bundle/bundletest"
)

// TestContract asks a box what the simulated boxes of images/fleet are asked.
func TestContract(t *testing.T) {
	r := newRig(t)
	bundletest.Contract(t, bundletest.Subject{
		Handler: r.u.Handler(), Key: testKey, Version: "v1", Board: "videobox", Arch: "arm64", Build: runningBuild,
	})
}

//go:build vm

package vm_test

import (
	"context"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
)

func TestExplore(t *testing.T) {
	b := boot(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
	defer cancel()
	if _, err := vm.FirstByte(ctx, b.Machine, 8899); err != nil {
		t.Fatal(err)
	}
	b.await(ctx, t, "boot", func(i input) bool { return i.Frames > 20 && i.SoundState == "streaming" })
	for _, c := range []string{"unplug", "", "plug", "","","", "short 3", "", "", "", "", "", "", ""} {
		if c != "" {
			t.Log(c, b.stick.Command(c))
		}
		time.Sleep(3 * time.Second)
		t.Logf("%+v", b.input(ctx, t))
		t.Logf("   %+v", b.stick.Status())
	}
	t.Fatal("see")
}

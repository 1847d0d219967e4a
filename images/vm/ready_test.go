//go:build vm

package vm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
)

// boxName is what the event of vm.BoxPerm calls the box.
const boxName = "videobox"

// streams waits for the stream and for the page, of which either may be first: two
// programs serve them. Both may begin anew when the box learns its name, which it
// does late where its data partition takes long: a reader of the stream before that
// would be cut off. It returns how long after QEMU's start the stream's first byte
// came.
func (b box) streams(ctx context.Context, t *testing.T) time.Duration {
	t.Helper()
	first := b.firstByte(ctx, t)
	eventually(ctx, t, "the box streams and doesn't know its name", func() error {
		_, said := ask(ctx, b.Addr(80), "/api/status", "")
		var is struct {
			Name   string
			Detail struct {
				Capture struct{ Status struct{ Name string } }
			}
		}
		err := json.Unmarshal([]byte(said), &is)
		if capture := is.Detail.Capture.Status.Name; err != nil || is.Name != boxName || capture != boxName {
			return fmt.Errorf("the page is of %q, the stream of %q; %v: %.200s", is.Name, capture, err, said)
		}
		return nil
	})
	b.firstByte(ctx, t)
	return first
}

func (b box) firstByte(ctx context.Context, t *testing.T) time.Duration {
	t.Helper()
	first, err := vm.FirstByte(ctx, b.Machine, 8899)
	if err != nil {
		t.Fatalf("%v\n%s", err, b.Console.Last(20))
	}
	return first
}

// eventually tries until there is no error.
func eventually(ctx context.Context, t *testing.T, otherwise string, try func() error) {
	t.Helper()
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", otherwise, err)
		}
	}
}

//go:build vm

package vm_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm/dongle"
)

// input is what capture says about its input, through boxd.
type input struct {
	State, Cause, Mode, Device string
	Frames                     uint64
	Counts                     map[string]uint64
	SoundState                 string  `json:"sound_state"`
	Offset                     float64 `json:"sound_offset_ms"`
	Workers                    uint64  `json:"-"` // that were started again
}

func (b box) input(ctx context.Context, t *testing.T) input {
	t.Helper()
	_, body := b.get(ctx, t, "/api/status", "")
	var status struct {
		Detail struct {
			Capture struct {
				Status struct {
					Detail struct {
						Input   input
						Workers uint64 `json:"worker_restarts"`
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	d := status.Detail.Capture.Status.Detail
	d.Input.Workers = d.Workers
	return d.Input
}

// await asks until the input is as wanted, and says how long that took.
func (b box) await(ctx context.Context, t *testing.T, what string, want func(i input) bool) input {
	t.Helper()
	began := time.Now()
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	for {
		i := b.input(ctx, t)
		if want(i) {
			t.Logf("%-20s %4.1f s: %s %s (%d workers so far)", what, time.Since(began).Seconds(), i.State, i.Cause, i.Workers+1)
			return i
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("%s: never: %+v", what, i)
		}
	}
}

// is wants a state and a cause.
func is(state, cause string) func(input) bool {
	return func(i input) bool { return i.State == state && strings.Contains(i.Cause, cause) }
}

// TestDrillStick goes through what can be wrong with a stick: capture's drivers
// and the kernel's, down to the HID reports and the reset of the USB port.
func TestDrillStick(t *testing.T) {
	b := boot(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	b.streams(ctx, t)
	first := b.await(ctx, t, "boot", func(i input) bool { return i.Frames > 20 && i.SoundState == "streaming" })
	if first.Mode != "MJPG 320x180 at 10 frames a second" || first.Offset != 64 {
		t.Errorf("%+v", first)
	}
	for _, c := range []struct{ command, state, cause string }{
		{"nosignal", "no signal", "no signal on the HDMI input"},
		{"signal", "streaming", ""},
		{"nocable", "no cable", "no HDMI cable"},
		{"signal", "streaming", ""},
		{"input 3840x2160@60", "unsupported", "3840x2160 at 60 Hz"},
		{"input 1280x720@50", "streaming", ""},
		{"stop", "frozen", "its input has 1280x720 at 50 Hz"},
		{"start", "streaming", ""},
		{"unplug", "no device", "there is no capture device"},
		{"plug", "streaming", ""},
	} {
		if said := b.stick.Command(c.command); said != "ok" {
			t.Fatal(said)
		}
		b.await(ctx, t, c.command, is(c.state, c.cause))
	}
	before := b.input(ctx, t).Counts["damaged"]
	b.stick.Command("short 3")
	b.await(ctx, t, "short 3", func(i input) bool { return i.State == "streaming" && i.Counts["damaged"] >= before+3 })
	resets := b.stick.Status().Resets
	b.stick.Command("hang")
	b.await(ctx, t, "hang", is("frozen", ""))
	b.await(ctx, t, "until it is reset", is("streaming", ""))
	if n := b.stick.Status(); n.Resets == resets || n.DangerousReads > 0 {
		t.Errorf("%d resets before, %+v", resets, n)
	}
}

// TestDrillUncompressed is a stick without MJPEG.
func TestDrillUncompressed(t *testing.T) {
	p := dongle.MS2131
	p.Video = p.Video[1:]
	b := bootWith(t, &p, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	b.streams(ctx, t)
	i := b.await(ctx, t, "YUYV", func(i input) bool { return i.Frames > 20 && i.State == "streaming" })
	if i.Mode != "YUYV 320x180 at 10 frames a second" {
		t.Errorf("%+v", i)
	}
	see := b.stick.Status()
	if see.Mode != "YUYV 320x180 at 10 frames a second" || i.Counts["damaged"] > 0 {
		t.Errorf("%+v, %+v", i.Counts, see)
	}
}

//go:build vm

package vm_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// Controls of vivid, drivers/media/test-drivers/vivid/vivid-ctrls.c.
const (
	wrapSequence = 0xf0f026 // from the next STREAMON on: numbers begin 128 before the wrap
	wrapStamps   = 0xf0f027 // likewise, 16 s before it: 1 of 64 bits, 2 of 32
	edidBlocks   = 0xf0f028 // at most; what is more of the present one is cut off
	signalMode   = 0xf0f03e
	whichTimings = 0xf0f03f // of mode selected, by their place in v4l2_dv_timings_presets
	percentLost  = 0xf0f040
	disconnect   = 0xf0f041
	errorFlag    = 0xf0f042
	noBuffers    = 0xf0f043 // the next REQBUFS
	noQueue      = 0xf0f044 // the next QBUF is refused
	noStart      = 0xf0f045 // the next STREAMON
	fatalError   = 0xf0f046

	asSet, noCable, selected, cycling = 0, 1, 4, 5
)

// TestShortPCVivid is a box with an HDMI card instead of a stick: each thing that
// can be wrong with its signal, and each of its faults, seen by one reader of the
// stream; the EDID in it is the profile's.
func TestShortPCVivid(t *testing.T) {
	v := bootVictimPC(t, func(c *vm.Config) {
		openCapture(c)
		c.Stick = ""
	})
	ctx := within(t, 6*time.Minute)
	r := v.follow(t)
	r.mu.Lock()
	r.keep = new(bytes.Buffer)
	r.mu.Unlock()
	r.until(ctx, t, "no device: the slate", isSlate)
	v.sabotage(t, "module vivid n_devs=2 node_types=0x1,0x1 num_inputs=1,1 input_types=0x3,0x0 vid_cap_nr=0,1")
	v.control(t, whichTimings, 0) // 640x480, which is less work than 1280x720
	v.control(t, signalMode, selected)
	v.isGreen(ctx, t, r, "selected: 640x480")
	if i := v.input(ctx, t); !strings.Contains(i.Mode, "640x480 at 59.94") || i.Device != "/dev/video0" {
		t.Errorf("%+v", i)
	}
	v.checkEDID(ctx, t)
	v.signalModes(ctx, t, r)
	v.refusedEDID(ctx, t, r, lines{v, "capture"})
	v.cardFaults(ctx, t, r, lines{v, "capture"})
	v.nothingComes(ctx, t, r)
	v.wraps(ctx, t, r, lines{v, "capture"})
	v.judge(ctx, t, r)
	r.checkShape(t)
}

func (v victim) control(t *testing.T, id, value int) {
	t.Helper()
	v.sabotage(t, fmt.Sprintf("control /dev/video0 %#x %d", id, value))
}

// underway is longer than a picture takes from capture to a reader. The guest's
// clock tells when it was captured, which has nothing to do with the host's.
const underway = int64(500 * time.Millisecond)

// isGreen waits for a live picture that was not on its way yet, and for a box that
// says that all is well.
func (v victim) isGreen(ctx context.Context, t *testing.T, r *reader, what string) {
	t.Helper()
	rep, _ := r.report()
	from := media.FrameTime(int64(rep.Latest.Frame), frameRate) + underway
	r.until(ctx, t, what+": a live picture", func(s h264.Stamp) bool { return isLive(s) && s.Capture > from })
	v.wait(ctx, t, what+": green", func(s metrics.Status) bool {
		return leafOf(s, "signal").State == metrics.OK && leafOf(s, "device").State == metrics.OK
	})
}

// checkEDID asks the kernel, by capture --list, for the EDID in it.
func (v victim) checkEDID(ctx context.Context, t *testing.T) {
	t.Helper()
	said, err := v.inside(ctx, "run /user/capture --list --config /perm/event.yaml")
	want := `EDID: profile 720p60, "videobox", prefers 1280x720 at 60 Hz, 2 blocks`
	if err != nil || !strings.Contains(said, want) || !strings.Contains(said, "input 640x480 at 59.94 Hz\n") {
		t.Errorf("%v: want %s in\n%s", err, want, said)
	}
	t.Log(said)
}

// signalModes: the slate and the page name the cause, and nothing else is wrong.
func (v victim) signalModes(ctx context.Context, t *testing.T, r *reader) {
	t.Helper()
	for _, c := range []struct {
		mode, timings int
		cause         string
	}{
		{noCable, 0, "no cable: no HDMI cable is plugged in"},
		{2, 0, "no lock: the HDMI input can't lock on to its signal (no horizontal lock)"},
		{3, 0, "out of range: the HDMI input's signal is beyond what the capture device takes"},
		{selected, 1, "unsupported: the HDMI input has 720x480 interlaced at 59.94 Hz"},
		{cycling, 0, "no lock: the signal on the HDMI input keeps changing"},
	} {
		v.control(t, whichTimings, c.timings)
		v.control(t, signalMode, c.mode)
		r.until(ctx, t, c.cause+": the slate", isSlate)
		s := v.wait(ctx, t, c.cause, func(s metrics.Status) bool {
			l := leafOf(s, "signal")
			return l.State != metrics.OK && strings.Contains(l.Cause, c.cause)
		})
		if l := leafOf(s, "device"); l.State != metrics.OK {
			t.Errorf("%s: the device is %s: %s", c.cause, l.State, l.Cause)
		}
		v.control(t, signalMode, asSet)
		v.isGreen(ctx, t, r, "as set")
	}
}

// refusedEDID: a card with room for one block doesn't take the profile's two. That
// is said while nothing comes, which may be why; opened anew it is asked again.
func (v victim) refusedEDID(ctx context.Context, t *testing.T, r *reader, log lines) {
	t.Helper()
	v.control(t, edidBlocks, 1)
	v.control(t, signalMode, noCable)
	const cause = "no HDMI cable is plugged in, or what is at its other end is off; " +
		"the HDMI input doesn't take our EDID: 2 blocks are too many for it"
	v.wait(ctx, t, "the EDID is refused", func(s metrics.Status) bool { return strings.Contains(leafOf(s, "signal").Cause, cause) })
	v.control(t, edidBlocks, 2)
	v.control(t, signalMode, asSet)
	r.until(ctx, t, "the cable again: a live picture", isLive)
	mark := len(log.read(ctx, t))
	v.control(t, fatalError, 1)
	log.wait(ctx, t, mark, "it stopped streaming")
	v.isGreen(ctx, t, r, "the EDID is taken")
	v.checkEDID(ctx, t)
}

// cardFaults are vivid's faults; capture's log has what is over before anybody
// can ask.
func (v victim) cardFaults(ctx context.Context, t *testing.T, r *reader, log lines) {
	t.Helper()
	lost := v.input(ctx, t).Counts["lost"]
	v.control(t, percentLost, 50)
	v.await(ctx, t, "half the buffers lost", func(i input) bool { return i.State == "streaming" && i.Counts["lost"] >= lost+50 })
	v.control(t, percentLost, 0)
	v.control(t, errorFlag, 1)
	v.isGreen(ctx, t, r, "one buffer with an error")
	for _, c := range []struct {
		controls []int
		cause    string
	}{
		{[]int{fatalError}, "/dev/video0 failed: it stopped streaming: device: stream loop"}, // dequeue, or queue if it was there
		{[]int{noQueue}, "/dev/video0 failed: it stopped streaming: device: stream loop queue"},
		{[]int{noBuffers, fatalError}, "couldn't be started: device: requested buffer"},
		{[]int{noStart, fatalError}, "couldn't be started: device: start capture frames: device: stream on"},
		{[]int{disconnect}, "/dev/video0 is gone"},
	} {
		mark := len(log.read(ctx, t))
		before, _ := r.report()
		for _, id := range c.controls {
			v.control(t, id, 1)
		}
		log.wait(ctx, t, mark, c.cause)
		v.isGreen(ctx, t, r, c.cause)
		after, _ := r.report()
		if n := after.SlateFrames - before.SlateFrames; n == 0 && len(c.controls) > 1 { // others are over in half a second
			t.Errorf("%s: no slate", c.cause)
		} else {
			t.Logf("%d frames of slate", n)
		}
	}
	if i := v.input(ctx, t); i.Workers != 0 {
		t.Errorf("the worker was started %d times again", i.Workers)
	}
}

// nothingComes: the signal is there, and the card drops every frame of it.
func (v victim) nothingComes(ctx context.Context, t *testing.T, r *reader) {
	t.Helper()
	v.control(t, percentLost, 100)
	r.until(ctx, t, "all buffers lost: the slate", isSlate)
	v.await(ctx, t, "all buffers lost", func(i input) bool { return i.State == "frozen" })
	v.control(t, percentLost, 0)
	v.isGreen(ctx, t, r, "buffers again")
}

// wraps starts the card's stream with numbers and time stamps that wrap, and
// watches it until they have.
func (v victim) wraps(ctx context.Context, t *testing.T, r *reader, log lines) {
	t.Helper()
	for _, c := range []struct {
		sequence, stamps int
		on               int64 // for so many frames
	}{
		{1, 1, 18 * frameRate},
		{0, 2, 2 * frameRate}, // 32 bits wrap for kernels of 32 bits only: such stamps are far off before and after
		{0, 0, 2 * frameRate},
	} {
		what := fmt.Sprintf("sequence %d, time stamps %d", c.sequence, c.stamps)
		v.control(t, wrapSequence, c.sequence)
		v.control(t, wrapStamps, c.stamps)
		mark := len(log.read(ctx, t))
		v.control(t, fatalError, 1)
		log.wait(ctx, t, mark, "it stopped streaming")
		v.isGreen(ctx, t, r, what)
		before, rep := v.input(ctx, t), r.until(ctx, t, what, isLive)
		worst := time.Duration(0)
		after := r.until(ctx, t, what+": on and on", func(s h264.Stamp) bool {
			if isLive(s) {
				worst = max(worst, time.Duration(media.FrameTime(int64(s.Frame), frameRate)-s.Capture).Abs())
			}
			return isLive(s) && s.Frame > rep.Latest.Frame+uint64(c.on)
		})
		i := v.input(ctx, t)
		t.Logf("%s: frames are %.2f s from their capture at most; %v", what, worst.Seconds(), i.Counts)
		if worst > time.Second {
			t.Errorf("%s: a frame is %v away from its capture", what, worst)
		}
		if after.SlateFrames != rep.SlateFrames || i.Counts["disorder"] != before.Counts["disorder"] || i.Counts["lost"] > before.Counts["lost"]+5000 {
			t.Errorf("%s: %d frames of slate, counts were %v and are %v", what, after.SlateFrames-rep.SlateFrames, before.Counts, i.Counts)
		}
	}
}

// checkShape: every keyframe comes with the same parameter sets.
func (r *reader) checkShape(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &shapes{seen: map[string]int{}}
	_ = mpegts.Demux(bytes.NewReader(r.keep.Bytes()), s)
	if len(s.seen) != 1 {
		t.Errorf("the stream had %d shapes (parameter sets): %v", len(s.seen), s.seen)
	}
}

type shapes struct{ seen map[string]int }

func (s *shapes) Video(u media.Unit) {
	if u.Key {
		sps, pps := h264.ParameterSets(u.Data)
		s.seen[fmt.Sprintf("%x %x", sps, pps)]++
	}
}

func (s *shapes) Audio(media.Unit) {}

// lines are what a program of the box has written to its log since its start.
type lines struct {
	v       victim
	program string
}

func (l lines) read(ctx context.Context, t *testing.T) string {
	t.Helper()
	code, text := logOf(ctx, t, l.v.Machine, "boot.txt?program="+l.program, "secret")
	if code != http.StatusOK {
		t.Fatalf("the log of %s: %d %s", l.program, code, text)
	}
	return text
}

// wait waits for a text that was not there at the mark.
func (l lines) wait(ctx context.Context, t *testing.T, mark int, text string) {
	t.Helper()
	poll := time.NewTicker(300 * time.Millisecond)
	defer poll.Stop()
	for {
		all := l.read(ctx, t)
		if strings.Contains(all[min(mark, len(all)):], text) {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("the log doesn't say %q:\n%s", text, all)
		}
	}
}

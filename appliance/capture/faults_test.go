package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// scripted builds the tests as a program that is capture, with the source of
// script_test.go. It is built without the race detector, under which pictures
// take ten times as long.
var scripted = made("capture-scripted", "test", "-c")

// asCapture says to the program that scripted built that it is to be capture.
const asCapture = "VIDEOBOX_TEST_IS_CAPTURE"

// fault is one act of the script, or a signal to the worker.
type fault struct {
	act    string
	slate  string // what the status must say meanwhile; "": the picture stays
	signal syscall.Signal
}

// faults are everything that can befall the input. What befalls a worker has no end
// of its own: the parent's kill ends a stop. So the two seconds count from the
// signal, and what the parent takes to find out is in them.
var faults = []fault{
	{act: "no signal", slate: "the HDMI cable carries no signal"},
	{act: "no cable", slate: "no cable is plugged into the HDMI input"},
	{act: "no device", slate: "the capture device is not plugged in"},
	{act: "unsupported", slate: "4096x2160 at 24"},
	{act: "frozen", slate: "no picture from the source"},
	{act: "hang", slate: "no picture from the source"},
	{act: "ends", slate: "the driver gave up"},
	{act: "panic", slate: "a driver that panics"},
	{act: "short frames", slate: "no picture from the source"},
	{act: "SIGKILL", signal: syscall.SIGKILL},
	{act: "SIGSTOP", signal: syscall.SIGSTOP},
	{act: "crash", slate: "worker restarting: signal: killed"},
	{act: "some short frames"}, {act: "every second frame"}, {act: "720p"}, {act: "4:3"}, {act: "60 frames"}, {act: "30 frames"},
	{act: "no times"}, {act: "wild times"}, {act: "times that jitter"},
	{act: "no sound"}, {act: "sound with holes"}, {act: "sound of wild times"},
}

// TestDrillEveryFault is one run with every fault of the input and of the
// worker: the reader stays connected, the stream is without a fault, the status
// says what is wrong, and the picture is back within two seconds. The long form
// (DRILL=1) has a new fault every 20 s for more than ten minutes.
func TestDrillEveryFault(t *testing.T) {
	on, every, rounds := 1200*time.Millisecond, 1800*time.Millisecond, 1
	if os.Getenv("DRILL") != "" {
		on, every, rounds = 8*time.Second, 20*time.Second, 2
	}
	list := faults
	if testing.Short() {
		list = faults[:4]
	}
	s := &script{path: filepath.Join(t.TempDir(), "script")}
	if err := s.write(""); err != nil {
		t.Fatal(err)
	}
	path, err := scripted()
	if err != nil {
		t.Fatal(err)
	}
	b := startProgram(t, path, "script:"+s.path, asCapture+"=1")
	r := watch(b.dial())
	r.until(t, "live picture", live)
	var backs []time.Duration
	for range rounds {
		for _, f := range list {
			began := time.Now()
			backs = append(backs, strike(t, b, r, s, f, on))
			time.Sleep(time.Until(began.Add(every)))
		}
	}
	start := r.until(t, "a frame", live).Latest.Frame
	rep := r.until(t, "a last second", func(s h264.Stamp, _ mpegts.Report) bool { return s.Frame >= start+25 })
	unbroken(t, b, rep)
	slices.Sort(backs)
	t.Logf("%d faults; back within %v (median %v); %d frames live, %d slate, %d missing and counted",
		len(backs), backs[len(backs)-1], backs[len(backs)/2], rep.LiveFrames, rep.SlateFrames, rep.MissingFrames)
}

// strike plays one fault for some time and says how long after its end the
// picture was live again.
func strike(t *testing.T, b *box, r *reader, s *script, f fault, on time.Duration) time.Duration {
	t.Helper()
	const limit = 2 * time.Second
	before, ends := r.report(), time.Now()
	if f.signal != 0 {
		d := b.await("a worker runs", func(d detail) bool { return d.Detail.WorkerPID != 0 })
		if err := syscall.Kill(d.Detail.WorkerPID, f.signal); err != nil {
			t.Fatal(err)
		}
		b.await("the worker is another one", func(now detail) bool { return now.Detail.WorkerPID != d.Detail.WorkerPID })
	} else if err := s.write(f.act); err != nil {
		t.Fatal(err)
	}
	if f.signal == 0 {
		if f.slate != "" {
			b.await(f.act+": the status says "+f.slate, func(d detail) bool { return strings.Contains(d.cause(), f.slate) })
			r.until(t, "slate: "+f.act, slate)
		}
		time.Sleep(time.Until(ends.Add(on)))
		// A machine with too much to do may stand still for longer than a source
		// may; what the fault itself would bring lasts as long as it does.
		most := int(on/(40*time.Millisecond)) / 2
		if rep := r.report(); f.slate == "" && rep.SlateFrames-before.SlateFrames > most {
			t.Errorf("%s: %d frames of slate, want the picture to stay", f.act, rep.SlateFrames-before.SlateFrames)
		}
		if err := s.write(""); err != nil {
			t.Fatal(err)
		}
		ends = time.Now()
	}
	r.until(t, "live picture after "+f.act, func(st h264.Stamp, _ mpegts.Report) bool {
		return st.Flags&(h264.Slate|h264.Repeated) == 0 && st.Capture > ends.UnixNano()
	})
	back := time.Since(ends)
	t.Logf("%-20s back after %v", f.act, back.Round(time.Millisecond))
	if back > limit {
		t.Errorf("%s: live again after %v, want %v", f.act, back, limit)
	}
	if rep := r.report(); rep.Continuity != 0 || rep.PCRJumps != 0 || rep.AudioPTSJumps != before.AudioPTSJumps {
		t.Errorf("%s: %v", f.act, rep.Faults())
	}
	return back
}

// cause is every cause that the status gives.
func (d detail) cause() string {
	all := []string{d.Detail.Input.Cause, d.Cause}
	for _, l := range d.Health {
		all = append(all, l.Cause)
	}
	return strings.Join(all, "\n")
}

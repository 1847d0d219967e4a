package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/source"
	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// The worker of a capture that was started with a remote control has a fake
// stick: below it are the drivers, above it nothing is fake.
func init() {
	if len(os.Args) < 2 || os.Args[1] != "worker" {
		return
	}
	stick, err := drivertest.FromEnv(drivertest.Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if stick != nil {
		source.Machine = source.Hardware{Kernel: stick.Kernel(), USB: stick.USB(), PCM: stick.PCM, HID: stick.HID}
	}
}

// stickFault is what befalls the stick, and what puts it right again; where
// nothing does, capture does so itself.
type stickFault struct {
	begin, end string
	slate      string        // what the status must say meanwhile; "": the picture stays
	limit      time.Duration // until it is live again, from the end on; 0: two seconds
	long       bool          // for the long form only
}

var stickFaults = []stickFault{
	{begin: "unplug", end: "plug", slate: "there is no capture device"},
	{begin: "unplug", end: "plug 4", slate: "there is no capture device"},
	{begin: "nosignal", end: "signal", slate: "there is no signal on the HDMI input"},
	{begin: "nocable", end: "signal", slate: "no HDMI cable is plugged in"},
	{begin: "signal 3840x2160@60", end: "signal 1920x1080@60", slate: "3840x2160 at 60 Hz, which is more"},
	{begin: "stop", end: "start", slate: "delivers no picture; its input has 1920x1080 at 60 Hz"},
	{begin: "hang reset", limit: 8 * time.Second},
	{begin: "short 5"}, {begin: "corrupt 5"}, {begin: "stall 3"}, {begin: "disorder 6"}, {begin: "stamps 20"},
	{begin: "silence", end: "sound"}, {begin: "freeze", end: "thaw"},
	{begin: "corrupt 40", slate: "no picture from the source"},
	{begin: "hang replug", limit: 15 * time.Second, long: true},
	{begin: "hang ever", limit: 30 * time.Second, long: true},
}

// TestDrillEveryFaultOfTheStick is the drivers' part of TestDrillEveryFault: the
// faults are those of the hardware, and what notices, names and repairs them is
// the code that runs on a box. DRILL=1: ten minutes, and what takes long.
func TestDrillEveryFaultOfTheStick(t *testing.T) {
	long := os.Getenv("DRILL") != ""
	remote, err := drivertest.NewRemote(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	path, err := scripted()
	if err != nil {
		t.Fatal(err)
	}
	b := startProgram(t, path, "v4l2:auto", asCapture+"=1", remote.Env())
	r := watch(b.dial())
	r.until(t, "live picture", live)
	rounds, every := 1, time.Duration(0)
	if long {
		rounds, every = 2, 20*time.Second
	}
	for range rounds {
		for i, f := range stickFaults {
			if f.long && !long || testing.Short() && i > 5 {
				continue
			}
			began := time.Now()
			befall(t, b, r, remote, f)
			time.Sleep(time.Until(began.Add(every)))
		}
	}
	start := r.until(t, "a frame", live).Latest.Frame
	rep := r.until(t, "a last second", func(s h264.Stamp, _ mpegts.Report) bool { return s.Frame >= start+25 })
	unbroken(t, b, rep)
	t.Logf("%d frames live, %d slate, %d missing and counted", rep.LiveFrames, rep.SlateFrames, rep.MissingFrames)
}

// befall plays one fault.
func befall(t *testing.T, b *box, r *reader, remote *drivertest.Remote, f stickFault) {
	t.Helper()
	command := func(line string) {
		if err := remote.Command(line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	before, since, slated := r.report(), time.Now(), r.slated()
	command(f.begin)
	switch {
	case f.slate != "":
		b.await(f.begin+": the status says "+f.slate, func(d detail) bool { return strings.Contains(d.cause(), f.slate) })
		r.until(t, "slate: "+f.begin, slate)
	case f.limit > 0: // it has to help itself
		r.until(t, "slate: "+f.begin, slated)
	default:
		stays(t, r, f, command)
	}
	limit := 2 * time.Second
	if f.limit > 0 {
		limit = f.limit
	} else {
		since = time.Now()
	}
	if f.end != "" {
		command(f.end)
	}
	for tries := 0; ; tries++ {
		if rep := r.report(); live(rep.Latest, rep) && rep.Latest.Flags&h264.Repeated == 0 && rep.Latest.Capture > since.UnixNano() {
			break
		}
		if time.Since(since) > 2*limit {
			t.Fatalf("%s: not live again: %+v", f.begin, b.await("it answers", func(detail) bool { return true }))
		}
		time.Sleep(10 * time.Millisecond)
	}
	back := time.Since(since)
	t.Logf("%-20s back after %v", f.begin, back.Round(time.Millisecond))
	if back > limit {
		t.Errorf("%s: live again after %v, want %v", f.begin, back, limit)
	}
	if rep := r.report(); rep.Continuity != 0 || rep.PCRJumps != 0 || rep.AudioPTSJumps != before.AudioPTSJumps {
		t.Errorf("%s: %v", f.begin, rep.Faults())
	}
}

// stays wants no slate while a fault lasts that has begun. Five damaged frames
// take 240 of the 250 ms for which the last good one stands in, so that a machine
// that is late by a hundredth of a second makes it the slate. What the fault itself
// brings comes each time, so it may be tried three times; once in a drill, which has
// the machine to itself.
func stays(t *testing.T, r *reader, f stickFault, command func(string)) {
	t.Helper()
	before := r.report().SlateFrames
	for tries := 1; ; tries++ {
		time.Sleep(time.Second)
		n := r.report().SlateFrames - before
		switch {
		case n == 0:
			return
		case tries == 3 || os.Getenv("DRILL") != "":
			t.Errorf("%s: %d frames of slate, want the picture to stay", f.begin, n)
			return
		}
		t.Logf("%s: %d frames of slate, once more", f.begin, n)
		if f.end != "" {
			command(f.end)
		}
		r.until(t, "live picture", live)
		before = r.report().SlateFrames
		command(f.begin)
	}
}

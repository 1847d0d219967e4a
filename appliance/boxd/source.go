package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/internal/metrics"
)

// frozenPicture is for how long a camera's picture may stay the very same. The
// noise of a real one never does; slides do for an hour.
const frozenPicture = 5 * time.Second

const camera = "camera"

// restarting is how capture's cause begins while a worker's end is the newest
// that is known.
const restarting = "worker restarting"

// input is what capture says of what comes in.
type input struct {
	state  string        // of drivers.State; "" when capture hasn't said
	away   bool          // the worker, and what it said last is no news
	frozen time.Duration // for how long the picture has been the same
}

func inputOf(capture peers.Peer) input {
	in, _ := detailOf(capture)["input"].(map[string]any)
	picture, _ := in["picture"].(map[string]any)
	i := input{away: number(capture, "worker_pid") == 0}
	if l, ok := capture.Leaf("device"); ok && strings.HasPrefix(l.Cause, restarting) { // the new one hasn't said anything yet
		i.away = true
	}
	i.state, _ = in["state"].(string)
	ns, _ := picture["frozen_ns"].(float64)
	i.frozen = time.Duration(ns)
	return i
}

// gone says whether a cause of capture's, which begins with a word of
// drivers.State, is about the device itself. The leaf's own cause is asked, not
// the worker's report beside it, which may be newer than the leaf.
func gone(cause string) bool {
	word, _, _ := strings.Cut(cause, ":")
	return word == "no device" || word == "frozen" || word == "failed"
}

// device is what is captured from: it is there and delivers.
func device(s *scene) metrics.Finding {
	f := leafOf(s.capture, "device")
	in := inputOf(s.capture)
	switch {
	case f.State == metrics.OK || f.State == metrics.Starting || f.State == metrics.Unknown:
		return f
	case in.away:
		return metrics.Finding{State: metrics.Unknown, Cause: "unknown: " + f.Cause}
	case gone(f.Cause):
		f.State = metrics.Failed
	}
	return f
}

// signal is what comes out of the device: a picture that moves.
func signal(s *scene) metrics.Finding {
	f := leafOf(s.capture, "signal")
	in := inputOf(s.capture)
	switch d := device(s); {
	case f.State == metrics.Unknown || f.State == metrics.Starting:
		return f
	case d.State == metrics.Failed || f.State != metrics.OK && gone(f.Cause):
		return metrics.Finding{State: metrics.Unknown, Cause: "unknown: follows from device"}
	case f.State != metrics.OK && in.away:
		return metrics.Finding{State: metrics.Unknown, Cause: "unknown: " + f.Cause}
	case f.State != metrics.OK:
		f.State = metrics.Failed
	case s.role == camera && in.frozen >= frozenPicture:
		f.State, f.Cause = metrics.Failed, fmt.Sprintf("the picture has stood still for %.0f s: is the camera on pause, is its output frozen?", in.frozen.Seconds())
	case in.frozen >= frozenPicture:
		f.Value = "the same picture for " + length(in.frozen)
	}
	return f
}

// detailOf is a program's own part of its status; nil, and fit to look into,
// when there is none.
func detailOf(p peers.Peer) map[string]any {
	m, _ := p.Status.Detail.(map[string]any)
	return m
}

func encoder(s *scene) metrics.Finding { return leafOf(s.capture, "encoder") }

// leafOf passes on what a program says of itself. One that doesn't answer can't
// be blamed on the leaf: whether its work is done, others see.
func leafOf(p peers.Peer, name string) metrics.Finding {
	if !p.OK() {
		return metrics.Finding{State: metrics.Unknown, Cause: "unknown: " + p.Program + " does not answer: " + p.Error}
	}
	l, ok := p.Leaf(name)
	if !ok {
		return metrics.Finding{State: metrics.Starting, Cause: p.Program + " does not say yet"}
	}
	return metrics.Finding{State: l.State, Cause: l.Cause, Value: l.Value}
}

func streamGrowing(s *scene) metrics.Finding {
	f := s.stream.grows()
	if f.State == metrics.OK {
		return f
	}
	if s.up < settling && s.stream.FrameAgeMS < 0 {
		f.State = metrics.Starting
	}
	if !s.capture.OK() {
		f.Cause += "; capture does not answer: " + s.capture.Error
	}
	return f
}

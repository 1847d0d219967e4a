package dongle

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Commands are those that Command knows, for people.
const Commands = "plug, unplug, hangup, hang, stop, start, freeze, thaw, nosignal, nocable, signal, silence, sound, status, " +
	"late 60 (ms of the sound), input 1280x720@50, offer 640x480 (or all), ppm video 50 (or audio), stamps zero (or back, random, ok), pause 300 (ms), " +
	"and short, corrupt, flag or stall with a number of frames"

// Command obeys one line and answers with one: ok, or what is wrong, or for
// status a JSON object.
func (k *Stick) Command(line string) string {
	words := append(strings.Fields(line), "", "", "")
	k.mu.Lock()
	defer k.mu.Unlock()
	if words[0] == "status" {
		b, _ := json.Marshal(k.state())
		return string(b)
	}
	if k.obey(words[0]) {
		return "ok"
	}
	if err := k.set(words[0], words[1], words[2]); err != nil {
		return "error: " + err.Error()
	}
	return "ok"
}

// obey does what a word alone says; false if it isn't such a word.
func (k *Stick) obey(word string) bool {
	f := &k.faults
	switch word {
	case "unplug", "plug":
		k.setPlugged(word == "plug")
	case "hangup":
		if k.link != nil {
			k.link.conn.Close()
		}
	case "hang":
		f.hung = true
		k.stopAll()
	case "stop", "start":
		f.stopped = word == "stop"
	case "freeze", "thaw":
		f.frozen = word == "freeze"
	case "nosignal", "nocable", "signal":
		f.noSignal, f.noCable = word != "signal", word == "nocable"
	case "silence", "sound":
		f.silent = word == "silence"
	default:
		return false
	}
	return true
}

// set does what takes a value.
func (k *Stick) set(word, value, second string) (err error) {
	switch word {
	case "input":
		k.input, err = parseInput(value)
	case "offer":
		err = k.offerOnly(value)
	case "ppm":
		err = k.tune(value, second)
	case "stamps":
		if !slices.Contains(stampFaults, stamps(value)) {
			return fmt.Errorf("time stamps %q: there are %v", value, stampFaults)
		}
		k.faults.stamps = stamps(value)
	case "late":
		k.faults.late, err = parseCount(value)
	case "pause":
		var ms int
		ms, err = parseCount(value)
		k.faults.pause = time.Duration(ms) * time.Millisecond
	default:
		if !slices.Contains(frameFaults, frameFault(word)) {
			return errors.New("unknown command; there are " + Commands)
		}
		n := 1
		if value != "" {
			if n, err = parseCount(value); err != nil {
				return err
			}
		}
		k.faults.kind, k.faults.frames = frameFault(word), n
	}
	return err
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1e6 {
		return 0, fmt.Errorf("how many is %q? Give a number from 0 to 1000000", s)
	}
	return n, nil
}

// parseInput reads 1280x720@50.
func parseInput(s string) (in Input, err error) {
	if n, _ := fmt.Sscanf(s, "%dx%d@%d", &in.Width, &in.Height, &in.Rate); n != 3 ||
		in.Width < 1 || in.Height < 1 || in.Rate < 1 || in.Width > 8192 || in.Height > 8192 || in.Rate > 240 {
		return Input{1920, 1080, 60}, fmt.Errorf("input %q: want such as 1280x720@50", s)
	}
	return in, nil
}

// offerOnly makes the stick one of those that come back as another device when
// their input changes: it leaves the bus and offers one size only, or all again.
func (k *Stick) offerOnly(size string) error {
	p := k.shape
	if size != "all" {
		var w, h int
		if n, _ := fmt.Sscanf(size, "%dx%d", &w, &h); n != 2 {
			return fmt.Errorf("offer %q: want a size such as 640x480, or all", size)
		}
		var ok bool
		if p, ok = k.shape.only(w, h); !ok {
			return fmt.Errorf("offer %s: this stick never has that size", size)
		}
	}
	k.setPlugged(false)
	k.profile, k.agreed = p, nil
	k.probe = k.offer(1, 1, 0)
	k.setPlugged(true)
	return nil
}

// tune makes a clock wrong from now on.
func (k *Stick) tune(which, ppm string) error {
	v, err := strconv.ParseFloat(ppm, 64)
	if err != nil || v < -10_000 || v > 10_000 {
		return fmt.Errorf("ppm %q: want a number from -10000 to 10000", ppm)
	}
	switch now := k.clock.Now(); which {
	case "video":
		k.pictures = k.pictures.tune(now, v)
	case "audio":
		k.sounds = k.sounds.tune(now, v)
	default:
		return fmt.Errorf("clock %q: there are video and audio", which)
	}
	return nil
}

// Status is a snapshot.
func (k *Stick) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state()
}

func (k *Stick) state() Status {
	s := k.status
	s.Plugged, s.Signal, s.Hung = k.plugged, !k.faults.noSignal, k.faults.hung
	s.Streaming, s.Sounding = k.video != nil, k.sound != nil
	s.VideoPPM, s.AudioPPM = k.pictures.ppm, k.sounds.ppm
	s.Input = fmt.Sprintf("%dx%d@%d", k.input.Width, k.input.Height, k.input.Rate)
	if m := k.mode; m.Rate > 0 {
		s.Mode = fmt.Sprintf("%v %dx%d at %d frames a second", m.Coding, m.Width, m.Height, m.Rate)
	}
	return s
}

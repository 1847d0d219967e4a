package dongle

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// faults are what is wrong with the stick now.
type faults struct {
	stopped  bool // sends no frames
	frozen   bool // sends the same frame for ever
	noSignal bool // sends a picture of its own, and digital silence
	silent   bool // sends no sound
	kind     frameFault
	frames   int // how many more frames it strikes
}

// frameFault is what happens to one frame: "short" and "corrupt" change its
// bytes, "flag" marks it as bad, "stall" makes the endpoint stall instead.
type frameFault string

var frameFaults = []frameFault{"short", "corrupt", "flag", "stall"}

func (f *faults) nextFrame(skipped bool) frameFault {
	if skipped || f.frames == 0 {
		return ""
	}
	f.frames--
	return f.kind
}

func (f frameFault) apply(frame []byte) []byte {
	switch f {
	case "short":
		return frame[:len(frame)/2]
	case "corrupt":
		frame = slices.Clone(frame)
		for i := len(frame) / 3; i < len(frame)*2/3; i++ {
			frame[i] = byte(i * 7)
		}
	}
	return frame
}

// Commands are those that Command knows, for people.
const Commands = "plug, unplug, hangup, stop, start, freeze, thaw, nosignal, signal, silence, sound, status, " +
	"and short, corrupt, flag or stall with a number of frames"

// Command obeys one line and answers with one: ok, or what is wrong, or for
// status a JSON object.
func (k *Stick) Command(line string) string {
	var word string
	n := 1
	if f := strings.Fields(line); len(f) > 0 {
		word = f[0]
		if len(f) > 1 {
			if _, err := fmt.Sscanf(f[1], "%d", &n); err != nil || n < 0 || n > 1e6 {
				return "error: how many frames is " + f[1] + "?"
			}
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch word {
	case "unplug", "plug":
		k.setPlugged(word == "plug")
	case "hangup":
		if k.link != nil {
			k.link.conn.Close()
		}
	case "stop", "start":
		k.faults.stopped = word == "stop"
	case "freeze", "thaw":
		k.faults.frozen = word == "freeze"
	case "nosignal", "signal":
		k.faults.noSignal = word == "nosignal"
	case "silence", "sound":
		k.faults.silent = word == "silence"
	case "status":
		b, _ := json.Marshal(k.state())
		return string(b)
	default:
		if !slices.Contains(frameFaults, frameFault(word)) {
			return "error: unknown command; there are " + Commands
		}
		k.faults.kind, k.faults.frames = frameFault(word), n
	}
	return "ok"
}

// Status is a snapshot.
func (k *Stick) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state()
}

func (k *Stick) state() Status {
	s := k.status
	s.Plugged, s.Signal = k.plugged, !k.faults.noSignal
	s.Streaming, s.Sounding = k.video != nil, k.sound != nil
	if m := k.mode; m.Rate > 0 {
		s.Mode = fmt.Sprintf("%v %dx%d at %d frames a second", m.Coding, m.Width, m.Height, m.Rate)
	}
	return s
}

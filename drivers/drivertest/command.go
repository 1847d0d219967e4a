package drivertest

import (
	"fmt"
	"slices"
	"strings"
)

// Ways to hang: nothing is answered until something is done about it.
const (
	answers = iota
	untilReset
	untilReplug
	forEver
)

// faults are what is wrong with a stick.
type faults struct {
	stopped, frozen, silent bool
	noSignal, noCable       bool
	width, height           int // of the signal
	rate                    float64
	hung                    int
	pause                   int64 // monotonic ns until which no frames come: the signal has changed
	kind                    string
	frames                  int // that it strikes
}

// live says that the stick shows its input and not a picture of its own.
func (f faults) live() bool { return !f.noSignal && !f.noCable && f.takes() }

// takes says that it takes its input: 1920x1080 at 60 Hz, 3840x2160 at 30, as a
// MS2131 does by its data sheet.
func (f faults) takes() bool {
	return f.rate <= 61 && f.rate*float64(f.width)*float64(f.height) <= 300e6
}

// frameFaults strike a number of frames.
var frameFaults = []string{"short", "corrupt", "stall", "disorder", "stamps"}

// Commands are those that Command knows, for people.
const Commands = `unplug, plug [N: as /dev/videoN], stop, start, freeze, thaw, silence, sound,
nosignal, nocable, signal [WxH@R: another one], hang reset|replug|ever: until then, unhang,
and with a number of frames: short, corrupt, stall: left out, disorder, stamps: wrong ones`

// Command obeys one line.
func (s *Stick) Command(line string) error {
	word, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.announce()
	f := &s.faults
	switch word {
	case "unplug":
		s.vanish()
	case "plug":
		return s.plug(arg)
	case "stop", "start":
		f.stopped = word == "stop"
	case "freeze", "thaw":
		f.frozen = word == "freeze"
	case "silence", "sound":
		f.silent = word == "silence"
	case "nosignal", "nocable":
		f.noSignal, f.noCable = true, word == "nocable"
	case "signal":
		return s.signal(arg)
	case "hang":
		f.hung = slices.Index([]string{"", "reset", "replug", "ever"}, arg)
		if f.hung < untilReset {
			return fmt.Errorf("hang %s: say reset, replug or ever", arg)
		}
	case "unhang":
		f.hung = answers
	default:
		if !slices.Contains(frameFaults, word) {
			return fmt.Errorf("unknown command %q; there are %s", line, Commands)
		}
		f.kind, f.frames = word, 1
		if _, err := fmt.Sscanf(arg, "%d", &f.frames); arg != "" && err != nil {
			return fmt.Errorf("%s %s: how many frames?", word, arg)
		}
	}
	return nil
}

func (s *Stick) plug(arg string) error {
	if s.present {
		return nil
	}
	if arg != "" {
		if _, err := fmt.Sscanf(arg, "%d", &s.node); err != nil {
			return fmt.Errorf("plug %s: which /dev/videoN?", arg)
		}
	}
	if s.faults.hung != forEver {
		s.faults.hung = answers
	}
	s.life++
	s.comeBack()
	return nil
}

func (s *Stick) signal(arg string) error {
	f := &s.faults
	f.noSignal, f.noCable = false, false
	if arg != "" {
		if _, err := fmt.Sscanf(arg, "%dx%d@%g", &f.width, &f.height, &f.rate); err != nil {
			return fmt.Errorf("signal %s: write 1280x720@60", arg)
		}
	}
	_, mono := s.cfg.Now()
	f.pause = mono + 300e6 // the receiver locks anew
	return nil
}

// Package heal decides what to do when a box's stream stands still although
// there is something to show: first what disturbs least. It knows neither
// processes nor devices nor clocks: it is told what is seen and when, and says
// the next step.
//
// A step gets time to show whether it has helped; then comes the next. At the
// top it waits and begins again from the bottom, and waits twice as long each
// time. A minute without trouble, and it is at the bottom with a clean slate.
package heal

import "time"

// Step is a rung of the ladder.
type Step int

// The rungs, from the bottom.
const (
	Worker    Step = iota // restart capture's worker
	Capture               // kill capture, which init starts again
	Reset                 // reset the USB device
	Authorize             // take it off the bus and put it back
	Restart               // restart the box
	steps
)

func (s Step) String() string {
	return [...]string{"worker", "capture", "usb-reset", "usb-authorize", "box-restart"}[s]
}

// Sight is what is seen of the stream and of capture.
type Sight struct {
	Frames  bool   // new frames come to a TCP reader
	Live    bool   // and show the source, as it is now
	Answers bool   // capture answers
	Input   string // the state of the source, as capture says; of drivers.State
}

// Trouble is what is wrong with it.
type Trouble int

// What can be wrong. No signal, no cable and no device are nothing that this
// box could mend.
const (
	None   Trouble = iota
	Hung           // the device is there and delivers nothing: it may be wedged
	Slates         // the stream shows the slate though the signal is there
	Stands         // nobody sends the stream, or nobody says why it is the slate
)

// Trouble judges a sight. A stream that brings no frame at all is in trouble
// whatever the source does, since capture sends a slate when there is nothing
// else to send.
func (s Sight) Trouble() Trouble {
	switch {
	case !s.Frames:
		return Stands
	case s.Live:
		return None
	case !s.Answers:
		return Stands
	case s.Input == "streaming":
		return Slates
	case s.Input == "frozen" || s.Input == "failed":
		return Hung
	}
	return None
}

// top is the last rung that may help. A device that delivers nothing is often
// only a source that is switched off, and slates of a source that streams are
// often an encoder that is too slow: no reason to restart a box.
func (t Trouble) top() Step {
	if t == Stands {
		return Restart
	}
	return Authorize
}

// patience is how long trouble may last before anything is done, since most
// mends itself. A device that hangs is first its driver's: capture opens it anew,
// resets it, takes it off the bus and at last replaces its worker, within 30 s,
// and a worker that is killed meanwhile begins with that again. Slates come from an encoder that is a little too slow, too, and
// a start of it costs more than it has.
func (t Trouble) patience() time.Duration {
	switch t {
	case Slates:
		return 15 * time.Second
	case Hung:
		return 45 * time.Second
	}
	return 5 * time.Second
}

const (
	calm     = time.Minute     // without trouble: whatever was done has helped
	minPause = 2 * time.Minute // before it begins again from the bottom
	maxPause = time.Hour
)

// grace is for how long a step has time to help: the worker opens the device
// anew, capture makes its slate, the device comes back on the bus.
var grace = [steps]time.Duration{10 * time.Second, 15 * time.Second, 15 * time.Second, 20 * time.Second, 5 * time.Minute}

// Ladder is the state. The zero value is at the bottom. It is for one goroutine.
type Ladder struct {
	next  Step
	since time.Duration // the trouble's begin; meaningful while in it
	well  time.Duration // the trouble's end
	in    bool          // in trouble
	until time.Duration // no step before
	pause time.Duration // the next one at the top
}

// Look takes a look at the time now, of any clock that never goes back, and
// says what is to be done now, if anything. May says whether the box may be
// restarted; it is asked only when that would be next.
func (l *Ladder) Look(now time.Duration, t Trouble, may func() bool) (s Step, due bool) {
	if !l.changed(now, t != None) || now-l.since < t.patience() || now < l.until {
		return 0, false
	}
	if l.next > t.top() || l.next == Restart && !may() {
		l.rest(now)
		return 0, false
	}
	s = l.next
	l.next, l.until = s+1, now+grace[s]
	return s, true
}

// changed keeps book of when trouble begins and ends and says whether there is
// any.
func (l *Ladder) changed(now time.Duration, trouble bool) bool {
	switch {
	case trouble && !l.in:
		l.since = now
	case !trouble && l.in:
		l.well = now
	case !trouble && now-l.well >= calm:
		l.next, l.until, l.pause = 0, 0, 0
	}
	l.in = trouble
	return trouble
}

// rest waits at the top and goes to the bottom.
func (l *Ladder) rest(now time.Duration) {
	l.pause = min(max(2*l.pause, minPause), maxPause)
	l.next, l.until = Worker, now+l.pause
}

// Failed says that the step that was due could not be taken: there is no USB
// device, no such process. It needs no time to show that it didn't help.
func (l *Ladder) Failed() { l.until = 0 }

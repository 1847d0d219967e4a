package ntp

import (
	"errors"
	"fmt"
	"time"
)

// Limits of what is believed.
const (
	// maxDelay is longer than any path on which the time is worth asking for.
	maxDelay = time.Second
	// maxHeld is how long a server may keep a question. It can't be believed
	// about more: what it says is subtracted from the delay.
	maxHeld = time.Second
	// maxRoot is MAXDIST of RFC 5905, section 11.1.
	maxRoot = 1500 * time.Millisecond
	// maxStratum is MAXSTRAT - 1: 16 says that a server has no time itself.
	maxStratum = 15
	// maxStale is how long ago a server may have had its own time last.
	maxStale = 24 * time.Hour
	// slack is how far a delay may be below zero: two clocks' resolution and
	// what they drift apart in maxHeld.
	slack = time.Millisecond
)

// Errors of Check that a caller may branch on, besides ErrPacket and *Kiss.
var (
	ErrStray    = errors.New("ntp: not an answer to this question")
	ErrUnsynced = errors.New("ntp: the server has no time itself")
)

// Kiss is a server's "kiss of death" (RFC 5905, section 7.4): it doesn't want to
// be asked, or not so often.
type Kiss struct{ Code string }

func (k *Kiss) Error() string { return "ntp: the server refuses: kiss code " + k.Code }

// Slower is whether the server wants fewer questions; Denied whether none.
func (k *Kiss) Slower() bool { return k.Code == "RATE" }
func (k *Kiss) Denied() bool { return k.Code == "DENY" || k.Code == "RSTR" }

// Reading is what one answer says.
type Reading struct {
	Raw     int64         // own monotonic clock in the middle of the exchange, ns
	Offset  int64         // the server's UTC less the monotonic clock then, ns
	Delay   time.Duration // of both ways, without the server's own time
	Root    time.Duration // how far the server itself may be off: root delay / 2 + root dispersion
	Stratum uint8
}

// Question makes a question with a cookie. The transmit time is random instead
// of a time (draft-ietf-ntp-data-minimization): the server sends it back, so
// that only who saw the question can answer.
func Question(cookie uint64) []byte {
	return Packet{Version: 4, Mode: client, Transmit: cookie}.Append(nil)
}

// Check reads the answer to Question(cookie), sent and received at those times
// of the own monotonic clock, in ns.
func Check(b []byte, cookie uint64, sent, received int64) (Reading, error) {
	p, err := Parse(b)
	if err != nil {
		return Reading{}, err
	}
	// Before anything else: kisses too can be forged.
	if p.Mode != server || p.Origin != cookie {
		return Reading{}, ErrStray
	}
	if err := p.usable(); err != nil {
		return Reading{}, err
	}
	arrived, left := Time(p.Receive), Time(p.Transmit)
	held, around := time.Duration(left-arrived), time.Duration(received-sent)
	r := Reading{
		Raw:     sent + (received-sent)/2,
		Delay:   max(around-held, 0),
		Root:    p.RootDelay/2 + p.RootDispersion,
		Stratum: p.Stratum,
	}
	r.Offset = arrived + (left-arrived)/2 - r.Raw
	switch {
	case held < 0 || held > maxHeld:
		return Reading{}, fmt.Errorf("%w: sent %v after it came, at most %v", ErrPacket, held, maxHeld)
	case around-held < -slack:
		return Reading{}, fmt.Errorf("%w: held for %v of %v", ErrPacket, held, around)
	case around > maxDelay:
		return Reading{}, fmt.Errorf("%w: under way for %v, at most %v", ErrPacket, around, maxDelay)
	}
	return r, nil
}

// usable says what is wrong with a server's answer, whatever it is to.
func (p Packet) usable() error {
	if p.Stratum == 0 {
		return &Kiss{Code: code(p.RefID)}
	}
	root := p.RootDelay/2 + p.RootDispersion
	switch {
	case p.Version < 3 || p.Version > 4:
		return fmt.Errorf("%w: version %d, want 3 or 4", ErrPacket, p.Version)
	case p.Leap == 3:
		return fmt.Errorf("%w: leap alarm", ErrUnsynced)
	case p.Stratum > maxStratum:
		return fmt.Errorf("%w: stratum %d", ErrUnsynced, p.Stratum)
	case root > maxRoot:
		return fmt.Errorf("%w: off by up to %v", ErrUnsynced, root)
	case p.Transmit == 0 || p.Receive == 0:
		return fmt.Errorf("%w: without a time", ErrPacket)
	case p.Reference != 0 && stale(p):
		return fmt.Errorf("%w: last set more than %v ago or in the future", ErrUnsynced, maxStale)
	}
	return nil
}

func stale(p Packet) bool {
	age := time.Duration(Time(p.Transmit) - Time(p.Reference))
	return age > maxStale || age < -time.Second
}

// code is a kiss code as text; what isn't ASCII capitals is no code.
func code(id [4]byte) string {
	for _, c := range id {
		if c < 'A' || c > 'Z' {
			return "unknown"
		}
	}
	return string(id[:])
}

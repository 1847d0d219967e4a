package ntp

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// utc is some time of the year 2026.
var utc = time.Date(2026, 11, 23, 9, 0, 0, 123_456_789, time.UTC).UnixNano()

const cookie = 0x1234_5678_9abc_def0

// good is an answer held for 1 ms.
func good() Packet {
	return Packet{
		Version: 4, Mode: server, Stratum: 2, Poll: 4, Precision: -20, RefID: [4]byte{192, 0, 2, 1},
		RootDelay: 4 * time.Millisecond, RootDispersion: time.Millisecond,
		Reference: Stamp(utc - int64(time.Minute)), Origin: cookie,
		Receive: Stamp(utc), Transmit: Stamp(utc + 1_000_000),
	}
}

func TestPacketGoesThroughItsBytes(t *testing.T) {
	for name, p := range map[string]Packet{
		"good": good(), "empty": {},
		"full": {Leap: 3, Version: 7, Mode: 7, Stratum: 255, Poll: -1, Precision: -128, Reference: 1, Origin: 1 << 63, Receive: 2, Transmit: 3},
	} {
		got, err := Parse(p.Append(nil))
		// u16.16 s rounds to 15 µs.
		if d := p.RootDelay - got.RootDelay; d < 0 || d > 16*time.Microsecond {
			t.Errorf("%s: root delay %v, want %v", name, got.RootDelay, p.RootDelay)
		}
		got.RootDelay, got.RootDispersion = p.RootDelay, p.RootDispersion
		if err != nil || got != p {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, p)
		}
	}
	if _, err := Parse(make([]byte, Size-1)); !errors.Is(err, ErrPacket) {
		t.Errorf("short: %v", err)
	}
}

func TestTimesGoThroughAndAcross2036(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(0, utc), time.Unix(0, utc+1),
		time.Date(2036, 2, 7, 6, 28, 15, 999_999_999, time.UTC), time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC),
		time.Date(2076, 11, 23, 0, 0, 0, 1, time.UTC),
	} {
		if got := Time(Stamp(at.UnixNano())); got != at.UnixNano() {
			t.Errorf("%v became %v", at, time.Unix(0, got).UTC())
		}
	}
	// RFC 5905, figure 4: 1970 began 2208988800 s after 1900.
	if s := Stamp(0); s != 2208988800<<32 {
		t.Errorf("1970 is %#x", s)
	}
}

func TestReadingIsTakenFromTheMiddle(t *testing.T) {
	// 20 ms under way, 1 ms of it in the server.
	r, err := Check(good().Append(nil), cookie, 1_000_000_000, 1_020_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if r.Raw != 1_010_000_000 || r.Offset != utc+500_000-1_010_000_000 || r.Delay != 19*time.Millisecond || r.Stratum != 2 {
		t.Errorf("%+v", r)
	}
	if d := r.Root - 3*time.Millisecond; d.Abs() > 50*time.Microsecond {
		t.Errorf("root distance %v, want 3ms", r.Root)
	}
}

func TestHostileAnswersAreRefused(t *testing.T) {
	bad := func(change func(*Packet)) []byte { p := good(); change(&p); return p.Append(nil) }
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"short":               {good().Append(nil)[:47], ErrPacket},
		"to another question": {bad(func(p *Packet) { p.Origin++ }), ErrStray},
		"a question":          {Question(cookie), ErrStray},
		"broadcast":           {bad(func(p *Packet) { p.Mode = 5 }), ErrStray},
		"version 1":           {bad(func(p *Packet) { p.Version = 1 }), ErrPacket},
		"leap alarm":          {bad(func(p *Packet) { p.Leap = 3 }), ErrUnsynced},
		"stratum 16":          {bad(func(p *Packet) { p.Stratum = 16 }), ErrUnsynced},
		"root distance":       {bad(func(p *Packet) { p.RootDelay = 3 * time.Second }), ErrUnsynced},
		"no time":             {bad(func(p *Packet) { p.Transmit = 0 }), ErrPacket},
		"set a day ago":       {bad(func(p *Packet) { p.Reference = Stamp(utc - int64(25*time.Hour)) }), ErrUnsynced},
		"set in the future":   {bad(func(p *Packet) { p.Reference = Stamp(utc + int64(time.Hour)) }), ErrUnsynced},
		"sent before it came": {bad(func(p *Packet) { p.Transmit = Stamp(utc - 1) }), ErrPacket},
		"held for longer":     {bad(func(p *Packet) { p.Transmit = Stamp(utc + 30_000_000) }), ErrPacket},
		"held for hours":      {bad(func(p *Packet) { p.Transmit = Stamp(utc + 1e13) }), ErrPacket},
	} {
		if _, err := Check(c.b, cookie, 0, 20_000_000); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := Check(good().Append(nil), cookie, 0, int64(3*time.Second)); !errors.Is(err, ErrPacket) {
		t.Errorf("three seconds under way: %v", err)
	}
}

func TestKissCodes(t *testing.T) {
	for id, want := range map[[4]byte]Kiss{
		{'R', 'A', 'T', 'E'}: {"RATE"}, {'D', 'E', 'N', 'Y'}: {"DENY"}, {1, 2, 3, 4}: {"unknown"},
	} {
		p := good()
		p.Stratum, p.Leap, p.RefID = 0, 3, id // as servers send them
		_, err := Check(p.Append(nil), cookie, 0, 1)
		if k := new(Kiss); !errors.As(err, &k) || *k != want || k.Slower() != (want.Code == "RATE") || k.Denied() != (want.Code == "DENY") {
			t.Errorf("%q: %v, want %v", id, err, want)
		}
		p.Origin++
		if _, err := Check(p.Append(nil), cookie, 0, 1); !errors.Is(err, ErrStray) {
			t.Errorf("a forged kiss: %v", err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(good().Append(nil), uint64(cookie), int64(0), int64(20_000_000))
	f.Add(Question(1), uint64(1), int64(-1), int64(1))
	f.Add([]byte{0x24}, uint64(0), int64(0), int64(0))
	f.Fuzz(func(t *testing.T, b []byte, cookie uint64, sent, received int64) {
		p, err := Parse(b)
		if err == nil {
			again, _ := Parse(p.Append(nil))
			// The short format loses bits on the way to a Duration, only.
			again.RootDelay, again.RootDispersion = p.RootDelay, p.RootDispersion
			if again != p || !bytes.Equal(p.Append(nil)[12:], b[12:Size]) {
				t.Errorf("%x became %+v", b, again)
			}
		}
		r, err := Check(b, cookie, sent, received)
		if err == nil && (r.Delay < 0 || r.Delay > maxDelay+slack || r.Root > maxRoot || r.Stratum == 0) {
			t.Errorf("%+v", r)
		}
	})
}

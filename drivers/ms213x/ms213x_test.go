package ms213x

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chip is a fake firmware with one byte of memory for each address that is set.
type chip struct {
	memory map[uint16]byte
	reply  int
	asked  [reportBytes]byte
	fail   error
	answer func(b []byte) int // overrides
	closed bool
	before func() // each question
}

func (c *chip) SetFeature(b []byte) error {
	if c.before != nil {
		c.before()
	}
	copy(c.asked[:], b)
	return c.fail
}

func (c *chip) GetFeature(b []byte) (int, error) {
	if c.answer != nil {
		return c.answer(b), nil
	}
	copy(b, c.asked[:4])
	at := uint16(c.asked[2])<<8 | uint16(c.asked[3])
	for i := range c.reply {
		b[4+i] = c.memory[at+uint16(i)]
	}
	return reportBytes, nil
}

func (c *chip) Close() error { c.closed = true; return nil }

var (
	ms2131 = Map{
		Reply: 4, Signal: Bits{0xf6e9, 0xff, true}, Cable: Bits{0xfa8d, 1, false},
		Width: Word{0xf660, false, 1}, Height: Word{0xf662, false, 1}, Rate: Word{0x1d02, true, 0.01},
	}
	ms2109 = Map{
		Reply: 1, Signal: Bits{0xc568, 0x80, false},
		Width: Word{0xc572, true, 1}, Height: Word{0xc574, true, 1}, Rate: Word{0xc578, true, 0.01},
	}
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		m      Map
		memory map[uint16]byte
		want   string
	}{
		{"720p", ms2131, map[uint16]byte{0xf660: 0x00, 0xf661: 0x05, 0xf662: 0xd0, 0xf663: 0x02, 0x1d02: 0x17, 0x1d03: 0x70}, "1280x720 at 60 Hz"},
		{"59.94 Hz", ms2131, map[uint16]byte{0xf660: 0x80, 0xf661: 0x07, 0xf662: 0x38, 0xf663: 0x04, 0x1d02: 0x17, 0x1d03: 0x6a}, "1920x1080 at 59.94 Hz"},
		{"no rate", ms2131, map[uint16]byte{0xf660: 0x00, 0xf661: 0x05, 0xf662: 0xd0, 0xf663: 0x02}, "1280x720"},
		{"absurd size", ms2131, map[uint16]byte{0xf660: 0xff, 0xf661: 0xff, 0xf662: 0xff, 0xf663: 0xff, 0x1d02: 0xff, 0x1d03: 0xff}, "signal"},
		{"no signal", ms2131, map[uint16]byte{0xf6e9: 1, 0xfa8d: 1, 0xf661: 5, 0xf663: 2}, "no signal"},
		{"no cable", ms2131, map[uint16]byte{0xf6e9: 1}, "no cable"},
		{"a chip of one byte", ms2109, map[uint16]byte{0xc568: 0x81, 0xc572: 0x07, 0xc573: 0x80, 0xc574: 0x04, 0xc575: 0x38, 0xc578: 0x13, 0xc579: 0x88}, "1920x1080 at 50 Hz"},
		{"cable not known", ms2109, map[uint16]byte{0xc568: 0x01}, "no signal"},
	} {
		s, err := Read(&chip{memory: c.memory, reply: c.m.Reply}, c.m)
		if err != nil || s.String() != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, s, err, c.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	gone := errors.New("gone")
	echo := func(n int, change func(b []byte)) func([]byte) int {
		return func(b []byte) int { change(b); return n }
	}
	for name, c := range map[string]struct {
		chip chip
		m    Map
		want error
	}{
		"no answer":       {chip{fail: gone}, ms2131, gone},
		"another command": {chip{answer: echo(9, func(b []byte) { b[1] = 0xb6 })}, ms2131, ErrAnswer},
		"another address": {chip{answer: echo(9, func(b []byte) { b[3]++ })}, ms2131, ErrAnswer},
		"short":           {chip{answer: echo(7, func([]byte) {})}, ms2131, ErrAnswer},
		"nothing":         {chip{answer: echo(0, func([]byte) {})}, ms2131, ErrAnswer},
		"negative":        {chip{answer: echo(-1, func([]byte) {})}, ms2131, ErrAnswer},
	} {
		if s, err := Read(&c.chip, c.m); !errors.Is(err, c.want) || s != (Status{Signal: s.Signal, NoCable: s.NoCable}) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	if _, err := Read(&chip{reply: 4}, Map{Reply: 6}); err == nil {
		t.Error("a map with answers of six bytes")
	}
}

// TestMonitorDoubtsOnce: a single answer that the signal is gone isn't told.
func TestMonitorDoubtsOnce(t *testing.T) {
	held := clock.NewHeld(1e18)
	c := &chip{memory: map[uint16]byte{0xf660: 64, 0xf662: 36}, reply: 4}
	var told []string
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- Monitor{func() (Transport, error) { return c, nil }, ms2131, held}.Run(ctx, func(s Status) { told = append(told, s.String()) })
	}()
	start := held.Now()
	for _, noSignal := range []byte{0, 1, 0, 1, 1, 1, 0} {
		if _, err := held.Waited(ctx); err != nil {
			t.Fatal(err)
		}
		c.memory[0xf6e9] = noSignal
		if _, err := held.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := held.Waited(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !c.closed {
		t.Errorf("Run = %v, closed %v", err, c.closed)
	}
	if d := time.Duration(held.Now() - start); d != 7*pollEvery {
		t.Errorf("seven waits took %v", d)
	}
	// Asked eight times: yes, yes, no, yes, no, no, no, yes.
	if got := strings.Join(told, ", "); got != "64x36, 64x36, 64x36, no cable, no cable, 64x36" {
		t.Error(got)
	}
}

func TestMonitorEndsWithTheStick(t *testing.T) {
	gone := errors.New("gone")
	err := Monitor{Open: func() (Transport, error) { return nil, gone }}.Run(t.Context(), nil)
	if !errors.Is(err, gone) {
		t.Error(err)
	}
	for _, final := range []error{unix.ENODEV, unix.ENOENT, os.ErrClosed} {
		c, asked := &chip{fail: final}, 0
		c.before = func() { asked++ }
		err = Monitor{Open: func() (Transport, error) { return c, nil }, Map: ms2131}.Run(t.Context(), nil)
		if !errors.Is(err, final) || !c.closed || asked != 1 {
			t.Errorf("%v: %v, asked %d times, closed %v", final, err, asked, c.closed)
		}
	}
}

// TestMonitorForgives: during "no signal" a wrong answer or none isn't one that the
// signal is back, and three are the end.
func TestMonitorForgives(t *testing.T) {
	held := clock.NewHeld(1e18)
	c := &chip{memory: map[uint16]byte{0xf6e9: 1}, reply: 4}
	var told []string
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- Monitor{func() (Transport, error) { return c, nil }, ms2131, held}.Run(ctx, func(s Status) { told = append(told, s.String()) })
	}()
	start, wrong := held.Now(), func(b []byte) int { return 0 }
	for n, fault := range []struct {
		fail   error
		answer func(b []byte) int
	}{{}, {unix.EPIPE, nil}, {nil, wrong}, {}, {unix.ETIMEDOUT, nil}, {unix.ETIMEDOUT, nil}, {}, {nil, wrong}, {unix.EIO, nil}, {unix.ETIMEDOUT, nil}} {
		if _, err := held.Waited(ctx); err != nil {
			t.Fatal(err)
		}
		if n == 0 && strings.Join(told, ", ") != "no cable" {
			t.Errorf("the first answer isn't told: %q", told)
		}
		c.fail, c.answer = fault.fail, fault.answer
		if _, err := held.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; !errors.Is(err, unix.ETIMEDOUT) || !c.closed || held.Now()-start != 10*int64(pollEvery) {
		t.Errorf("Run = %v after %v, closed %v", err, time.Duration(held.Now()-start), c.closed)
	}
	if got := strings.Join(told, ", "); got != "no cable, no cable, no cable, no cable" {
		t.Error(got)
	}
}

func TestHidraw(t *testing.T) {
	if setFeature != 0xC0094806 || getFeature != 0xC0094807 { // strace's HIDIOCSFEATURE(9), HIDIOCGFEATURE(9)
		t.Errorf("requests %#x, %#x", uint64(setFeature), uint64(getFeature))
	}
	path := filepath.Join(t.TempDir(), "hidraw0")
	if _, err := Open(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no node: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := Read(h, ms2131); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("a plain file: %v", err)
	}
	if err := h.SetFeature([]byte{0}); err == nil {
		t.Error("a report of one byte")
	}
}

// FuzzReport: a stick may answer anything; what is taken from it is memory of
// the address that was asked for, and what is told can be true.
func FuzzReport(f *testing.F) {
	f.Add([]byte{0, 0xb5, 0xf6, 0xe9, 0, 0, 0, 0, 0}, 9, 4)
	f.Add([]byte{0, 0xb5, 0xf6, 0xe9, 1}, 5, 1)
	f.Add([]byte{1, 2, 3}, 300, 4)
	f.Fuzz(func(t *testing.T, data []byte, n, reply int) {
		question := [reportBytes]byte{0, readMemory, 0xf6, 0xe9}
		if got, err := parse(data, question, reply); err == nil && len(got) != reply {
			t.Fatalf("%d bytes, want %d", len(got), reply)
		}
		c := &chip{}
		c.answer = func(b []byte) int {
			copy(b, c.asked[:4])
			copy(b[min(4, len(b)):], data)
			if n < 0 && len(data) > 0 { // now and then another question's answer
				b[int(data[0])%4] ^= data[0]
			}
			return n
		}
		for _, m := range []Map{ms2131, ms2109} {
			s, err := Read(c, m)
			if err == nil && (s.Width > maxSide || s.Height > maxSide || s.Rate != 0 && (s.Rate < minRate || s.Rate > maxRate)) {
				t.Fatalf("%+v", s)
			}
		}
	})
}

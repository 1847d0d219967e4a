// Package ms213x asks MacroSilicon's capture sticks (MS2109, MS2130, MS2131 and
// their kin) about the HDMI signal: whether there is one, its size and its rate.
// Such a stick sends a picture of its own when there is no signal, so that only
// this tells a sleeping laptop from one that shows a blue page.
//
// The stick's firmware runs on an 8051. Its HID interface gives access to the
// 8051's XDATA memory by feature report 0 of 8 bytes, in both directions; through
// /dev/hidrawN a zero, the report's number, stands before them:
//
//	set:  00  b5  address high  address low  00 00 00 00 00
//	get:  00  b5  address high  address low  value [value+1 value+2 value+3] …
//
// A MS2109 answers with one byte of memory, a MS213x with four. Where the
// firmware keeps what, differs by chip and by maker: see Map, and
// hardware/sticks.yaml for the addresses and who found them. For the MS2131:
//
//	f6e9           0: there is a signal
//	f660, f661     width, low byte first
//	f662, f663     height, low byte first
//	fa8d  bit 0    a source is connected (known of the MS2130S only)
//	1d02, 1d03     rate in 1/100 Hz, high byte first (of the MS2130S only)
//
// 0xe180 to 0xe18f of the MS2131 are left alone: reading them hangs the device
// now and then (FOSDEM/video-ms213x-status).
//
// The protocol is BertoldVdb/ms-tools', mshal/hal_rom.go v0.3.0. Tested against
// the emulated stick in the virtual machine and a fake here; on no real stick yet.
package ms213x

import (
	"bytes"
	"errors"
	"fmt"
)

// reportBytes is the report's number and the report.
const reportBytes = 9

// readMemory is the command that reads XDATA.
const readMemory = 0xb5

// ErrAnswer is a report that doesn't answer what was asked.
var ErrAnswer = errors.New("the answer is to another question")

// Transport exchanges feature reports; the first byte of b is the report's
// number. A hidraw node is one, see Open.
type Transport interface {
	SetFeature(b []byte) error
	// GetFeature fills b and says how many bytes came.
	GetFeature(b []byte) (n int, err error)
	Close() error
}

// Bits are bits of a byte of memory; the zero value is one that isn't known.
type Bits struct {
	At       uint16
	Mask     uint8
	Inverted bool // clear where others are set
}

// Word is a number of two bytes of memory. A scale of 0 is one that isn't known.
type Word struct {
	At        uint16
	BigEndian bool
	Scale     float64
}

// Map says where a firmware keeps what it knows.
type Map struct {
	Reply               int // bytes of memory in an answer: 1 or 4
	Signal, Cable       Bits
	Width, Height, Rate Word
}

// Status is what a stick says about its input.
type Status struct {
	Signal        bool
	NoCable       bool // without a signal: nothing is connected, as far as the stick can tell
	Width, Height int  // 0: unknown
	Rate          float64
}

func (s Status) String() string {
	switch {
	case !s.Signal && s.NoCable:
		return "no cable"
	case !s.Signal:
		return "no signal"
	case s.Width == 0 || s.Height == 0:
		return "signal"
	case s.Rate == 0:
		return fmt.Sprintf("%dx%d", s.Width, s.Height)
	}
	return fmt.Sprintf("%dx%d at %.4g Hz", s.Width, s.Height, s.Rate)
}

// Limits of what is believed: HDMI 2.1 ends at 10240x4320, and no display runs
// slower than 5 Hz or faster than 240.
const (
	maxSide          = 10240
	minRate, maxRate = 5, 240
)

// Read asks for the status. Numbers that can't be true are left out.
func Read(t Transport, m Map) (Status, error) {
	r := reader{t: t, m: m}
	s := Status{Signal: r.bits(m.Signal)}
	if !s.Signal {
		s.NoCable = m.Cable.Mask != 0 && !r.bits(m.Cable)
		return s, r.err
	}
	width, height, rate := r.word(m.Width), r.word(m.Height), r.word(m.Rate)
	if width >= 1 && width <= maxSide && height >= 1 && height <= maxSide {
		s.Width, s.Height = int(width), int(height)
	}
	if rate >= minRate && rate <= maxRate {
		s.Rate = rate
	}
	return s, r.err
}

// reader keeps the first error.
type reader struct {
	t   Transport
	m   Map
	err error
}

func (r *reader) bits(b Bits) bool {
	v := r.read(b.At, 1)
	return (v[0]&b.Mask != 0) != b.Inverted
}

func (r *reader) word(w Word) float64 {
	if w.Scale == 0 {
		return 0
	}
	v := r.read(w.At, 2)
	high, low := v[1], v[0]
	if w.BigEndian {
		high, low = low, high
	}
	return float64(int(high)<<8|int(low)) * w.Scale
}

// read gives n bytes of memory, at most 2; zeros after an error.
func (r *reader) read(at uint16, n int) (v [2]byte) {
	for i := 0; i < n && r.err == nil; {
		var data []byte
		data, r.err = ask(r.t, at+uint16(i), r.m.Reply)
		i += copy(v[i:n], data)
	}
	if r.err != nil {
		return [2]byte{}
	}
	return v
}

// ask reads as many bytes of memory as one answer carries.
func ask(t Transport, at uint16, reply int) ([]byte, error) {
	question := [reportBytes]byte{0, readMemory, byte(at >> 8), byte(at)}
	answer := question
	if err := t.SetFeature(question[:]); err != nil {
		return nil, fmt.Errorf("ask for 0x%04x: %w", at, err)
	}
	n, err := t.GetFeature(answer[:])
	if err != nil {
		return nil, fmt.Errorf("answer about 0x%04x: %w", at, err)
	}
	return parse(answer[:max(0, min(n, reportBytes))], question, reply)
}

// parse gives the memory that an answer carries.
func parse(answer []byte, question [reportBytes]byte, reply int) ([]byte, error) {
	const header = 4
	if reply < 1 || reply > reportBytes-header {
		return nil, fmt.Errorf("answers of %d bytes: must be 1 to %d", reply, reportBytes-header)
	}
	if len(answer) < header+reply {
		return nil, fmt.Errorf("answer of %d bytes, want %d: %w", len(answer), header+reply, ErrAnswer)
	}
	if !bytes.Equal(answer[:header], question[:header]) {
		return nil, fmt.Errorf("answer % x to % x: %w", answer[:header], question[:header], ErrAnswer)
	}
	return answer[header : header+reply], nil
}

package mpegts

import (
	"errors"
	"fmt"
	"io"

	"github.com/openvideobox/videobox/internal/adts"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// Limits of a stream, in ticks.
const (
	DefaultPCRLead = media.TicksPerSecond / 2 // DTS before PCR

	maxPCRInterval   = 40 * media.TicksPerSecond / 1000
	maxTableInterval = 100 * media.TicksPerSecond / 1000
	maxFill          = media.TicksPerSecond
)

var anyDelimiter = []byte{0, 0, 0, 1, 9, 0xf0}

var sound = adts.Config{SampleRate: media.SampleRate, Channels: media.Channels}

// Options of a Muxer.
type Options struct {
	PCRLead       int64 // how far the PCR is behind the DTS, in ticks; 0 is DefaultPCRLead
	Discontinuity bool  // the first packet of each PID says that it goes on from nothing before
}

// maxHeld is how many sounds HoldAudio keeps back at most: 0.2 s.
const maxHeld = 10

// Muxer writes a transport stream of H.264 and AAC-LC, 48 kHz stereo. Every
// call ends in at most one Write of whole packets. It is not safe for use by
// several goroutines at once.
type Muxer struct {
	w       io.Writer
	lead    int64
	maxFill int64 // a longer gap is a discontinuity
	buf     []byte
	held    int // sounds in buf that wait for a picture

	pat, pmt     stream
	video, audio stream

	sent       bool // tables, at least once
	started    bool
	lastPCR    int64 // ticks, unwrapped
	lastStep   int64
	lastTables int64
}

// NewMuxer returns a muxer that writes to w. The Writer must not keep the
// bytes it is given.
func NewMuxer(w io.Writer, o Options) *Muxer {
	m := newMuxer(o.PCRLead)
	m.w = w
	if o.Discontinuity {
		m.Discontinuity()
	}
	return m
}

func newMuxer(lead int64) *Muxer {
	if lead == 0 {
		lead = DefaultPCRLead
	}
	return &Muxer{
		lead:    lead,
		maxFill: maxFill,
		pat:     stream{pid: PIDPAT},
		pmt:     stream{pid: PIDPMT},
		video:   stream{pid: PIDVideo, id: streamVideo},
		audio:   stream{pid: PIDAudio, id: streamAudio},
	}
}

// Discontinuity says that time starts anew: the next tables and the next
// packet of each stream carry the discontinuity indicator, and PTS may be
// anything.
func (m *Muxer) Discontinuity() {
	for _, s := range []*stream{&m.pat, &m.pmt, &m.video, &m.audio} {
		s.discontinuity = true
	}
	m.started = false
}

// WriteVideo writes an access unit in Annex B. PAT and PMT precede it when it
// is a keyframe or their time has come, and its first packet carries the PCR.
// Where more than 40 ms have passed since the last PCR, packets with nothing
// else fill in. An access unit delimiter is added where it is missing.
func (m *Muxer) WriteVideo(u media.Unit) error {
	if len(u.Data) == 0 {
		return errors.New("mpegts: empty access unit")
	}
	m.buf = m.appendVideo(m.buf, u, false)
	return m.flush()
}

// WriteAudio writes one raw AAC frame as a PES packet with one ADTS frame.
func (m *Muxer) WriteAudio(u media.Unit) error {
	if err := checkAudio(u); err != nil {
		return err
	}
	m.buf = m.appendAudio(m.buf, u, false)
	return m.flush()
}

// HoldAudio is WriteAudio together with what is written next, which a live
// stream's picture soon is: a player waits for that anyway, and each Write
// wakes every reader, recorder and socket behind it.
func (m *Muxer) HoldAudio(u media.Unit) error {
	if err := checkAudio(u); err != nil {
		return err
	}
	m.buf = m.appendAudio(m.buf, u, false)
	if m.held++; m.held < maxHeld {
		return nil
	}
	return m.flush()
}

// WritePCR keeps the clock and the tables going where a frame was skipped.
// at is the DTS that the frame would have had.
func (m *Muxer) WritePCR(at int64) error {
	m.buf = m.appendClock(m.buf, at-m.lead)
	return m.flush()
}

func (m *Muxer) flush() error {
	if len(m.buf) == 0 {
		return nil
	}
	_, err := m.w.Write(m.buf)
	m.buf, m.held = m.buf[:0], 0
	return err
}

func checkAudio(u media.Unit) error {
	if n := len(u.Data); n == 0 || n > adts.MaxPayload {
		return fmt.Errorf("mpegts: AAC frame of %d bytes, an ADTS frame holds 1 to %d", n, adts.MaxPayload)
	}
	return nil
}

func (m *Muxer) appendVideo(dst []byte, u media.Unit, last bool) []byte {
	t := u.DTS - m.lead
	dst = m.appendFill(dst, t)
	if u.Key || m.tablesDue(t) {
		dst = m.appendTables(dst, t)
	}
	m.advance(t)
	return m.video.appendPES(dst, u, delimiter(u.Data), pcrOf(t), last)
}

func (m *Muxer) appendAudio(dst []byte, u media.Unit, last bool) []byte {
	if !m.sent {
		dst = m.appendTables(dst, u.DTS-m.lead)
	}
	var h [adts.HeaderSize]byte
	u.Key = false
	return m.audio.appendPES(dst, u, adts.AppendHeader(h[:0], sound, len(u.Data)), noPCR, last)
}

// appendClock appends a packet with a PCR of t ticks and nothing else, unless
// the clock is there already.
func (m *Muxer) appendClock(dst []byte, t int64) []byte {
	dst = m.appendFill(dst, t)
	if m.started && t == m.lastPCR {
		return dst
	}
	if m.tablesDue(t) {
		dst = m.appendTables(dst, t)
	}
	m.advance(t)
	return m.video.appendHeader(dst, false, fields{pcr: pcrOf(t)}, 0)
}

// appendFill appends clock packets, so that the next PCR at t ticks is not
// more than 40 ms after the last. Going backward, or forward by more than a
// second, nobody asked for: it is declared as a discontinuity.
func (m *Muxer) appendFill(dst []byte, t int64) []byte {
	if m.started && (t < m.lastPCR || t-m.lastPCR > m.maxFill) {
		m.Discontinuity()
	}
	for m.started && t-m.lastPCR > maxPCRInterval {
		at := m.lastPCR + maxPCRInterval
		if m.tablesDue(at) {
			dst = m.appendTables(dst, at)
		}
		m.advance(at)
		dst = m.video.appendHeader(dst, false, fields{pcr: pcrOf(at)}, 0)
	}
	return dst
}

func (m *Muxer) advance(t int64) {
	if m.started {
		m.lastStep = t - m.lastPCR
	}
	m.lastPCR, m.started = t, true
}

// tablesDue says whether the tables must be sent at the PCR t, so that they
// are never more than 100 ms apart. Two steps of the clock are kept in hand:
// one for the next chance to send them, one since who measures by
// interpolating between PCRs finds tables up to a step early.
func (m *Muxer) tablesDue(t int64) bool {
	if !m.started {
		return true
	}
	step := max(t-m.lastPCR, m.lastStep)
	return t-m.lastTables+2*step > maxTableInterval
}

func (m *Muxer) appendTables(dst []byte, t int64) []byte {
	tt := tables()
	m.lastTables, m.sent = t, true
	dst = m.pat.appendTable(dst, &tt.pat)
	return m.pmt.appendTable(dst, &tt.pmt)
}

// pcrOf is the 27 MHz value of a PCR at t ticks.
func pcrOf(t int64) int64 { return media.Wire(t) * pcrPerTick }

// delimiter is what an access unit lacks at its start (2.14.1).
func delimiter(au []byte) []byte {
	if h264.HasDelimiter(au) {
		return nil
	}
	return anyDelimiter
}

package mpegts

import (
	"errors"
	"fmt"
	"io"

	"github.com/openvideobox/videobox/internal/adts"
	"github.com/openvideobox/videobox/internal/media"
)

// maxPES is the most that an access unit may have, in packets: 8 MB. The
// reader behind collects one until it ends.
const maxPES = 8 << 20 / maxPayload

// front reads a transport stream from outside and gives mediacommon's reader
// one that it can't stumble over: whole packets, after tables that never
// change, on constant PIDs. It finds the streams by the tables that really
// come, passes the packets of the two it takes under the PIDs of this package,
// and renumbers them, so that a change of tables loses nothing. A counter that
// jumps makes the reader throw away the access unit, and so does front
// wherever a packet may be damaged.
//
// mediacommon's Initialize waits for the first ADTS frame, at most 1 MB long;
// a made-up one comes first, for streams without sound.
type front struct {
	r       io.Reader
	h       Handler
	scanner Scanner
	tables  tableReader
	losses  uint64 // of scanner, seen so far

	in  []byte
	out []byte // for the reader
	pos int
	err error

	video, audio route
	last         *route // that the packet before went to
	told         map[string]bool
	problems     []error
	havePMT      bool
}

func newFront(r io.Reader, h Handler) *front {
	f := &front{r: r, h: h, in: make([]byte, 64*PacketSize), told: map[string]bool{}}
	f.video.to, f.audio.to = PIDVideo, PIDAudio
	m := newMuxer(0)
	f.out = m.appendAudio(f.out, media.Unit{Track: media.Audio, Data: []byte{0}}, false)
	f.audio.sent = 0
	f.video.sent = counterMask
	return f
}

// Read gives what mediacommon's reader asks for; it keeps on until there is a
// packet for it.
func (f *front) Read(p []byte) (int, error) {
	for f.pos == len(f.out) {
		if f.err != nil {
			return 0, f.err
		}
		f.out, f.pos = f.out[:0], 0
		n, err := f.r.Read(f.in)
		f.scanner.Scan(f.in[:n], f.packet)
		f.err = err
	}
	n := copy(p, f.out[f.pos:])
	f.pos += n
	return n, nil
}

// packet takes a packet of the incoming stream.
func (f *front) packet(p Packet) {
	if f.losses != f.scanner.SyncLosses {
		f.losses = f.scanner.SyncLosses
		if f.last != nil {
			f.last.spoil() // its end may have been garbage
		}
	}
	f.last = nil
	f.tables.add(p, f.program)
	switch pid := p.PID(); {
	case f.video.active && pid == f.video.pid:
		f.pass(p, &f.video)
	case f.audio.active && pid == f.audio.pid:
		if p.PayloadStart() {
			f.checkSound(p)
		}
		f.pass(p, &f.audio)
	}
}

// program takes the streams that a new PMT names.
func (f *front) program(p program) {
	f.havePMT = true
	f.video.take(p.find(typeH264))
	f.audio.take(p.find(typeADTS))
	for _, e := range p.streams {
		if e.kind != typeH264 && e.kind != typeADTS {
			name := streamTypes[e.kind]
			if name == "" {
				name = "unknown"
			}
			f.tell(fmt.Errorf("mpegts: stream on PID %d is %s (type 0x%02x), which is ignored; want H.264 or AAC-LC in ADTS", e.pid, name, e.kind))
		}
	}
}

// tell reports a problem once.
func (f *front) tell(err error) {
	if f.told[err.Error()] || len(f.told) >= 16 {
		return
	}
	f.told[err.Error()] = true
	f.problems = append(f.problems, err)
	if h, ok := f.h.(ErrorHandler); ok {
		h.Error(err)
	}
}

// missing says why nothing was delivered.
func (f *front) missing() error {
	switch {
	case len(f.problems) > 0:
		return errors.Join(f.problems...)
	case f.scanner.Packets == 0:
		return fmt.Errorf("mpegts: no transport packet in %d bytes", int(f.scanner.Skipped)+len(f.scanner.buf))
	case !f.tables.havePAT:
		return fmt.Errorf("mpegts: no PAT in %d packets", f.scanner.Packets)
	case !f.havePMT:
		return fmt.Errorf("mpegts: no PMT on PID %d in %d packets", f.tables.pmtPID, f.scanner.Packets)
	}
	return fmt.Errorf("mpegts: no whole access unit in %d packets", f.scanner.Packets)
}

// checkSound reads the ADTS header at the start of a PES packet. What isn't
// 48 kHz stereo AAC-LC is not passed on.
func (f *front) checkSound(p Packet) {
	h, ok := parsePES(p.Payload())
	if !ok {
		return
	}
	c, _, _, err := adts.ParseHeader(h.payload)
	switch {
	case errors.Is(err, adts.ErrUnsupported):
		f.tell(fmt.Errorf("mpegts: sound on PID %d is ignored: %w", p.PID(), err))
	case err == nil && c != sound:
		f.tell(fmt.Errorf("mpegts: sound on PID %d is %v and ignored; want %v", p.PID(), c, sound))
	default:
		f.audio.mute = false
		return
	}
	f.audio.mute = true
}

// pass hands a packet on to the reader.
func (f *front) pass(p Packet, r *route) {
	f.last = r
	if p.Error() || p.Scrambled() {
		r.spoil()
		return
	}
	if !p.HasPayload() {
		return
	}
	f.out = r.forward(f.out, p)
}

package mpegts

import (
	"time"

	"github.com/openvideobox/videobox/internal/h264"
)

// clockHz is the rate of the PCR.
const clockHz = 27_000_000

// maxClockStep is how far the PCR may move from one to the next. Less than
// that is an interval, which has its own limit; more, or backward, is a jump.
const maxClockStep = clockHz

// Limits are what a Probe holds a stream to. Zero is no limit.
type Limits struct {
	Tables time.Duration // between two PATs, and between two PMTs
	PCR    time.Duration // between two PCRs
	IDR    time.Duration // between two IDR pictures
}

// DefaultLimits are what every stream of a box or a mixer keeps. They are
// tighter than ETSI TR 101 290 for the tables (500 ms there, 1.3 and 1.5) and
// the same for the PCR (2.3).
var DefaultLimits = Limits{Tables: 100 * time.Millisecond, PCR: 40 * time.Millisecond, IDR: time.Second}

// Probe checks a transport stream: the core of ETSI TR 101 290 (sync,
// continuity, PAT, PMT and PCR intervals, PCR and PTS), and by the stamps in
// it whether frames are missing, doubled or out of order. It takes streams of
// other muxers too. Intervals are measured in the stream's own time: packets
// between two PCRs are taken to be evenly spread. Use NewProbe. It is not safe for
// use by several goroutines at once.
type Probe struct {
	Limits Limits // set before the first Write

	r       Report
	scanner Scanner
	tables  tableReader
	pids    *[1 << 13]*pidState

	havePMT  bool
	program  program
	clock    probeClock
	video    unitCheck
	audio    unitCheck
	frames   frameCheck
	sinceIDR int64 // ticks
	sincePCR int64 // ticks from one video unit without PCR to the next; -1 before any
}

// pidState is what continuity is checked by.
type pidState struct {
	last    [PacketSize]byte
	doubled bool
}

// NewProbe returns a probe with DefaultLimits.
func NewProbe() *Probe {
	return &Probe{Limits: DefaultLimits, pids: new([1 << 13]*pidState), sincePCR: -1}
}

// Write takes any piece of the stream. It never fails.
func (p *Probe) Write(b []byte) (int, error) {
	p.scanner.Scan(b, p.packet)
	return len(b), nil
}

// Report is what has been seen until now.
func (p *Probe) Report() Report {
	q := *p // the last access unit is judged as if it ended here
	q.finishVideo()
	q.clock.finish(&q.r)
	r := q.r
	r.Limits = p.Limits
	r.Packets, r.SyncLosses, r.SkippedBytes = p.scanner.Packets, p.scanner.SyncLosses, p.scanner.Skipped
	r.CRCErrors = p.tables.pat.BadCRC + p.tables.pmt.BadCRC
	r.havePMT = p.havePMT
	if q.r.PCRs > 0 {
		r.PCRMax = max(r.PCRMax, ticksDuration(q.sincePCR))
	}
	r.IDRMax = max(r.IDRMax, ticksDuration(q.sinceIDR))
	return r
}

func (p *Probe) packet(pk Packet) {
	if pk.Error() {
		p.r.count(transportError, "packet %d, PID 0x%04x", p.scanner.Packets, pk.PID())
		return
	}
	if pk.IsStuffing() {
		return
	}
	broken := !p.continuous(pk)
	p.countTables(pk)
	p.tables.add(pk, p.take)
	if !p.havePMT {
		return
	}
	pid := pk.PID()
	if pid == p.program.pcr {
		p.pcr(pk)
	}
	for _, c := range []*unitCheck{&p.video, &p.audio} {
		if c.active && pid == c.pid {
			if pk.Discontinuity() {
				c.free = true
			}
			c.broken = c.broken || broken
			p.payload(pk, c)
		}
	}
}

// take follows a new PMT.
func (p *Probe) take(prog program) {
	p.havePMT, p.program = true, prog
	pid, ok := prog.find(typeH264)
	p.video.take(pid, ok)
	pid, ok = prog.find(typeADTS)
	p.audio.take(pid, ok)
}

// countTables notes when PAT and PMT come. A section that starts counts.
func (p *Probe) countTables(pk Packet) {
	if !pk.PayloadStart() {
		return
	}
	switch pid := pk.PID(); {
	case pid == PIDPAT:
		p.r.PATs++
		p.clock.table(tablePAT, p.scanner.Packets)
	case p.tables.havePAT && pid == p.tables.pmtPID:
		p.r.PMTs++
		p.clock.table(tablePMT, p.scanner.Packets)
	}
}

// continuous checks the continuity counter (2.4.3.3): it goes up with each
// packet that has payload, a packet may be sent twice, and a discontinuity
// indicator allows anything.
func (p *Probe) continuous(pk Packet) bool {
	pid := pk.PID()
	s := p.pids[pid]
	if s == nil {
		s = new(pidState)
		p.pids[pid] = s
		copy(s.last[:], pk)
		return true
	}
	last := Packet(s.last[:])
	want := last.Counter()
	if pk.HasPayload() {
		want = (want + 1) & counterMask
	}
	ok := pk.Counter() == want || pk.Discontinuity()
	if !ok && pk.Counter() == last.Counter() && !s.doubled && samePayload(last, pk) {
		s.doubled = true
		return true
	}
	if !ok {
		p.r.count(continuity, "packet %d, PID 0x%04x: counter %d, expected %d", p.scanner.Packets, pid, pk.Counter(), want)
	}
	s.doubled = false
	copy(s.last[:], pk)
	return ok
}

func samePayload(a, b Packet) bool {
	return a.HasPayload() && b.HasPayload() && string(a.Payload()) == string(b.Payload())
}

// pcr takes the clock of a packet on the PCR's PID.
func (p *Probe) pcr(pk Packet) {
	if pk.Discontinuity() {
		p.r.Discontinuities++
		p.clock.declared, p.video.free, p.audio.free = true, true, true
	}
	v, ok := pk.PCR()
	if !ok {
		return
	}
	p.r.PCRs++
	p.sincePCR = -1
	if jump := p.clock.set(v, p.scanner.Packets, &p.r); jump != 0 {
		p.r.count(pcrJump, "packet %d: %+.1f ms", p.scanner.Packets, float64(jump)/(clockHz/1000))
	}
}

// frameCheck follows the numbers of the stamps.
type frameCheck struct {
	have bool
	last h264.Stamp
}

func (f *frameCheck) take(s h264.Stamp, r *Report) {
	last, have := f.last, f.have && s.Epoch == f.last.Epoch
	f.last, f.have = s, true
	switch {
	case !have || s.Frame == last.Frame+1:
	case s.Frame == last.Frame:
		r.count(duplicate, "frame %d", s.Frame)
	case s.Frame < last.Frame:
		r.count(backward, "frame %d after %d", s.Frame, last.Frame)
	default:
		r.count(missing, "frame %d after %d", s.Frame, last.Frame)
		r.MissingFrames += s.Frame - last.Frame - 2 // one is counted
	}
}

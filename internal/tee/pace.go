package tee

import (
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
)

const (
	// paceTick is how often a paced sender acts: at 8 Mbit/s three datagrams
	// at a time.
	paceTick = 4 * time.Millisecond
	// paceWindow is the longest that a byte waits: one frame at 25 a second.
	paceWindow = 40 * time.Millisecond
	// paceShort is how long a few packets wait for company.
	paceShort = 10 * time.Millisecond
	// paceLate is how late frames may come by the PCR until its clock is taken
	// to have stood still.
	paceLate = 500 * time.Millisecond
	// pcrDrift is how fast the estimate of the PCR's offset may rise: twice
	// what a slewed clock does (500 ppm).
	pcrDrift = 1000
)

const pcrModulus = 1 << 33 * 300

// pacer spreads what comes in bursts, a frame at a time, over the time until
// the next frame is due by the PCR (ISO/IEC 13818-1 2.4.3.5).
//
// Each run of bytes gets a deadline: the moment that the PCR behind it stands
// for, estimated from the last interval as long as that PCR isn't there. Then
// the lowest rate is sent at which every deadline holds.
type pacer struct {
	queue []byte
	off   int // sent
	marks []mark
	in    int64 // bytes taken in, over all time
	out   int64 // bytes given out

	pid      uint16
	pcr      int64         // last one, 27 MHz
	seen     bool          // there is a last one
	at       time.Time     // when pcr should have come, never later than it came
	interval time.Duration // between the last two, at most paceWindow
}

type mark struct {
	end int64 // of the run, counted as in
	due time.Time
}

func (p *pacer) pending() bool { return p.out < p.in }

// push takes whole packets that came at now.
func (p *pacer) push(b []byte, now time.Time) {
	p.compact()
	start := p.in
	for q := b; len(q) >= mpegts.PacketSize; q = q[mpegts.PacketSize:] {
		pk := mpegts.Packet(q[:mpegts.PacketSize])
		if v, ok := pk.PCR(); ok && (!p.seen || pk.PID() == p.pid) {
			p.clock(v, pk.PID(), now)
			if p.in > start {
				p.mark(p.at, now)
			}
		}
		p.in += mpegts.PacketSize
	}
	p.queue = append(p.queue, b...)
	due := p.at.Add(p.interval - paceTick)
	if !p.seen {
		due = now.Add(paceShort)
	}
	if p.in-p.out < datagramPackets*mpegts.PacketSize {
		due = earlier(due, now.Add(paceShort))
	}
	p.mark(due, now)
}

// mark says that everything so far is due at that time, or now if that is over.
func (p *pacer) mark(due, now time.Time) {
	if due.Before(now) {
		due = now
	}
	p.marks = append(p.marks, mark{p.in, due})
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// clock follows the PCR: the earliest arrivals say when one is due, as the
// others were only delayed. A step of the PCR, which is a long interval, makes
// one due at once.
func (p *pacer) clock(v int64, pid uint16, now time.Time) {
	d := time.Duration((v-p.pcr+pcrModulus)%pcrModulus) * 1000 / 27
	if !p.seen {
		d = paceWindow
	}
	at := p.at.Add(d + d/pcrDrift)
	if !p.seen || at.After(now) || now.Sub(at) > paceLate {
		at = now
	}
	p.pcr, p.pid, p.seen, p.at, p.interval = v, pid, true, at, min(d, paceWindow)
}

// take returns what has to be sent at now, in whole datagrams unless a part of
// one is due. It is valid until the next push.
func (p *pacer) take(now time.Time) []byte { return p.give(p.need(now)) }

// rest returns everything.
func (p *pacer) rest() []byte { return p.give(p.in - p.out) }

func (p *pacer) give(n int64) []byte {
	b := p.queue[p.off : p.off+int(n)]
	p.off += int(n)
	p.out += n
	done := 0
	for done < len(p.marks) && p.marks[done].end <= p.out {
		done++
	}
	p.marks = p.marks[:copy(p.marks, p.marks[done:])]
	return b
}

// need is how many bytes must go now so that the rest can go at an even rate.
func (p *pacer) need(now time.Time) int64 {
	const datagram = datagramPackets * mpegts.PacketSize
	var overdue, rate int64
	for _, m := range p.marks {
		n := m.end - p.out
		left := m.due.Sub(now)
		if left <= 0 {
			overdue = n
			continue
		}
		rate = max(rate, n*int64(paceTick)/int64(max(left, paceTick)))
	}
	whole := (rate + datagram - 1) / datagram * datagram
	if whole > p.in-p.out {
		whole = (p.in - p.out) / datagram * datagram
	}
	return max(overdue, whole)
}

// compact forgets what was sent.
func (p *pacer) compact() {
	p.queue = p.queue[:copy(p.queue, p.queue[p.off:])]
	p.off = 0
}

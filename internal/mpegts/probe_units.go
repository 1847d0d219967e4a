package mpegts

import (
	"github.com/openvideobox/videobox/internal/adts"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// What is believed of a frame's duration, in ticks; outside of it the steps of
// the DTS are.
const (
	minFrameTicks = media.TicksPerSecond / 240
	maxFrameTicks = media.TicksPerSecond
)

// unitCheck follows the PES packets of one PID.
type unitCheck struct {
	active bool
	pid    uint16
	free   bool // the next time may be anything: a discontinuity was declared
	broken bool // a packet of the unit is missing
	have   bool // a PES packet with a time has been seen
	dts    int64
	open   bool // a unit is being collected
	head   []byte
	left   int   // bytes of it to come; -1 if unknown
	frame  int64 // ticks from one to the next: video; what the unit before lasts: audio
}

func (c *unitCheck) take(pid uint16, ok bool) {
	if ok != c.active || pid != c.pid {
		*c = unitCheck{active: ok, pid: pid, head: c.head[:0]}
	}
}

// payload takes a packet's payload.
func (p *Probe) payload(pk Packet, c *unitCheck) {
	b := pk.Payload()
	if pk.Scrambled() || len(b) == 0 {
		return
	}
	if pk.PayloadStart() {
		p.finish(c)
		h, ok := parsePES(b)
		if !ok {
			return
		}
		p.begin(c, h)
		b = h.payload
		c.open, c.head, c.left = true, c.head[:0], -1
		if h.length > 0 {
			c.left = h.length - (len(pk.Payload()) - len(b))
		}
	}
	if !c.open {
		return
	}
	limit := headSize
	if c == &p.audio {
		limit = 1 << 16
	}
	c.head = append(c.head, b[:min(len(b), limit-len(c.head))]...)
	if c.left >= 0 {
		c.left -= len(b)
	}
	if c.left <= 0 && c.left != -1 || len(c.head) == limit {
		p.finish(c)
	}
}

// begin checks the time of a unit.
func (p *Probe) begin(c *unitCheck, h pesHeader) {
	if !h.hasPTS {
		return
	}
	step := media.Unwrap(h.dts, c.dts) - c.dts
	expected := !c.have || c.free
	c.have, c.free, c.dts = true, false, h.dts
	if c == &p.audio {
		if !expected && !c.broken && c.frame > 0 && abs(step-c.frame) > c.frame/2 {
			p.r.count(audioJump, "packet %d: %+.1f ms, expected %.1f ms", p.scanner.Packets, ms(step), ms(c.frame))
		}
		c.broken, c.frame = false, 0
		return
	}
	if lead := media.Unwrap(h.pts, h.dts) - h.dts; lead < 0 || lead > media.TicksPerSecond {
		p.r.count(videoJump, "packet %d: PTS %+.1f ms from DTS", p.scanner.Packets, ms(lead))
	}
	p.r.Frames++
	if !expected {
		step = p.videoStep(step)
		p.sinceIDR += step
	} else {
		step = 0
	}
	if p.sincePCR >= 0 {
		p.sincePCR += step
	} else {
		p.sincePCR = 0
	}
}

// videoStep checks the step from one picture to the next, and returns it, or
// a frame's duration where it was wrong.
func (p *Probe) videoStep(step int64) int64 {
	c := &p.video
	if c.frame == 0 && step >= minFrameTicks && step <= maxFrameTicks {
		c.frame = step
	}
	if step > 0 && (step*2 <= c.frame*3) {
		return step
	}
	p.r.count(videoJump, "packet %d: %+.1f ms, frames last %.1f ms", p.scanner.Packets, ms(step), ms(c.frame))
	return c.frame
}

func (p *Probe) finish(c *unitCheck) {
	if c == &p.video {
		p.finishVideo()
	} else {
		p.finishAudio()
	}
}

// finishVideo looks at what the head of an access unit says.
func (p *Probe) finishVideo() {
	c := &p.video
	if !c.open {
		return
	}
	c.open = false
	if h264.IsIDR(c.head) {
		p.r.IDRs++
		p.r.IDRMax = max(p.r.IDRMax, ticksDuration(p.sinceIDR))
		p.sinceIDR = 0
		p.frameDuration()
	}
	s, ok := h264.FindStamp(c.head)
	if !ok {
		return
	}
	p.r.Stamped++
	p.r.Latest = s
	if s.Flags&h264.Live != 0 {
		p.r.LiveFrames++
	}
	if s.Flags&h264.Slate != 0 {
		p.r.SlateFrames++
	}
	if s.Flags&h264.Repeated != 0 {
		p.r.RepeatedFrames++
	}
	p.frames.take(s, &p.r)
}

// frameDuration reads it from the SPS.
func (p *Probe) frameDuration() {
	nal, _ := h264.ParameterSets(p.video.head)
	s, err := h264.ParseSPS(nal)
	if err != nil || s.RateNum == 0 {
		return
	}
	d := media.TicksPerSecond * int64(s.RateDen) / int64(s.RateNum)
	if d >= minFrameTicks && d <= maxFrameTicks {
		p.video.frame = d
	}
}

// finishAudio adds up how long the ADTS frames of a PES packet last.
func (p *Probe) finishAudio() {
	c := &p.audio
	if !c.open {
		return
	}
	c.open = false
	for b := c.head; len(b) > 0; {
		f, _, rest, err := adts.Parse(b)
		if err != nil {
			c.frame = 0 // it can't be told
			return
		}
		p.r.AudioFrames++
		c.frame += media.SamplesPerAAC * media.TicksPerSecond / int64(f.SampleRate)
		b = rest
	}
}

func ms(ticks int64) float64 { return float64(ticks) / 90 }

func abs(v int64) int64 { return max(v, -v) }

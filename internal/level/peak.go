package level

// taps and phases of the interpolation filter of BS.1770-4 annex 2, a 48-tap
// low-pass for fourfold oversampling.
const (
	taps   = 12
	phases = 4
)

// interpolation holds the filter by phases. Phases 2 and 3 are phases 1 and 0
// backwards.
var interpolation = [phases][taps]float32{
	{0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625,
		0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500},
	{-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500, 0.4650878906250,
		0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375},
	{-0.0189208984375, 0.0330810546875, -0.0582275390625, 0.1015625000000, -0.2003173828125, 0.7797851562500,
		0.4650878906250, -0.1665039062500, 0.0891113281250, -0.0517578125000, 0.0292968750000, -0.0291748046875},
	{-0.0083007812500, 0.0148925781250, -0.0266113281250, 0.0476074218750, -0.1022949218750, 0.9721679687500,
		0.1373291015625, -0.0594482421875, 0.0332031250000, -0.0196533203125, 0.0109863281250, 0.0017089843750},
}

// reach is more than the largest sum of the absolute values of a phase (2.02):
// samples below 1/reach of a peak can't make a higher one.
const reach = 2.1

// truePeak is the highest absolute value of one channel's interpolated signal.
type truePeak struct {
	line  [2 * taps]float32 // the last taps samples, twice, so that they lie in a row
	at    int
	near  int     // samples for which the line holds something that can make a peak
	now   float32 // of the step being filled
	steps [shortTermSteps]float32
	next  int
	max   float32
}

func (p *truePeak) sample(x float32) {
	p.line[p.at], p.line[p.at+taps] = x, x
	if p.at++; p.at == taps {
		p.at = 0
	}
	if x*reach > p.now || -x*reach > p.now {
		p.near = taps
	}
	if p.near == 0 {
		return
	}
	p.near--
	window := p.line[p.at:][:taps] // oldest first
	for _, h := range &interpolation {
		sum := float32(0)
		for i, v := range window {
			sum += v * h[taps-1-i]
		}
		p.now = max(p.now, sum, -sum)
	}
}

func (p *truePeak) endStep() {
	p.steps[p.next] = p.now
	p.next = (p.next + 1) % shortTermSteps
	p.max = max(p.max, p.now)
	p.now = 0
}

// recent is the peak of the last 3 s, and that of all time.
func (p *truePeak) recent() (recent, most float64) {
	for _, v := range p.steps {
		recent = max(recent, float64(v))
	}
	return recent, float64(p.max)
}

// clipper counts runs of samples at full scale in one channel.
type clipper struct {
	run   int
	count uint64
	hold  int // steps for which the last clip is still shown
}

func (c *clipper) sample(v int16) {
	if v < 32767 && v > -32767 {
		c.run = 0
		return
	}
	if c.run++; c.run == clipRun {
		c.count++
		c.hold = clipHold
	}
}

func (c *clipper) endStep() {
	if c.hold > 0 {
		c.hold--
	}
}

// gaps counts steps of silence.
type gaps struct {
	silent uint64           // both channels, in a row
	dead   [channels]uint64 // this one, while the other was not; a pause of both counts for neither
}

func (g *gaps) step(left, right bool) {
	if left && right {
		g.silent++
		return
	}
	g.silent = 0
	for c, silent := range [channels]bool{left, right} {
		if silent {
			g.dead[c]++
		} else {
			g.dead[c] = 0
		}
	}
}

package dongle

// oscillator is a crystal: it says what time it is by a crystal that is ppm
// parts in a million fast. With 0 from the start on that is UTC.
type oscillator struct {
	ppm    float64
	at, by int64 // an instant of UTC, ns, and what the crystal said then
}

// time is the crystal's time at an instant of UTC, ns.
func (o oscillator) time(utc int64) int64 {
	since := utc - o.at
	return o.by + since + int64(float64(since)*o.ppm/1e6)
}

// utc is when the crystal will say t.
func (o oscillator) utc(t int64) int64 {
	since := t - o.by
	return o.at + since - int64(float64(since)*o.ppm/(1e6+o.ppm))
}

// tune changes the frequency, not the time.
func (o oscillator) tune(now int64, ppm float64) oscillator {
	return oscillator{ppm: ppm, at: now, by: o.time(now)}
}

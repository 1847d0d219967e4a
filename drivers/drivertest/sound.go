package drivertest

import (
	"io/fs"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers/alsa"
	"github.com/openvideobox/videobox/internal/clock"
)

// PCM opens the stick's sound device, 48 kHz stereo.
func (s *Stick) PCM(path string) (alsa.PCM, error) {
	if path != "/dev/snd/pcmC0D0c" {
		return nil, fs.ErrNotExist
	}
	life, err := s.answer()
	if err != nil {
		return nil, err
	}
	return &pcm{s: s, life: life}, nil
}

// pcm is the open sound device.
type pcm struct {
	s      *Stick
	life   int
	rate   float64 // really
	began  int64   // UTC ns
	taken  int64   // samples
	buffer int64
	silent bool // it was, at the last look
}

func (p *pcm) Ranges() (alsa.Ranges, error) {
	return alsa.Ranges{Rate: [2]int{48000, 48000}, Channels: [2]int{2, 2}}, nil
}

func (p *pcm) Configure(rate, channels, _, buffer int) error {
	if rate != 48000 || channels != 2 {
		return unix.EINVAL
	}
	p.rate, p.buffer = float64(rate)*(1+p.s.cfg.SoundPPM*1e-6), int64(buffer)
	return nil
}

func (p *pcm) Start() error {
	p.began, _ = p.s.cfg.Now()
	p.taken = 0
	return nil
}

func (p *pcm) Close() error { return nil }

// there is how many samples wait to be read, and why none will come any more.
func (p *pcm) there() (n int64, changed <-chan struct{}, gone error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	now, _ := p.s.cfg.Now()
	n = int64(float64(now-p.began)*p.rate/1e9) - p.taken
	if p.s.faults.silent || p.s.faults.hung != answers {
		p.silent = true
		n = 0
	} else if p.silent { // what it didn't send is lost, without an overrun
		p.silent = false
		p.taken += n
		n = 0
	}
	if p.s.life != p.life {
		gone = unix.ENODEV
	}
	return n, p.s.changed, gone
}

// period is what Wait waits for.
const period = 480

func (p *pcm) Wait(ms int) (bool, error) {
	utc := clock.System.Now()
	end, stop := clock.System.After(utc + int64(ms)*int64(time.Millisecond))
	defer stop()
	for {
		n, changed, gone := p.there()
		if n >= period || gone != nil {
			return true, nil
		}
		due, cancel := clock.System.After(clock.System.Now() + int64(float64(period-n)*1e9/p.rate) + 1)
		select {
		case <-due:
		case <-changed:
		case <-end:
			cancel()
			return false, nil
		case <-p.s.ctx.Done():
			cancel()
			return false, errClosed
		}
		cancel()
	}
}

func (p *pcm) Read(data []int16, channels int) (int, error) {
	n, _, gone := p.there()
	switch {
	case gone != nil:
		return 0, gone
	case n > p.buffer:
		return 0, unix.EPIPE
	case n == 0:
		return 0, unix.EAGAIN
	}
	n = min(n, int64(len(data)/channels))
	for i := range n {
		data[2*i], data[2*i+1] = p.sample(p.taken + i)
	}
	p.taken += n
	return int(n), nil
}

// sample is number k of this stream.
func (p *pcm) sample(k int64) (left, right int16) {
	t := p.began + int64(float64(k)*1e9/p.rate)
	if p.s.cfg.Sound != nil {
		return p.s.cfg.Sound(t)
	}
	v := int16(3000 * math.Sin(2*math.Pi*440*float64(t%1e9)/1e9))
	return v, v
}

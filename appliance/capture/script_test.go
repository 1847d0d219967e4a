package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/source"
	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/pattern"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/program"
)

// The test's own program is capture with one source more: script:FILE does what
// the file says, over and over. So the worker, its restarts and the slate are
// the real ones.
func init() {
	open = func(spec string, c program.Config) (drivers.Source, error) {
		if path, ok := strings.CutPrefix(spec, "script:"); ok {
			return &script{path: path, shape: c}, nil
		}
		return source.Open(spec, c)
	}
}

// script is the test pattern with faults.
type script struct {
	path  string
	shape program.Config
}

// act is what the file says now.
func (s *script) act() string {
	text, err := os.ReadFile(s.path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// Run plays one act after another.
func (s *script) Run(ctx context.Context, sink drivers.Sink) error {
	for ctx.Err() == nil {
		act := s.act()
		ctx, cancel := context.WithCancel(ctx)
		go func() {
			defer cancel()
			for ctx.Err() == nil && s.act() == act {
				time.Sleep(10 * time.Millisecond)
			}
		}()
		err := s.play(ctx, act, sink)
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return ctx.Err()
}

// states are acts that a source reports by itself.
var states = map[string]*drivers.Error{
	"no device":   {State: drivers.NoDevice, Err: errors.New("the capture device is not plugged in")},
	"no cable":    {State: drivers.NoCable, Err: errors.New("no cable is plugged into the HDMI input")},
	"no signal":   {State: drivers.NoSignal, Err: errors.New("the HDMI cable carries no signal")},
	"unsupported": {State: drivers.Unsupported, Err: errors.New("the input sends 4096x2160 at 24 frames a second")},
}

// play plays an act until the context ends.
func (s *script) play(ctx context.Context, act string, sink drivers.Sink) error {
	shape := pattern.Config{Width: s.shape.Width, Height: s.shape.Height, Rate: s.shape.Rate}
	if state := states[act]; state != nil && state.State == drivers.NoDevice {
		return state
	} else if state != nil {
		for ctx.Err() == nil {
			sink.State(state.State, state.Error())
			time.Sleep(20 * time.Millisecond)
		}
		return ctx.Err()
	}
	switch act {
	case "panic":
		panic("a driver that panics")
	case "crash":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Second)
		return errors.New("survived")
	case "hang": // and doesn't hear of the context's end
		for s.act() == act {
			time.Sleep(10 * time.Millisecond)
		}
		return nil
	case "ends":
		return errors.New("the driver gave up")
	case "crystals":
		return crystals(ctx, shape, 0, sink)
	case "late sound":
		return crystals(ctx, shape, 50*time.Millisecond, sink)
	case "camera":
		return camera(ctx, shape, 1920, 1080, sink)
	case "720p":
		shape.Width, shape.Height = 1280, 720
	case "4:3":
		shape.Width, shape.Height = 640, 480
	case "60 frames":
		shape.Rate = 60
	case "30 frames":
		shape.Rate = 30
	}
	return pattern.New(shape).Run(ctx, &spoiler{Sink: sink, act: act})
}

// camera is a picture that changes everywhere in every frame, as a stick gives
// it: full range, BT.601, of another size. Its time is when it is handed over.
func camera(ctx context.Context, c pattern.Config, width, height int, sink drivers.Sink) error {
	frames := make([]*media.Frame, 8)
	for i := range frames {
		f := media.NewFrame(width, height)
		f.Color = media.Color{Matrix: media.BT601, Full: true}
		seed := uint32(i + 1)
		for y := range height {
			for x := range width {
				seed = seed*1664525 + 1013904223
				f.Y[y*width+x] = byte(40+x*150/width) + byte(seed>>29) + byte((x/64+y/64+i)%4*10)
			}
		}
		frames[i] = f
	}
	for n := media.FrameAt(time.Now().UnixNano(), c.Rate) + 1; ; n++ {
		if err := clock.Wait(ctx, clock.System, media.FrameTime(n, c.Rate)); err != nil {
			return err
		}
		f := frames[n%int64(len(frames))]
		f.Time = time.Now().UnixNano()
		sink.Video(f)
	}
}

// The crystals of a stick's picture and of its sound, which differ.
const videoPPM, audioPPM = 100, -150

// crystals is the test pattern as a stick takes it whose picture and sound run by
// two crystals; the sound's times jitter by 3 ms. Flash and beep are at whole
// seconds of UTC nevertheless: they come from one laptop. The sound may be late.
func crystals(ctx context.Context, c pattern.Config, late time.Duration, sink drivers.Sink) error {
	done := make(chan error, 1)
	began := time.Now().UnixNano()
	at := func(i, perSecond int64, ppm float64) int64 {
		return began + int64(float64(i)*1e9/(float64(perSecond)*(1+ppm/1e6)))
	}
	go func() {
		sound := make([]int16, 480*media.Channels)
		for i := int64(0); ; i += 480 {
			if err := clock.Wait(ctx, clock.System, at(i+480, media.SampleRate, audioPPM)); err != nil {
				done <- err
				return
			}
			t := at(i, media.SampleRate, audioPPM)
			picture.Beep(sound, media.SampleAt(t+10_000))
			jitter := (i/480*7919%13 - 6) * 500_000
			sink.Audio(media.Samples{Time: t + jitter + int64(late), Rate: media.SampleRate, Channels: media.Channels, Data: sound})
		}
	}()
	var p picture.Pattern
	f := media.NewFrame(c.Width, c.Height)
	for i := int64(0); ; i++ {
		t := at(i, int64(c.Rate), videoPPM)
		if err := clock.Wait(ctx, clock.System, t); err != nil {
			<-done
			return err
		}
		p.Draw(f, media.FrameAt(t+500_000_000/int64(c.Rate), c.Rate), c.Rate)
		f.Time = t
		sink.Video(f)
	}
}

// spoiler does to frames and samples what an act says.
type spoiler struct {
	drivers.Sink
	act string
	n   int
	mu  sync.Mutex
}

func (s *spoiler) Video(f *media.Frame) {
	s.n++
	g := *f
	switch s.act {
	case "frozen":
		return
	case "every second frame":
		if s.n%2 == 0 {
			return
		}
	case "short frames":
		g.Y = g.Y[:len(g.Y)/2]
	case "some short frames":
		if s.n%3 == 0 {
			g.V = nil
		}
	case "no times":
		g.Time = 0
	case "wild times":
		g.Time += int64(s.n%7-3) * int64(time.Hour)
	case "times that jitter":
		g.Time += int64(s.n%5-2) * 15_000_000
	}
	s.Sink.Video(&g)
}

func (s *spoiler) Audio(a media.Samples) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.act {
	case "no sound":
		return
	case "sound with holes":
		if a.Time/1e9%2 == 0 && a.Time%1e9 < 120_000_000 {
			return
		}
	case "sound of wild times":
		a.Time += int64(s.n%5-2) * 3_000_000_000
	}
	s.Sink.Audio(a)
}

// write makes the file say act.
func (s *script) write(act string) error {
	if err := os.WriteFile(s.path+".new", []byte(act), 0o600); err != nil {
		return fmt.Errorf("script: %w", err)
	}
	return os.Rename(s.path+".new", s.path)
}

package dongle

import (
	"context"
	"log/slog"
	"sync"

	"github.com/openvideobox/videobox/drivers/file"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/run"
)

// File plays a media file onto the cable, looped: a laptop with a film. ffmpeg
// decodes it, in the size and at the rate that the guest agreed to last.
type File struct {
	Path  string
	Clock clock.Clock // nil: the system's

	ctx     context.Context // of Run
	playing sync.WaitGroup

	mu      sync.Mutex
	mode    Mode
	stop    context.CancelFunc // of the player for mode
	newest  *media.Frame       // nil until one has come
	sounds  [fileSound * media.Channels]int16
	written int64 // number of UTC's sample after the newest in sounds
}

const (
	// fileSound is how many samples are kept: a second.
	fileSound = media.SampleRate
	// fileDelay is how much later than the player's they are taken: it delivers
	// a frame's worth at a time.
	fileDelay = media.SampleRate / 5
)

// NewFile looks at the file, so that a wrong one is known at once. It plays
// until the context ends; Wait waits for that.
func NewFile(ctx context.Context, path string, c clock.Clock) (*File, error) {
	if _, err := file.Open(path, file.Config{Width: 320, Height: 180, Rate: 10, Clock: c}); err != nil {
		return nil, err
	}
	return &File{Path: path, Clock: c, ctx: ctx}, nil
}

// Wait waits for the player's end, after the end of its context.
func (f *File) Wait() { f.playing.Wait() }

// Frame is the newest frame of the film, whatever its number: a stick shows what
// is on the cable. Until there is one it is black.
func (f *File) Frame(m Mode, _ int64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stop == nil || f.mode != m {
		f.play(m)
	}
	shown := media.NewFrame(m.Width, m.Height)
	shown.Black()
	if f.newest != nil {
		picture.Copy(shown, f.newest)
	}
	return encode(shown, m.Coding)
}

// play starts the player anew for a mode.
func (f *File) play(m Mode) {
	if f.stop != nil {
		f.stop()
	}
	ctx, stop := context.WithCancel(f.ctx)
	f.mode, f.stop, f.newest = m, stop, nil
	f.playing.Go(func() {
		err := run.Restart(ctx, "film", run.Backoff{Clock: f.Clock}, func(ctx context.Context) error {
			s, err := file.Open(f.Path, file.Config{Width: m.Width, Height: m.Height, Rate: m.Rate, Clock: f.Clock})
			if err != nil {
				return err
			}
			return s.Run(ctx, fileSink{f, ctx})
		})
		if ctx.Err() == nil {
			slog.Error("dongle: film", "err", err)
		}
	})
}

// Samples are those of the film, or silence where it has none.
func (f *File) Samples(dst []int16, from int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from -= fileDelay
	for i := range len(dst) / media.Channels {
		l, r := int16(0), int16(0)
		if n := from + int64(i); n >= 0 && n < f.written && n >= f.written-fileSound {
			at := n % fileSound * media.Channels
			l, r = f.sounds[at], f.sounds[at+1]
		}
		dst[2*i], dst[2*i+1] = l, r
	}
}

// fileSink takes what one player delivers, until another has taken over.
type fileSink struct {
	*File
	ctx context.Context
}

func (s fileSink) Video(v *media.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	if s.newest == nil {
		s.newest = media.NewFrame(v.Width, v.Height)
	}
	picture.Copy(s.newest, v)
}

func (s fileSink) Same(int64) {}

func (s fileSink) Audio(a media.Samples) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil || a.Channels != media.Channels || a.Time < 0 {
		return
	}
	n := media.SampleAt(a.Time + 500_000_000/media.SampleRate)
	for i := range a.Len() {
		at := (n + int64(i)) % fileSound * media.Channels
		s.sounds[at], s.sounds[at+1] = a.Data[2*i], a.Data[2*i+1]
	}
	s.written = n + int64(a.Len())
}

package dongle

import (
	"image"
	"sync"

	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// Slides are the project's own, a page every ten seconds, without sound.
type Slides struct {
	mu    sync.Mutex
	mode  Mode
	pages []*image.RGBA
}

const pageSeconds = 10

// Frame shows the page that is due at frame n.
func (s *Slides) Frame(m Mode, n int64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode != m {
		s.mode, s.pages = m, picture.Deck(m.Width, m.Height)
	}
	f := media.NewFrame(m.Width, m.Height)
	picture.FromImage(f, s.pages[n/int64(pageSeconds*m.Rate)%int64(len(s.pages))])
	return encode(f, m.Coding)
}

// Samples are silence.
func (s *Slides) Samples(dst []int16, _ int64) { clear(dst) }

package worker

import (
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// slate draws what is shown while the source is silent, anew when its text
// changes. Drawing takes a second on a slow box, and the stream can't wait: it is
// done beside it, and until it is done the picture stays as it was.
type slate struct {
	name   string
	labels *atomic.Pointer[labels]
	since  time.Time
	beside func(func()) // runs a function beside the caller

	text  picture.SlateText // of frame
	frame *media.Frame      // the encoder's

	mu      sync.Mutex
	drawing bool              // spare and drawn belong to who draws
	drawn   picture.SlateText // of spare
	spare   *media.Frame
}

// labels are what the box is called by, and can change.
type labels struct{ room, address string }

func newSlate(name string, l *atomic.Pointer[labels], width, height int) slate {
	return slate{
		name: name, labels: l, frame: media.NewFrame(width, height), spare: media.NewFrame(width, height),
		beside: func(f func()) { go f() },
	}
}

// draw gives the newest slate there is, black at first; whether it differs from
// the last one that was given; and whether it says what it should by now.
func (s *slate) draw(state drivers.State, cause string) (f *media.Frame, fresh, current bool) {
	l := s.labels.Load()
	text := picture.SlateText{
		Name: s.name, Room: l.room, Address: l.address,
		Cause: sentence(state, cause), Advice: state.Advice(), Time: s.since,
	}
	if text == s.text {
		return s.frame, false, true
	}
	s.mu.Lock()
	start := !s.drawing && s.drawn != text
	s.drawing = s.drawing || start
	s.mu.Unlock()
	if start {
		s.beside(func() { s.paint(text) })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.drawing && s.drawn != s.text {
		s.frame, s.spare = s.spare, s.frame
		s.text, s.drawn = s.drawn, s.text
		fresh = true
	}
	return s.frame, fresh, text == s.text
}

// paint draws text into spare.
func (s *slate) paint(text picture.SlateText) {
	picture.FromImage(s.spare, picture.Slate(s.spare.Width, s.spare.Height, text))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drawn, s.drawing = text, false
}

// sentence is a cause as a slate says it.
func sentence(state drivers.State, cause string) string {
	if cause == "" {
		return "Input: " + state.String()
	}
	first, size := utf8.DecodeRuneInString(cause)
	return string(unicode.ToUpper(first)) + cause[size:]
}

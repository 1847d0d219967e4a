package source

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/program"
)

var shape = program.Config{Width: 64, Height: 36, Rate: 25}

func TestSpecs(t *testing.T) {
	for spec, want := range map[string]string{
		"pattern": "", "deck": "", "v4l2:/dev/video0": "", "v4l2:/dev/video0,hw:1,0": "", "v4l2:/dev/video0,none": "", "v4l2:auto": "", "v4l2:auto,none": "",
		"":                       "give --source",
		"v4l2:video0":            "v4l2:/dev/videoN",
		"v4l2:/dev/video0,none1": "hw:CARD,DEVICE",
		"/no/film.mp4":           "no such file",
	} {
		s, err := Open(spec, shape)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", spec, err, want)
		}
		if (s == nil) != (err != nil) {
			t.Errorf("%q: source %v with error %v", spec, s, err)
		}
	}
}

// counter is a sink that ends the source at its first frame.
type counter struct{ cancel func() }

func (c counter) Video(*media.Frame)          { c.cancel() }
func (c counter) Same(int64)                  {}
func (c counter) Audio(media.Samples)         {}
func (c counter) State(drivers.State, string) {}

func TestSourcesDeliverToADriversSink(t *testing.T) {
	for _, spec := range []string{"pattern", "deck"} {
		s, err := Open(spec, shape)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.Run(ctx, counter{cancel}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", spec, err)
		}
		cancel()
	}
}

// states passes on what is said about the picture.
type states struct {
	counter
	said chan string
}

func (s states) State(st drivers.State, cause string) {
	select {
	case s.said <- st.String() + ": " + cause:
	default:
	}
}

func TestMissingDeviceIsLookedFor(t *testing.T) {
	s, err := Open("v4l2:/dev/video-none", shape)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, sink := make(chan error), states{said: make(chan string)}
	go func() { done <- s.Run(ctx, sink) }()
	if got := <-sink.said; got != "no device: there is no capture device /dev/video-none" {
		t.Error(got)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

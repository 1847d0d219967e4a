package push

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/tee"
)

const dialTime = 2 * time.Second

// FromEvent is what an event gives push to do: every rendition of every room
// to every origin. room, unless empty, limits it to one. Each stream has a hop
// in and a hop out for each origin.
func FromEvent(e *event.Event, room string, r *metrics.Reporter, log *slog.Logger) (Config, error) {
	c := Config{Log: log}
	if room != "" {
		if _, err := e.Room(room); err != nil {
			return c, err
		}
	}
	for _, rm := range e.Rooms {
		if room != "" && rm.Name != room {
			continue
		}
		for _, out := range rm.Outputs() {
			c.Streams = append(c.Streams, stream(e, out, r))
		}
	}
	return c, nil
}

func stream(e *event.Event, out event.Output, r *metrics.Reporter) Stream {
	url := out.URL()
	kind, _, _ := strings.Cut(url, "://")
	s := Stream{Name: out.Name, In: r.Hop(out.Name, "in", kind, url)}
	options := tee.OpenOptions{Interface: e.Multicast.Interface, DialTimeout: dialTime, ReadTimeout: Silence}
	s.Open = func(ctx context.Context) (io.ReadCloser, error) { return tee.Open(ctx, url, options) }
	for _, o := range e.Origins {
		full := o.PublishURL(out.Name)
		shown, _, _ := strings.Cut(full, "?")
		s.Out = append(s.Out, Target{
			Name: o.Name, URL: full,
			Meter: r.Hop(out.Name+" to "+o.Name, "out", "rtmp", shown),
		})
	}
	return s
}

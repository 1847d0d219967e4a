package self

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
)

// Auto as a box's name means: what boxd found out. On an image, boxd writes the
// first file of --config, which describes this box alone, and the box's name
// beside it.
const Auto = "auto"

// NameFile is the file beside the event file that holds the box's name.
const NameFile = "name"

const (
	patience = 10 * time.Second // for boxd to write its file
	recheck  = time.Second      // how often it is looked for, and looked at
)

// Find is Load for programs' --config and --name. With the name auto it waits
// up to 10 s for the first file of the list config; when there is none, the
// next that exists counts, and its only box.
func Find(ctx context.Context, config, name string) (Self, error) {
	return find(ctx, clock.System, config, name)
}

func find(ctx context.Context, clk clock.Clock, config, name string) (Self, error) {
	if name != Auto {
		return Load(config, name)
	}
	first := filepath.SplitList(config)[0]
	if err := waitFor(ctx, clk, first); err != nil {
		return Self{}, err
	}
	if _, err := os.Stat(first); err != nil {
		slog.Warn("boxd has not said what this box is; going on without", "file", first, "waited", patience)
	}
	return loadAuto(config)
}

// waitFor waits until a file exists, or for as long as patience lasts.
func waitFor(ctx context.Context, clk clock.Clock, path string) error {
	// Counted, since a box's clock may be set meanwhile: then the end would be
	// far in the past.
	const pause = recheck / 10
	for range patience / pause {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		reached, stop := clk.After(clk.Now() + int64(pause))
		select {
		case <-reached:
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
	}
	return nil
}

func loadAuto(config string) (Self, error) {
	e, err := event.Load(config)
	if err != nil {
		return Self{}, err
	}
	name, err := os.ReadFile(filepath.Join(filepath.Dir(e.Path), NameFile))
	switch {
	case err == nil:
		return of(e, strings.TrimSpace(string(name)))
	case !errors.Is(err, os.ErrNotExist):
		return Self{}, err
	case len(e.Boxes) != 1:
		return Self{}, fmt.Errorf("%s has %d boxes and none is known to be this one; give --name", e.Path, len(e.Boxes))
	}
	return of(e, e.Boxes[0].Name)
}

// ErrChanged ends a program whose own part of the event has changed in a way
// that needs a new start. Init gives it one.
var ErrChanged = errors.New("the box's event has changed: this program starts again")

// Watch looks at the event file once a second until the context ends. What a
// program can change while it runs (room, role, address, time servers, schedule) it hands
// to changed, which may be nil and whose error is Watch's; anything else is
// ErrChanged. A file that can't be read changes nothing. Watch ends at once when
// the name isn't auto: such a program is told by its flags, for its whole life.
func (s Self) Watch(ctx context.Context, config, name string, changed func(Self) error) error {
	return s.watch(ctx, clock.System, config, name, changed)
}

func (s Self) watch(ctx context.Context, clk clock.Clock, config, name string, changed func(Self) error) error {
	if name != Auto {
		return nil
	}
	var seen, bad time.Time
	for {
		reached, stop := clk.After(clk.Now() + int64(recheck))
		select {
		case <-reached:
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
		at := newest(config)
		if at.Equal(seen) || at.Equal(bad) {
			continue
		}
		now, err := loadAuto(config)
		if err != nil {
			slog.Warn("the event file can't be read; going on with what was read before", "err", err)
			bad = at
			continue
		}
		seen = at
		if now.fixed() != s.fixed() {
			return ErrChanged
		}
		if changed != nil && now.Live() != s.Live() {
			if err := changed(now); err != nil {
				return err
			}
		}
		s = now
	}
}

// Follow is a Watch's changed that tells a reporter its room and role.
func Follow(r *metrics.Reporter) func(Self) error {
	return func(s Self) error {
		r.SetRoom(s.Room)
		r.SetRole(s.Role)
		return nil
	}
}

// newest is when the file of the list that counts was written, or the zero time.
func newest(config string) time.Time {
	for _, path := range filepath.SplitList(config) {
		if info, err := os.Stat(path); err == nil {
			return info.ModTime()
		}
	}
	return time.Time{}
}

// Live is what a program can take over while it runs.
type Live struct {
	Room, Role string
	Address    string // host:port of the box's page
	Time       string // servers, with spaces between
	Schedule   string // URL of the event's talks, or ""
}

// Live is the changeable part.
func (s Self) Live() Live {
	return Live{Room: s.Room, Role: s.Role, Address: s.Box.HTTPAddr, Time: strings.Join(s.Event.Time, " "), Schedule: s.Event.Schedule}
}

// fixed is what a program has for life.
type fixed struct {
	name                   string
	video                  event.Video
	audio                  event.Audio
	stream, buffered, http string // listening addresses
	multicast, iface       string
	ttl                    int
	status                 string
	login                  event.BoxLogin
}

func (s Self) fixed() fixed {
	b := s.Box
	return fixed{
		name: b.Name, video: s.Event.Video, audio: s.Event.Audio,
		stream: event.Listen(b.StreamAddr), buffered: event.Listen(b.BufferedAddr), http: event.Listen(b.HTTPAddr),
		multicast: b.Multicast, iface: b.Interface, ttl: b.TTL, status: b.StatusAddr("capture"), login: s.Event.Secrets.Box,
	}
}

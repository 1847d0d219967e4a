package event

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// BoxFile is what is said of one box, in an event file of its own. What is zero
// stays as the event has it.
type BoxFile struct {
	Box     string // as the event calls it; "" or unknown: a box without a room
	Name    string // what it is called in its file; "" is Box
	Address string // as others reach it, a host

	Width, Height, Rate int
	Bitrate             int // bit/s

	Secrets string // path of the secrets file, which the file is to name
}

// OfBox makes an event file that has but one box, in its room with nobody else:
// what a box's programs need to know. Load reads it.
func (e *Event) OfBox(f BoxFile) ([]byte, error) {
	s := schema{
		Event: e.file.Event, Video: f.video(e.file.Video), Multicast: e.file.Multicast, PortOffset: e.file.PortOffset,
		Audio: e.file.Audio, Time: e.file.Time, Schedule: e.file.Schedule, Secrets: f.Secrets,
	}
	box, room := e.boxSchema(f.Box)
	if f.Name != "" {
		box.Name = f.Name
	}
	if f.Address != "" {
		box.Address = f.Address
	}
	s.Boxes = []boxSchema{box}
	if room != nil {
		s.Rooms = []roomSchema{aloneIn(*room, f.Box, box.Name)}
	}
	data, err := yaml.Marshal(s)
	if err != nil {
		return nil, err
	}
	if _, err := Parse("file of box "+box.Name, data); err != nil {
		return nil, fmt.Errorf("a file for one box: %w", err)
	}
	return data, nil
}

func (f BoxFile) video(v videoSchema) videoSchema {
	if f.Width != 0 && f.Height != 0 {
		v.Size = size{f.Width, f.Height}
	}
	if f.Rate != 0 {
		v.Rate = frameRate(f.Rate)
	}
	if f.Bitrate != 0 {
		v.Bitrate = bitrate(f.Bitrate)
	}
	return v
}

// boxSchema finds a box and its room as they are written; a box that isn't
// there has every default.
func (e *Event) boxSchema(name string) (box boxSchema, room *roomSchema) {
	box.Name = name
	box.defaults()
	for _, b := range e.file.Boxes {
		if b.Name == name {
			box = b
		}
	}
	for i, r := range e.file.Rooms {
		if name != "" && (r.Camera == name || r.Slides == name) {
			room = &e.file.Rooms[i]
		}
	}
	return box, room
}

// aloneIn is a room without its other source, and without what only a mixer
// needs.
func aloneIn(r roomSchema, box, name string) roomSchema {
	alone := roomSchema{Name: r.Name, Building: r.Building, Mixer: r.Mixer, Output: outputSchema{TCP: r.Output.TCP}}
	if r.Camera == box {
		alone.Camera = name
	} else {
		alone.Slides = name
	}
	return alone
}

// Package self is what the programs of a box know about the box that they run
// on: its entry in the event file, its room, and its own ports as they are
// reached from the box itself.
package self

import (
	"net"

	"github.com/openvideobox/videobox/internal/event"
)

// Self is the box that this program runs on.
type Self struct {
	Event *event.Event
	Box   event.Box
	Room  string // "" while it has none
	Role  string // camera or slides
}

// Load finds the box in an event file.
func Load(config, name string) (Self, error) {
	e, err := event.Load(config)
	if err != nil {
		return Self{}, err
	}
	return of(e, name)
}

func of(e *event.Event, name string) (Self, error) {
	b, err := e.Box(name)
	if err != nil {
		return Self{}, err
	}
	s := Self{Event: e, Box: b}
	if room, role, ok := e.RoomOf(name); ok {
		s.Room, s.Role = room.Name, role
	}
	return s, nil
}

// StreamAddr is the box's stream from the newest keyframe on.
func (s Self) StreamAddr() string { return Local(s.Box.StreamAddr) }

// BufferedAddr is the box's stream from half the ring back.
func (s Self) BufferedAddr() string { return Local(s.Box.BufferedAddr) }

// Local is how a port of this host is reached without the network: by loopback,
// unless the address is a loopback one already.
func Local(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return addr
	}
	return net.JoinHostPort("127.0.0.1", port)
}

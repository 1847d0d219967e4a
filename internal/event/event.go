// Package event reads the event file: one YAML file that describes a
// conference (boxes, rooms, mixers, origins, caches, dumpers), which every
// program reads instead of having a configuration of its own.
//
// Load is strict. An unknown key, a value of the wrong kind and a
// contradiction between two lines are errors that name the line and say what
// would be right, and all of them are reported, one a line. What Load returns
// is resolved: defaults are filled in, port_offset is added to every port, and
// paths are relative to the event file.
//
// Two keys go beyond the plain list of hosts: a box or a room may carry
// "interface" and "ttl" of its own, which win over the event's multicast.
//
// The syntax is YAML 1.2 by github.com/goccy/go-yaml's parser; anchors and
// tags are refused, so that what a line says is what it means.
package event

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Event is a whole event, resolved.
type Event struct {
	Name       string
	Path       string // the event file as it was given to Load
	Dir        string // its folder; relative paths in it start here
	Video      Video
	Renditions []Rendition // the further ones, without main
	Multicast  Multicast
	PortOffset int
	Audio      Audio
	Time       []string // NTP servers, host or host:port
	Schedule   string   // URL of a pentabarf XML, or ""
	Boxes      []Box
	Rooms      []Room
	Origins    []Origin // main first, then backup
	Caches     []Cache
	Dumpers    []Dumper
	Secrets    Secrets

	file schema
}

// Video is the picture every box and every mixer sends.
type Video struct {
	Width, Height int
	Rate          int // whole frames a second
	Bitrate       int // bit/s
}

// Rendition is a further, smaller output of each room.
type Rendition struct {
	Name          string
	Width, Height int
	Bitrate       int // bit/s
}

// Multicast is how datagrams are sent and received.
type Multicast struct {
	Interface string // "" leaves the choice to the kernel's routes
	TTL       int
}

// Audio is the sound every box and every mixer sends.
type Audio struct {
	Rate, Channels int
	Bitrate        int     // bit/s
	TargetLUFS     float64 // EBU R128 programme loudness
}

// Box is a videobox: its addresses as others reach them.
type Box struct {
	Name         string
	MAC          string // lower case with colons, or ""
	Address      string // host; <name>.local when the file gives none
	StreamAddr   string // host:port, TCP, from the newest keyframe on
	BufferedAddr string // host:port, TCP, from half the ring back
	HTTPAddr     string // host:port of boxd
	Multicast    string // group:port, or "" when it sends none
	Interface    string // of the box, for its multicast
	TTL          int

	status int
}

// Programs whose status page is on loopback, in the order of their ports.
var statusPrograms = []string{"capture", "record", "preview", "guard", "tstee", "push", "dump"}

// StatusPort is the first of the status ports, that of capture.
const StatusPort = 8890

// StatusAddr is where a program of this box serves its status: capture,
// record, preview, guard or tstee. It is "" for any other.
func (b Box) StatusAddr(program string) string {
	return statusAddr(b.status, program)
}

// StatusAddr is where a program that belongs to no box, push or dump, serves
// its status; also that of a box's program when the box is on its usual ports.
func (e *Event) StatusAddr(program string) string {
	return statusAddr(e.Port(StatusPort), program)
}

func statusAddr(first int, program string) string {
	for i, p := range statusPrograms {
		if p == program {
			return fmt.Sprintf("127.0.0.1:%d", first+i)
		}
	}
	return ""
}

// Source is one input of a room.
type Source struct {
	Role string // "camera" or "slides"
	Name string // the box's name, or the URL
	URL  string // tcp://host:port or udp://group:port
}

// Scene is what a room's mixer starts with.
type Scene struct {
	Mode string // fullscreen, side_by_side_equal, side_by_side_preview, picture_in_picture
	A, B string // "camera" or "slides"
}

// Room is a lecture room with its mixer.
type Room struct {
	Name, Building string
	Camera, Slides string // a box's name or a URL, "" when there is none
	Engine         string // "native" or "voctocore"
	MixerHost      string
	ControlAddr    string // host:port of the mixer's page and API
	Scene          Scene
	Background     string // path of a picture, or ""
	Logo           string // path of a picture, or ""
	Interface      string // of the mixer's host, for multicast in and out
	TTL            int
	Sources        []Source // camera, then slides

	outputs []Output
}

// Output is one rendition of a room.
type Output struct {
	Name            string // "demo", "demo-480": of streams, recordings, RTMP
	Rendition       string // "main", "480": in paths
	Width, Height   int
	Bitrate         int    // bit/s
	Multicast       string // group:port, or ""
	TCPAddr         string // host:port
	BufferedTCPAddr string // host:port
	Interface       string
	TTL             int
}

// URL is where others read the output: its multicast when it has one.
func (o Output) URL() string {
	if o.Multicast != "" {
		return "udp://" + o.Multicast
	}
	return "tcp://" + o.TCPAddr
}

// Outputs are the room's renditions, main first.
func (r Room) Outputs() []Output { return r.outputs }

// Origin takes RTMP, records, and serves HLS.
type Origin struct {
	Name       string
	RTMP       string // rtmp://host:port/app
	HTTP       string // http://host:port
	RTMPListen string
	HTTPListen string
	Dir        string // recordings, or ""

	key string
}

// PublishURL is where a stream, "demo" or "demo-480", is published, with the
// event's key.
func (o Origin) PublishURL(stream string) string {
	u := o.RTMP + "/" + url.PathEscape(stream)
	if o.key != "" {
		u += "?key=" + url.QueryEscape(o.key)
	}
	return u
}

// Cache stands in front of the origins.
type Cache struct {
	Name       string
	HTTP       string // http://host:port
	HTTPListen string
	Memory     int64 // bytes
}

// Dumper records every stream to disk.
type Dumper struct {
	Name, Host string
	Dir        string
	KeepFree   int64 // bytes of the disk that stay free
}

// Stream is something to dump: a box or a room's output.
type Stream struct {
	Name      string
	URL       string
	Interface string // for multicast
}

// Port adds the event's port_offset to a port that the file doesn't name, such
// as voctocore's.
func (e *Event) Port(n int) int { return n + e.PortOffset }

// Box finds a box by its name.
func (e *Event) Box(name string) (Box, error) {
	for _, b := range e.Boxes {
		if b.Name == name {
			return b, nil
		}
	}
	return Box{}, e.missing("box", name, e.boxNames())
}

// BoxByMAC finds a box by its hardware address.
func (e *Event) BoxByMAC(mac net.HardwareAddr) (Box, error) {
	for _, b := range e.Boxes {
		if b.MAC != "" && b.MAC == mac.String() {
			return b, nil
		}
	}
	return Box{}, e.missing("box", mac.String(), e.boxNames())
}

// Room finds a room by its name.
func (e *Event) Room(name string) (Room, error) {
	for _, r := range e.Rooms {
		if r.Name == name {
			return r, nil
		}
	}
	names := make([]string, len(e.Rooms))
	for i, r := range e.Rooms {
		names[i] = r.Name
	}
	return Room{}, e.missing("room", name, names)
}

// Origin finds an origin by its name.
func (e *Event) Origin(name string) (Origin, error) {
	names := make([]string, len(e.Origins))
	for i, o := range e.Origins {
		if names[i] = o.Name; o.Name == name {
			return o, nil
		}
	}
	return Origin{}, e.missing("origin", name, names)
}

// Cache finds a cache by its name.
func (e *Event) Cache(name string) (Cache, error) {
	names := make([]string, len(e.Caches))
	for i, c := range e.Caches {
		if names[i] = c.Name; c.Name == name {
			return c, nil
		}
	}
	return Cache{}, e.missing("cache", name, names)
}

// Dumper finds a dumper by its name.
func (e *Event) Dumper(name string) (Dumper, error) {
	names := make([]string, len(e.Dumpers))
	for i, d := range e.Dumpers {
		if names[i] = d.Name; d.Name == name {
			return d, nil
		}
	}
	return Dumper{}, e.missing("dumper", name, names)
}

func (e *Event) missing(kind, name string, have []string) error {
	if len(have) == 0 {
		return fmt.Errorf("%s: no %s %q; the file has none", e.Path, kind, name)
	}
	return fmt.Errorf("%s: no %s %q; the file has %s", e.Path, kind, name, strings.Join(have, ", "))
}

func (e *Event) boxNames() []string {
	names := make([]string, len(e.Boxes))
	for i, b := range e.Boxes {
		names[i] = b.Name
	}
	return names
}

// RoomOf says which room a box belongs to and as what, "camera" or "slides".
func (e *Event) RoomOf(box string) (room Room, role string, ok bool) {
	for _, r := range e.Rooms {
		for _, s := range r.Sources {
			if s.Name == box {
				return r, s.Role, true
			}
		}
	}
	return Room{}, "", false
}

// SourceURL is where the stream of a box is read; a URL is resolved to itself
// with port_offset added. It is "" for what is neither.
func (e *Event) SourceURL(source string) string {
	if strings.Contains(source, "://") {
		if u, err := shiftURL(source, e.PortOffset, 0); err == nil {
			return u
		}
		return ""
	}
	b, err := e.Box(source)
	switch {
	case err != nil:
		return ""
	case b.Multicast != "":
		return "udp://" + b.Multicast
	}
	return "tcp://" + b.StreamAddr
}

// Streams is everything there is to dump: every box's stream, then every
// rendition of every room.
func (e *Event) Streams() []Stream {
	var s []Stream
	for _, b := range e.Boxes {
		s = append(s, Stream{Name: b.Name, URL: e.SourceURL(b.Name), Interface: e.Multicast.Interface})
	}
	for _, r := range e.Rooms {
		for _, o := range r.outputs {
			s = append(s, Stream{Name: o.Name, URL: o.URL(), Interface: e.Multicast.Interface})
		}
	}
	return s
}

// Listen is the address to listen on for a service that others reach at addr:
// the same one on loopback, else every address of this host.
func Listen(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return addr
	}
	return ":" + port
}

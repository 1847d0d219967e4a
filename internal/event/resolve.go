package event

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// Ports that the file doesn't name. TCPBuffered is what a mixer's buffered twin
// lies above its port; sproxy's lies one below.
const (
	controlPort   = 8000
	rtmpPort      = 1935
	tcpBuffered   = 100
	multicastStep = 2 // between renditions
)

// newEvent resolves a schema that has passed its checks.
func newEvent(path string, s schema) *Event {
	e := &Event{
		Name: s.Event, Path: path, Dir: filepath.Dir(path),
		Video: Video{
			Width: s.Video.Size.width, Height: s.Video.Size.height,
			Rate: int(s.Video.Rate), Bitrate: int(s.Video.Bitrate),
		},
		Multicast:  Multicast(s.Multicast),
		PortOffset: s.PortOffset,
		Audio: Audio{
			Rate: s.Audio.Rate, Channels: s.Audio.Channels,
			Bitrate: int(s.Audio.Bitrate), TargetLUFS: s.Audio.TargetLUFS,
		},
		Time: s.Time, Schedule: s.Schedule, file: s,
	}
	for _, r := range s.Renditions {
		e.Renditions = append(e.Renditions, Rendition{r.Name, r.Size.width, r.Size.height, int(r.Bitrate)})
	}
	for _, b := range s.Boxes {
		e.Boxes = append(e.Boxes, e.newBox(b))
	}
	for _, r := range s.Rooms {
		e.Rooms = append(e.Rooms, e.newRoom(r))
	}
	e.addServers(s)
	if s.Box != nil {
		e.Secrets.Box = BoxLogin{User: s.Box.User, Bcrypt: s.Box.Bcrypt}
	}
	return e
}

func (e *Event) newBox(b boxSchema) Box {
	host := b.host()
	box := Box{
		Name: b.Name, Address: host,
		StreamAddr:   e.addr(host, b.Ports.Stream),
		BufferedAddr: e.addr(host, b.Ports.Stream-1),
		HTTPAddr:     e.addr(host, b.Ports.HTTP),
		Multicast:    e.group(b.Multicast, 0),
		Interface:    e.Multicast.Interface, TTL: e.Multicast.TTL,
		status: e.Port(b.Ports.Status),
	}
	if mac, err := net.ParseMAC(b.MAC); err == nil {
		box.MAC = mac.String()
	}
	override(&box.Interface, &box.TTL, b.Interface, b.TTL)
	return box
}

// host is where others find the box: by mDNS when the file gives no address.
func (b boxSchema) host() string {
	if b.Address != "" {
		return b.Address
	}
	return b.Name + ".local"
}

func override(iface *string, ttl *int, ownInterface string, ownTTL *int) {
	if ownInterface != "" {
		*iface = ownInterface
	}
	if ownTTL != nil {
		*ttl = *ownTTL
	}
}

func (e *Event) newRoom(r roomSchema) Room {
	room := Room{
		Name: r.Name, Building: r.Building, Camera: r.Camera, Slides: r.Slides,
		Engine: r.Mixer.Engine, MixerHost: r.Mixer.Host,
		ControlAddr: e.addr(r.Mixer.Host, controlPort),
		Scene:       r.scene(),
		Background:  e.resolve(r.Background), Logo: e.resolve(r.Overlay.Logo),
		Interface: e.Multicast.Interface, TTL: e.Multicast.TTL,
	}
	override(&room.Interface, &room.TTL, r.Interface, r.TTL)
	for _, s := range []Source{{Role: "camera", Name: r.Camera}, {Role: "slides", Name: r.Slides}} {
		if s.Name != "" {
			s.URL = e.SourceURL(s.Name)
			room.Sources = append(room.Sources, s)
		}
	}
	room.outputs = append(room.outputs, e.newOutput(room, r, 0, Rendition{
		Name: "main", Width: e.Video.Width, Height: e.Video.Height, Bitrate: e.Video.Bitrate,
	}))
	for i, rendition := range e.Renditions {
		room.outputs = append(room.outputs, e.newOutput(room, r, i+1, rendition))
	}
	return room
}

// scene fills in what the file leaves out: side by side with the slides large
// when there are both, as FOSDEM starts.
func (r roomSchema) scene() Scene {
	s := Scene(r.Scene)
	if s.A == "" {
		if s.A = "slides"; r.Slides == "" {
			s.A = "camera"
		}
	}
	if s.B == "" {
		if s.B = "camera"; r.Camera == "" || s.A == "camera" && r.Slides != "" {
			s.B = "slides"
		}
	}
	if s.Mode == "" {
		if s.Mode = "side_by_side_preview"; r.Camera == "" || r.Slides == "" {
			s.Mode = "fullscreen"
		}
	}
	return s
}

func (e *Event) newOutput(room Room, r roomSchema, i int, v Rendition) Output {
	o := Output{
		Name: room.Name, Rendition: v.Name, Width: v.Width, Height: v.Height, Bitrate: v.Bitrate,
		Multicast:       e.group(r.Output.Multicast, i*multicastStep),
		TCPAddr:         e.addr(room.MixerHost, r.Output.TCP+i),
		BufferedTCPAddr: e.addr(room.MixerHost, r.Output.TCP+i+tcpBuffered),
		Interface:       room.Interface, TTL: room.TTL,
	}
	if i > 0 {
		o.Name += "-" + v.Name
	}
	return o
}

func (e *Event) addServers(s schema) {
	for _, o := range s.Origins {
		rtmp, _ := shiftURL(o.RTMP, e.PortOffset, rtmpPort)
		web, _ := shiftURL(o.HTTP, e.PortOffset, 80)
		e.Origins = append(e.Origins, Origin{
			Name: o.Name, RTMP: rtmp, HTTP: web,
			RTMPListen: listenOf(rtmp), HTTPListen: listenOf(web), Dir: e.resolve(o.Dir),
		})
	}
	for _, c := range s.Caches {
		web, _ := shiftURL(c.HTTP, e.PortOffset, 80)
		e.Caches = append(e.Caches, Cache{Name: c.Name, HTTP: web, HTTPListen: listenOf(web), Memory: int64(c.Memory)})
	}
	for _, d := range s.Dumpers {
		e.Dumpers = append(e.Dumpers, Dumper{Name: d.Name, Host: d.Host, Dir: e.resolve(d.Dir), KeepFree: int64(d.KeepFree)})
	}
}

func (e *Event) addr(host string, port int) string {
	return net.JoinHostPort(host, strconv.Itoa(e.Port(port)))
}

// group is a multicast address, step ports further; "" stays.
func (e *Event) group(addr string, step int) string {
	host, port, err := splitPort(addr)
	if err != nil {
		return ""
	}
	return e.addr(host, port+step)
}

// splitPort splits host:port, with the port as a number from 1 to 65535.
func splitPort(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("port %s is not from 1 to 65535", text)
	}
	return host, port, nil
}

// shiftURL adds an offset to a URL's port. Without a port in the URL it is
// usual; with usual 0 the URL must name one.
func shiftURL(raw string, offset, usual int) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	port := usual
	if u.Port() != "" || usual == 0 {
		if _, port, err = splitPort(u.Host); err != nil {
			return "", err
		}
	}
	u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(port+offset))
	u.Path = strings.TrimRight(u.Path, "/")
	return u.String(), nil
}

func listenOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return Listen(u.Host)
}

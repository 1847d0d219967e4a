package event

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

func (c *checker) boxes() {
	seen, macs := map[string]bool{}, map[string]string{}
	for i, b := range c.s.Boxes {
		key := fmt.Sprintf("boxes[%d]", i)
		if !c.name(key, "box", b.Name) {
			continue
		}
		c.unique(key, "box", b.Name, seen)
		c.names[strings.ToLower(b.Name)] = "box " + b.Name
		c.mac(key+".mac", b, macs)
		if b.Address != "" && !c.host(key+".address", "address of box "+b.Name, b.Address) {
			continue
		}
		c.multicast(key, b.Interface, b.TTL)
		if b.Multicast != "" {
			c.group(key+".multicast", b.Multicast, "box "+b.Name, 1)
		}
		c.boxPorts(key, b)
	}
}

func (c *checker) mac(key string, b boxSchema, seen map[string]string) {
	if b.MAC == "" {
		return
	}
	mac, err := net.ParseMAC(b.MAC)
	if err != nil || len(mac) != 6 {
		c.at(key, "box %s: %q is no MAC address; write it as \"b8:27:eb:00:00:01\", in quotes", b.Name, b.MAC)
		return
	}
	if other, ok := seen[mac.String()]; ok {
		c.at(key, "boxes %s and %s have one MAC address; give each its own", other, b.Name)
		return
	}
	seen[mac.String()] = b.Name
}

func (c *checker) boxPorts(key string, b boxSchema) {
	host, of := b.host(), " of box "+b.Name
	c.claim(key+".ports.stream", host, b.Ports.Stream, "the stream"+of)
	if b.Ports.Stream > 0 {
		c.claim(key+".ports.stream", host, b.Ports.Stream-1, "the buffered stream"+of)
	}
	c.claim(key+".ports.http", host, b.Ports.HTTP, "the page"+of)
	for i, program := range statusPrograms[:5] {
		c.claim(key+".ports.status", host, b.Ports.Status+i, "the status of "+program+of)
	}
}

// group checks a multicast address, of which a stream uses every second port
// for each of its renditions. One group carries one stream's renditions only:
// switches forward by group, whatever the port.
func (c *checker) group(key, addr, owner string, renditions int) {
	host, port, err := splitPort(addr)
	ip := net.ParseIP(host)
	switch {
	case err != nil || ip == nil:
		c.at(key, "multicast of %s: %q is no group and port; write it as \"239.255.42.1:5004\"", owner, addr)
		return
	case !ip.IsMulticast():
		c.at(key, "multicast of %s: %s is no multicast address; use 239.0.0.0 to 239.255.255.255, or ff00::/8", owner, host)
		return
	case port%2 != 0:
		c.at(key, "multicast of %s: port %d is odd; use an even one, such as %d", owner, port, port-1)
		return
	}
	if last := port + multicastStep*(renditions-1) + c.s.PortOffset; last > 65535 {
		c.at(key, "multicast of %s: port %d, further renditions and port_offset reach %d; lower the port", owner, port, last)
		return
	}
	if other, ok := c.groups[ip.String()]; ok {
		c.at(key, "%s and %s have one multicast group, %s; give each its own", other, owner, ip)
		return
	}
	c.groups[ip.String()] = owner
}

func (c *checker) rooms() {
	// One box alone may wait for its room: so does the file that a box keeps for
	// its own programs.
	if len(c.s.Rooms) == 0 && len(c.s.Boxes) != 1 {
		c.at("rooms", "the event has no room; add one under rooms:")
	}
	seen, mixers := map[string]bool{}, map[string]string{}
	for i, r := range c.s.Rooms {
		key := fmt.Sprintf("rooms[%d]", i)
		if !c.name(key, "room", r.Name) {
			continue
		}
		c.unique(key, "room", r.Name, seen)
		c.outputNames(key, r)
		c.sources(key, r)
		c.mixer(key, r, mixers)
		c.scene(key+".scene", r)
		c.multicast(key, r.Interface, r.TTL)
		if r.Output.Multicast != "" {
			c.group(key+".output.multicast", r.Output.Multicast, "room "+r.Name, 1+len(c.s.Renditions))
		}
	}
	for i, r := range c.s.Rooms { // when every output is known
		c.loop(fmt.Sprintf("rooms[%d]", i), r)
	}
}

// outputNames sees to it that streams have different names: of outputs, and of
// boxes, beside which they are recorded.
func (c *checker) outputNames(key string, r roomSchema) {
	for _, v := range c.s.Renditions {
		if strings.HasSuffix(strings.ToLower(r.Name), "-"+strings.ToLower(v.Name)) {
			c.at(key+".name", "room %s ends in rendition %s's name, as the output %s does; rename the room", r.Name, v.Name, r.Name)
			return
		}
		if other, ok := c.names[strings.ToLower(r.Name+"-"+v.Name)]; ok {
			c.at(key+".name", "%s has the name of an output of room %s; rename one", other, r.Name)
		}
	}
	if other, ok := c.names[strings.ToLower(r.Name)]; ok {
		c.at(key+".name", "%s and room %s have one name, and would be recorded as one; rename one", other, r.Name)
	}
}

func (c *checker) sources(key string, r roomSchema) {
	if r.Camera == "" && r.Slides == "" {
		c.at(key, "room %s has neither camera nor slides; add camera: BOX", r.Name)
	}
	c.source(key+".camera", "camera", r.Camera, r)
	c.source(key+".slides", "slides", r.Slides, r)
}

func (c *checker) source(key, role, source string, r roomSchema) {
	switch {
	case source == "":
		return
	case strings.Contains(source, "://"):
		c.sourceURL(key, role, source, r)
		return
	case !slices.ContainsFunc(c.s.Boxes, func(b boxSchema) bool { return b.Name == source }):
		c.at(key, "%s of room %s: there is no box %q; use %s, tcp://HOST:PORT or udp://GROUP:PORT", role, r.Name, source, c.boxList())
		return
	}
	if other, ok := c.taken[source]; ok {
		c.at(key, "box %s is %s and %s of room %s; a box has one place", source, other, role, r.Name)
		return
	}
	c.taken[source] = role + " of room " + r.Name
}

func (c *checker) boxList() string {
	var names []string
	for _, b := range c.s.Boxes {
		if b.Name != "" {
			names = append(names, b.Name)
		}
	}
	if names == nil {
		return "a box's name (boxes: has none)"
	}
	return "one of " + strings.Join(names, ", ")
}

func (c *checker) sourceURL(key, role, source string, r roomSchema) {
	what := role + " of room " + r.Name
	u, err := url.Parse(source)
	if err != nil || u.Scheme != "tcp" && u.Scheme != "udp" || u.Port() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		c.at(key, "%s: %q is no source; use a box's name, tcp://HOST:PORT or udp://GROUP:PORT", what, source)
		return
	}
	_, port, err := splitPort(u.Host)
	if err != nil || port+c.s.PortOffset > 65535 {
		c.at(key, "%s: port %s and port_offset must stay from 1 to 65535", what, u.Port())
		return
	}
	ip := net.ParseIP(u.Hostname())
	switch {
	case u.Scheme == "tcp":
		c.host(key, what, u.Hostname())
	case ip == nil || !ip.IsMulticast():
		c.at(key, "%s: %s is no multicast group; use udp://239.255.42.1:5004 or tcp://HOST:PORT", what, u.Hostname())
	}
}

// loop reports a room that reads its own output; one that reads another's is an
// overflow room.
func (c *checker) loop(key string, r roomSchema) {
	for _, s := range []Source{{Role: "camera", URL: r.Camera}, {Role: "slides", URL: r.Slides}} {
		u, err := url.Parse(s.URL)
		if err != nil || u.Scheme != "udp" {
			continue
		}
		ip := net.ParseIP(u.Hostname())
		if ip != nil && c.groups[ip.String()] == "room "+r.Name {
			c.at(key+"."+s.Role, "%s of room %s is the room's own output; use another source", s.Role, r.Name)
		}
	}
}

func (c *checker) mixer(key string, r roomSchema, mixers map[string]string) {
	m := r.Mixer
	if m.Host == "" {
		c.at(key, "room %s has no mixer; add mixer: {host: HOST}", r.Name)
		return
	}
	if m.Engine != "native" && m.Engine != "voctocore" {
		c.at(key+".mixer.engine", "engine of room %s is %q; use native or voctocore", r.Name, m.Engine)
	}
	if !c.host(key+".mixer.host", "mixer of room "+r.Name, m.Host) {
		return
	}
	if other, ok := mixers[strings.ToLower(m.Host)]; ok {
		c.at(key+".mixer.host", "rooms %s and %s have one mixer host, %s; give each its own", other, r.Name, m.Host)
		return
	}
	mixers[strings.ToLower(m.Host)] = r.Name
	c.mixerPorts(key, r)
}

// voctocorePorts are what both engines listen on besides the outputs: control,
// two sources in, mix out, mirrors, background, stream out.
var voctocorePorts = []int{9999, 10000, 10001, 11000, 13000, 13001, 15000, 16000}

func (c *checker) mixerPorts(key string, r roomSchema) {
	host, of := r.Mixer.Host, " of room "+r.Name
	c.claim(key+".mixer.host", host, controlPort, "the control page"+of)
	for _, p := range voctocorePorts {
		c.claim(key+".mixer.host", host, p, fmt.Sprintf("voctocore's port %d%s", p, of))
	}
	c.claim(key+".mixer.host", host, StatusPort+5, "the status of push")
	for i := range 1 + len(c.s.Renditions) {
		name := "main"
		if i > 0 {
			name = c.s.Renditions[i-1].Name
		}
		c.claim(key+".output.tcp", host, r.Output.TCP+i, "output "+name+of)
		c.claim(key+".output.tcp", host, r.Output.TCP+i+tcpBuffered, "the buffered output "+name+of)
	}
}

var sceneModes = []string{"fullscreen", "side_by_side_equal", "side_by_side_preview", "picture_in_picture"}

func (c *checker) scene(key string, r roomSchema) {
	if m := r.Scene.Mode; m != "" && !slices.Contains(sceneModes, m) {
		c.at(key+".mode", "scene %q of room %s; use %s", m, r.Name, strings.Join(sceneModes, ", "))
	}
	have := map[string]bool{"camera": r.Camera != "", "slides": r.Slides != ""}
	for _, s := range []struct{ letter, source string }{{"a", r.Scene.A}, {"b", r.Scene.B}} {
		present, known := have[s.source]
		switch {
		case s.source == "":
		case !known:
			c.at(key+"."+s.letter, "scene of room %s: %s is %q; use camera or slides", r.Name, s.letter, s.source)
		case !present:
			c.at(key+"."+s.letter, "scene of room %s: %s is %s, which the room doesn't have; add %s: BOX", r.Name, s.letter, s.source, s.source)
		}
	}
	if r.Scene.A != "" && r.Scene.A == r.Scene.B && r.Scene.Mode != "fullscreen" {
		c.at(key, "scene of room %s: a and b are both %s; give each its own", r.Name, r.Scene.A)
	}
}

package event

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// checker finds what a schema's values can't say by themselves.
type checker struct {
	*binder
	s      *schema
	used   map[endpoint]string // who listens where
	groups map[string]string   // who sends to a multicast group
	names  map[string]string   // of streams: boxes and outputs
	taken  map[string]string   // boxes' names to the rooms that use them
}

type endpoint struct {
	host string
	port int
}

func newChecker(b *binder, s *schema) *checker {
	return &checker{
		binder: b, s: s, used: map[endpoint]string{}, groups: map[string]string{},
		names: map[string]string{}, taken: map[string]string{},
	}
}

func (c *checker) check(view bool) {
	if c.s.Event == "" {
		c.at("event", "the event has no name; add event: NAME")
	}
	if c.s.Box != nil && !view {
		c.at("box", "box credentials are secrets; move them to the secrets file")
	}
	if o := c.s.PortOffset; o < 0 || o > 60000 {
		c.at("port_offset", "port_offset is %d; it must be from 0 to 60000", o)
		return // every port would be wrong
	}
	c.multicast("multicast", c.s.Multicast.Interface, &c.s.Multicast.TTL)
	c.audio()
	c.renditions()
	for i, t := range c.s.Time {
		c.timeServer(fmt.Sprintf("time[%d]", i), t)
	}
	if c.s.Schedule != "" {
		c.webURL("schedule", c.s.Schedule, "http", "https")
	}
	c.boxes()
	c.rooms()
	c.servers()
}

func (c *checker) audio() {
	a := c.s.Audio
	if a.Rate != 48000 {
		c.at("audio.rate", "audio.rate is %d; only 48000 is sent", a.Rate)
	}
	if a.Channels != 2 {
		c.at("audio.channels", "audio.channels is %d; only 2 are sent", a.Channels)
	}
	if a.Bitrate < 32_000 || a.Bitrate > 512_000 {
		c.at("audio.bitrate", "audio.bitrate is %dk; AAC needs 32k to 512k", a.Bitrate/1000)
	}
	if a.TargetLUFS < -40 || a.TargetLUFS > -5 {
		c.at("audio.target_lufs", "audio.target_lufs is %g; use -40 to -5, such as -16", a.TargetLUFS)
	}
}

func (c *checker) renditions() {
	seen := map[string]bool{}
	for i, r := range c.s.Renditions {
		key := fmt.Sprintf("renditions[%d]", i)
		switch {
		case !c.name(key, "rendition", r.Name):
		case r.Name == "main":
			c.at(key+".name", "rendition main is the event's video; give this one another name, such as its height")
		case seen[strings.ToLower(r.Name)]:
			c.at(key+".name", "rendition %s is given twice; remove one", r.Name)
		}
		seen[strings.ToLower(r.Name)] = true
		switch {
		case r.Size == size{}:
			c.at(key, "rendition %s has no size; add size: 854x480", r.Name)
		case r.Size.width > c.s.Video.Size.width || r.Size.height > c.s.Video.Size.height:
			c.at(key+".size", "rendition %s is larger than the event's video; use at most %dx%d", r.Name, c.s.Video.Size.width, c.s.Video.Size.height)
		}
		if r.Bitrate == 0 {
			c.at(key, "rendition %s has no bitrate; add bitrate: 900k", r.Name)
		}
	}
}

// multicast checks an interface's name and a TTL; whether the interface exists
// is for the host that uses it.
func (c *checker) multicast(key, iface string, ttl *int) {
	if len(iface) > 15 || strings.ContainsAny(iface, "/: \t") {
		c.at(key+".interface", "%q is no interface's name; use one that ip link shows", iface)
	}
	if ttl != nil && (*ttl < 0 || *ttl > 255) {
		c.at(key+".ttl", "a ttl of %d; use 0 (this host) to 255", *ttl)
	}
}

func (c *checker) timeServer(key, server string) {
	host := server
	if h, port, err := net.SplitHostPort(server); err == nil {
		host = h
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			c.at(key, "time server %q: port %s is not from 1 to 65535", server, port)
			return
		}
	}
	if why := badHost(host); why != "" {
		c.at(key, "time server %q: %s", server, why)
	}
}

var validName = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38}[A-Za-z0-9])?$`)

// name checks what becomes part of paths, file names and host names.
func (c *checker) name(key, kind, name string) bool {
	switch {
	case name == "":
		c.at(key, "a %s without a name; add name: NAME", kind)
	case !validName.MatchString(name):
		c.at(key+".name", "%s name %q; use up to 40 letters, digits, - and _, with a letter or digit at both ends", kind, name)
	default:
		return true
	}
	return false
}

// unique reports a name that an element of the same list has.
func (c *checker) unique(key, kind, name string, seen map[string]bool) {
	if seen[strings.ToLower(name)] && name != "" {
		c.at(key+".name", "%s %s is given twice; remove or rename one", kind, name)
	}
	seen[strings.ToLower(name)] = true
}

var (
	hostName    = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$`)
	numericTail = regexp.MustCompile(`(?:^|\.)[0-9]+$`)
)

// badHost says what is wrong with a host, or "".
func badHost(host string) string {
	ip := net.ParseIP(host)
	switch {
	case host == "":
		return "there is no host; give a name or an IP address"
	case ip != nil && ip.IsMulticast():
		return host + " is a multicast group; give a host's address"
	case ip != nil && ip.IsUnspecified():
		return host + " is no host's address; give the one that others reach"
	case ip != nil:
		return ""
	case len(host) > 253 || !hostName.MatchString(host) || numericTail.MatchString(host):
		return fmt.Sprintf("%q is no host; give a name or an IP address, without a port", host)
	}
	return ""
}

func (c *checker) host(key, what, host string) bool {
	why := badHost(host)
	if why != "" {
		c.at(key, "%s: %s", what, why)
	}
	return why == ""
}

// claim reports a port that is out of range with the offset, or that something
// else on the same host uses.
func (c *checker) claim(key, host string, port int, what string) {
	if port < 1 || port > 65535 {
		c.at(key, "port %d of %s is not from 1 to 65535", port, what)
		return
	}
	if port+c.s.PortOffset > 65535 {
		c.at(key, "port %d of %s is above 65535 with port_offset %d; lower one of them", port, what, c.s.PortOffset)
		return
	}
	at := endpoint{strings.ToLower(host), port}
	if other, ok := c.used[at]; ok && other != what {
		c.at(key, "port %d on %s is used by %s and by %s; give one another port", port, host, other, what)
		return
	}
	c.used[at] = what
}

// webURL checks an absolute URL of one of some schemes and returns it, or nil.
func (c *checker) webURL(key, raw string, schemes ...string) *url.URL {
	example := schemes[len(schemes)-1] + "://HOST"
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || u.Fragment != "" || !slices.Contains(schemes, u.Scheme) {
		c.at(key, "%s: %q is no URL of the form %s", key, raw, example)
		return nil
	}
	if why := badHost(u.Hostname()); why != "" {
		c.at(key, "%s: %s", key, why)
		return nil
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			c.at(key, "%s: port %s is not from 1 to 65535", key, p)
			return nil
		}
	}
	return u
}

// portOf is a checked URL's port, or the usual one.
func portOf(u *url.URL, usual int) int {
	if n, err := strconv.Atoi(u.Port()); err == nil {
		return n
	}
	return usual
}

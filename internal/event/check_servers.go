package event

import (
	"fmt"
	"net/url"
	"strings"
)

// minMemory is what a cache needs for a minute of one room at 8 Mbit/s.
const minMemory = 64 << 20

func (c *checker) servers() {
	dirs := map[string]string{} // host and folder to who records there
	c.origins(dirs)
	c.caches()
	c.dumpers(dirs)
}

func (c *checker) origins(dirs map[string]string) {
	seen := map[string]bool{}
	for i, o := range c.s.Origins {
		key := fmt.Sprintf("origins[%d]", i)
		if !c.name(key, "origin", o.Name) {
			continue
		}
		c.unique(key, "origin", o.Name, seen)
		if o.RTMP == "" {
			c.at(key, "origin %s has no rtmp; add rtmp: \"rtmp://HOST/stream\"", o.Name)
		} else if u := c.webURL(key+".rtmp", o.RTMP, "rtmp"); u != nil {
			if strings.Trim(u.Path, "/") == "" || u.RawQuery != "" {
				c.at(key+".rtmp", "rtmp of origin %s: %q must end in the application; write rtmp://%s/stream", o.Name, o.RTMP, u.Host)
			}
			c.claim(key+".rtmp", u.Hostname(), portOf(u, rtmpPort), "RTMP of origin "+o.Name)
		}
		if u := c.server(key, "origin "+o.Name, o.HTTP); u != nil && o.Dir != "" {
			c.recordings(key, "origin "+o.Name, u.Hostname(), o.Dir, dirs)
		}
	}
}

// server checks the http URL of an origin or a cache; both serve at the root.
func (c *checker) server(key, what, raw string) *url.URL {
	if raw == "" {
		c.at(key, "%s has no http; add http: \"http://HOST:8080\"", what)
		return nil
	}
	u := c.webURL(key+".http", raw, "http")
	if u == nil {
		return nil
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		c.at(key+".http", "http of %s: %q must end after the host; write http://%s", what, raw, u.Host)
		return nil
	}
	c.claim(key+".http", u.Hostname(), portOf(u, 80), "HTTP of "+what)
	return u
}

func (c *checker) recordings(key, what, host, dir string, dirs map[string]string) {
	at := strings.ToLower(host) + ":" + dir
	if other, ok := dirs[at]; ok {
		c.at(key+".dir", "%s and %s record to one folder, %s on %s; give each its own", other, what, dir, host)
		return
	}
	dirs[at] = what
}

func (c *checker) caches() {
	seen := map[string]bool{}
	for i, s := range c.s.Caches {
		key := fmt.Sprintf("caches[%d]", i)
		if !c.name(key, "cache", s.Name) {
			continue
		}
		c.unique(key, "cache", s.Name, seen)
		c.server(key, "cache "+s.Name, s.HTTP)
		if s.Memory < minMemory {
			c.at(key+".memory", "cache %s has %d bytes of memory; give it at least 64MiB", s.Name, int64(s.Memory))
		}
		if len(c.s.Origins) == 0 {
			c.at(key, "cache %s has no origin to fetch from; add one under origins:", s.Name)
		}
	}
}

func (c *checker) dumpers(dirs map[string]string) {
	seen := map[string]bool{}
	for i, d := range c.s.Dumpers {
		key := fmt.Sprintf("dumpers[%d]", i)
		if !c.name(key, "dumper", d.Name) {
			continue
		}
		c.unique(key, "dumper", d.Name, seen)
		switch {
		case d.Host == "":
			c.at(key, "dumper %s has no host; add host: HOST", d.Name)
			continue
		case !c.host(key+".host", "host of dumper "+d.Name, d.Host):
			continue
		}
		c.claim(key+".host", d.Host, StatusPort+6, "the status of dump")
		if d.Dir == "" {
			c.at(key, "dumper %s has no dir; add dir: FOLDER", d.Name)
			continue
		}
		c.recordings(key, "dumper "+d.Name, d.Host, d.Dir, dirs)
	}
}

// Package bootcfg reads videobox.yaml, the file on a box's boot partition in
// which a person may say what the box is not to find out by itself. The
// partition is FAT, so that any laptop can write it.
//
// Nothing in it can keep a box from working: each line that is wrong is
// reported with its number, and the others count.
package bootcfg

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"github.com/openvideobox/videobox/internal/event"
)

// Name is the file's.
const Name = "videobox.yaml"

// Config is what the file says. What it doesn't say is zero.
type Config struct {
	Name                         string
	Width, Height, Rate, Bitrate int // bit/s

	Address netip.Prefix // IPv4; invalid: by DHCP
	Gateway netip.Addr
	DNS     []netip.Addr

	Log      string // host:port, UDP
	Control  string // URL of the event view, or of the host that serves it
	EventKey ed25519.PublicKey

	User, Bcrypt string
	Password     string // to be hashed; never kept
}

// Fault is a line that doesn't count.
type Fault struct {
	Line int
	Text string
}

// String names file and line.
func (f Fault) String() string { return fmt.Sprintf("%s:%d: %s", Name, f.Line, f.Text) }

// Parse reads a file. What is at fault in it is left out.
func Parse(data []byte) (Config, []Fault) {
	list, faults := lines(data)
	p := parser{faults: faults, at: map[string]int{}}
	for _, e := range list {
		p.entry(e)
	}
	p.together()
	sort.SliceStable(p.faults, func(i, j int) bool { return p.faults[i].Line < p.faults[j].Line })
	return p.c, p.faults
}

// Empty says whether a file says nothing at all, not even something wrong.
func Empty(data []byte) bool {
	list, faults := lines(data)
	return len(list)+len(faults) == 0
}

type parser struct {
	c      Config
	faults []Fault
	at     map[string]int // on which line a key stands
}

func (p *parser) fault(line int, format string, args ...any) {
	p.faults = append(p.faults, Fault{line, fmt.Sprintf(format, args...)})
}

// keys read one value each.
var keys = map[string]func(*Config, string) error{
	"name": func(c *Config, v string) (err error) {
		if err = event.CheckName(v); err == nil {
			c.Name = v
		}
		return err
	},
	"size":      func(c *Config, v string) (err error) { c.Width, c.Height, err = event.ParseSize(v); return },
	"rate":      func(c *Config, v string) (err error) { c.Rate, err = event.ParseRate(v); return },
	"bitrate":   func(c *Config, v string) (err error) { c.Bitrate, err = event.ParseBitrate(v); return },
	"address":   setAddress,
	"gateway":   func(c *Config, v string) (err error) { c.Gateway, err = ipv4(v); return },
	"log":       setLog,
	"control":   setControl,
	"event_key": setEventKey,
	"user": func(c *Config, v string) error {
		if strings.ContainsAny(v, ":\x00") || len(v) > 64 {
			return errors.New("a user has at most 64 characters and no colon")
		}
		c.User = v
		return nil
	},
	"bcrypt":   setBcrypt,
	"password": setPassword,
}

func (p *parser) entry(e entry) {
	set, known := keys[e.key]
	switch {
	case !known && e.key != "dns":
		p.fault(e.line, "unknown key %q; known are %s", short(e.key), strings.Join(allKeys(), ", "))
		return
	case p.at[e.key] != 0:
		p.fault(e.line, "%s stands on line %d already; remove one", e.key, p.at[e.key])
		return
	case len(e.values) == 0:
		p.fault(e.line, "%s has no value; give one or remove the line", e.key)
		return
	}
	p.at[e.key] = e.line
	if e.key == "dns" {
		p.dns(e)
		return
	}
	if len(e.values) > 1 {
		p.fault(e.line, "%s is a list; give one value", e.key)
		return
	}
	if err := set(&p.c, e.values[0]); err != nil {
		p.fault(e.line, "%s: %v", e.key, err)
	}
}

func (p *parser) dns(e entry) {
	if len(e.values) > 3 {
		p.fault(e.line, "dns: %d servers; at most 3 are asked", len(e.values))
		return
	}
	for _, v := range e.values {
		a, err := netip.ParseAddr(v)
		if err != nil || a.IsMulticast() || a.IsUnspecified() || a.Zone() != "" {
			p.fault(e.line, "dns: %q is no server's address; write [192.0.2.1, 192.0.2.2]", short(v))
			continue
		}
		p.c.DNS = append(p.c.DNS, a)
	}
}

// together checks what one line can't say alone.
func (p *parser) together() {
	c := &p.c
	if c.Gateway.IsValid() && !c.Address.Contains(c.Gateway) {
		why := "gateway: %s is not in the network of the address; give one that the box reaches"
		if !c.Address.IsValid() {
			why = "gateway: %s counts only with an address; add address: 192.0.2.7/24, or leave both to DHCP"
		}
		p.fault(p.at["gateway"], why, c.Gateway)
		c.Gateway = netip.Addr{}
	}
	if len(c.DNS) > 0 && !c.Address.IsValid() {
		p.fault(p.at["dns"], "dns counts only with an address; add address: 192.0.2.7/24, or leave both to DHCP")
		c.DNS = nil
	}
	if c.Bcrypt != "" && c.Password != "" {
		p.fault(p.at["password"], "password and bcrypt are both given; remove one")
		c.Password = ""
	}
	secret := c.Bcrypt != "" || c.Password != ""
	switch {
	case secret && c.User == "":
		if p.at["user"] == 0 { // else its fault is reported
			p.fault(max(p.at["password"], p.at["bcrypt"]), "a password without a user; add user: admin")
		}
		c.Bcrypt, c.Password = "", ""
	case !secret && c.User != "":
		if p.at["password"]+p.at["bcrypt"] == 0 {
			p.fault(p.at["user"], "a user without a password; add bcrypt: (htpasswd -nB USER makes it) or password:")
		}
		c.User = ""
	}
}

func allKeys() (list []string) {
	list = append(list, "dns")
	for k := range keys {
		list = append(list, k)
	}
	sort.Strings(list)
	return list
}

// short keeps an error from becoming as long as a mistake.
func short(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

func ipv4(v string) (netip.Addr, error) {
	a, err := netip.ParseAddr(v)
	if err != nil || !a.Is4() || a.IsMulticast() || a.IsUnspecified() {
		return netip.Addr{}, fmt.Errorf("%q is no IPv4 address such as 192.0.2.1", short(v))
	}
	return a, nil
}

func setAddress(c *Config, v string) error {
	if v == "dhcp" {
		return nil
	}
	p, err := netip.ParsePrefix(v)
	a := p.Addr()
	switch {
	case err != nil && !strings.Contains(v, "/"):
		return fmt.Errorf("%q has no length of its network; write 192.0.2.7/24, or dhcp", short(v))
	case err != nil || !a.Is4() || p.Bits() < 8 || p.Bits() > 30:
		return fmt.Errorf("%q is no IPv4 address with its network; write 192.0.2.7/24, or dhcp", short(v))
	case a.IsMulticast() || a.IsUnspecified() || a.IsLoopback() || a == p.Masked().Addr() || a == broadcast(p):
		return fmt.Errorf("%q is no host's address; write 192.0.2.7/24, or dhcp", short(v))
	}
	c.Address = p
	return nil
}

// broadcast is a network's last address.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

const syslogPort = "514" // RFC 5426, 3.3

func setLog(c *Config, v string) error {
	host, port := v, syslogPort
	if h, p, err := net.SplitHostPort(v); err == nil {
		host, port = h, p
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("port %q is not from 1 to 65535", short(port))
	}
	if err := event.CheckHost(host); err != nil {
		return errors.New(short(err.Error()) + "; write HOST or HOST:PORT")
	}
	c.Log = net.JoinHostPort(host, port)
	return nil
}

func setControl(c *Config, v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || event.CheckHost(u.Hostname()) != nil {
		return fmt.Errorf("%q is no URL; write http://HOST:8000", short(v))
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/event.yaml"
	}
	u.Fragment = ""
	c.Control = u.String()
	return nil
}

func setEventKey(c *Config, v string) error {
	raw, err := base64.StdEncoding.DecodeString(v)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return errors.New("no ed25519 public key; it is 32 bytes in base64")
	}
	c.EventKey = raw
	return nil
}

// The two below never show the value.

func setBcrypt(c *Config, v string) error {
	if !event.IsBcrypt(v) {
		return errors.New("no bcrypt hash; make one with htpasswd -nB USER")
	}
	c.Bcrypt = v
	return nil
}

func setPassword(c *Config, v string) error {
	if len(v) < 6 || len(v) > 72 {
		return errors.New("a password has from 6 to 72 bytes")
	}
	c.Password = v
	return nil
}

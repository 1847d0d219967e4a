package identity

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/google/renameio/v2"

	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/internal/event"
)

// files are what the box's other programs are told.
type files struct{ name, event, secrets string }

const secretsFile = "event.secrets.yaml"

// source is the event that counts, and how the box is called in it.
type source struct {
	event  *event.Event
	from   string
	box    string // in the event; "" when it isn't listed
	name   string
	signed bool
}

// source puts together what is known, the more particular first: a name from
// videobox.yaml, the event file on the box, the view, the image.
func (i *Identity) source() source {
	s := source{event: i.image, from: i.image.Path}
	switch {
	case i.local != nil:
		s.event, s.from = i.local, i.local.Path
	case i.view != nil:
		s.event, s.from, s.signed = i.view.event, i.view.url, i.view.signed
	default:
		s.name = i.cfg.Name
	}
	if s.event != i.image {
		s.box = i.boxIn(s.event)
		s.name = s.box
		if i.cfg.Name != "" {
			s.name = i.cfg.Name
		}
	}
	if s.name == "" {
		mac := i.nic.MAC
		s.name = fmt.Sprintf("videobox-%02x%02x%02x", mac[3], mac[4], mac[5])
	}
	return s
}

// boxIn finds this box in an event: by the name that a person gave it, by its
// hardware address, or as the only one in a file that was put onto it.
func (i *Identity) boxIn(e *event.Event) string {
	if b, err := e.Box(i.cfg.Name); err == nil {
		return b.Name
	}
	if b, err := e.BoxByMAC(i.nic.MAC); err == nil {
		return b.Name
	}
	if e == i.local && len(e.Boxes) == 1 {
		return e.Boxes[0].Name
	}
	return ""
}

// login is whom the box lets in: videobox.yaml's, else the event's, which a
// view says only under its signature, else the image's.
func (i *Identity) login(e *event.Event) event.BoxLogin {
	switch l := e.Secrets.Box; {
	case i.cfg.Bcrypt != "":
		return event.BoxLogin{User: i.cfg.User, Bcrypt: i.cfg.Bcrypt}
	case l.Bcrypt != "":
		return event.BoxLogin{User: l.User, Bcrypt: l.Bcrypt}
	}
	l := i.image.Secrets.Box
	return event.BoxLogin{User: l.User, Bcrypt: l.Bcrypt}
}

// address is the one to show: the event's own if the box has it, else the
// first that it has.
func (i *Identity) address(s source) string {
	if b, err := s.event.Box(s.box); err == nil {
		if a, err := netip.ParseAddr(b.Address); err == nil && slices.Contains(i.addrs, a) {
			return b.Address
		}
	}
	if len(i.addrs) > 0 {
		return i.addrs[0].String()
	}
	return ""
}

// write writes the files whenever something of them has changed.
func (i *Identity) write() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.source()
	want, err := i.files(s)
	if err != nil && s.event != i.image {
		// What videobox.yaml and the event say don't go together: then neither.
		i.causes["together"] = err.Error()
		s = source{event: i.image, from: i.image.Path, name: s.name}
		want, err = i.files(s)
	}
	if err != nil {
		return err
	}
	if want != i.written {
		if err := i.writeFiles(want); err != nil {
			return err
		}
		i.written = want
		if e, err := event.Parse("event", []byte(want.event)); err == nil {
			i.now.HTTP, i.now.Stream = portOf(e.Boxes[0].HTTPAddr), portOf(e.Boxes[0].StreamAddr)
		}
	}
	i.status(s)
	return nil
}

func (i *Identity) files(s source) (files, error) {
	f := files{name: s.name}
	login := i.login(s.event)
	bf := event.BoxFile{
		Box: s.box, Name: s.name, Address: i.address(s),
		Width: i.cfg.Width, Height: i.cfg.Height, Rate: i.cfg.Rate, Bitrate: i.cfg.Bitrate,
	}
	if login.Bcrypt != "" {
		bf.Secrets = secretsFile
		data, err := yaml.Marshal(map[string]map[string]string{"box": {"user": login.User, "bcrypt": login.Bcrypt}})
		if err != nil {
			return f, err
		}
		f.secrets = string(data)
	}
	data, err := s.event.OfBox(bf)
	f.event = string(data)
	return f, err
}

// writeFiles writes the event last: programs look at its time, and when it is
// new the others are so, too.
func (i *Identity) writeFiles(f files) error {
	if err := os.MkdirAll(i.o.Run, 0o755); err != nil {
		return err
	}
	if f.name != i.written.name {
		slog.Info("this box is", "name", f.name, "mac", i.nic.MAC.String())
		if err := i.o.Hostname(f.name); err != nil {
			i.causes["host name"] = err.Error()
		}
	}
	for _, x := range []struct {
		file, text string
		mode       os.FileMode
	}{{secretsFile, f.secrets, 0o600}, {self.NameFile, f.name + "\n", 0o644}, {"event.yaml", f.event, 0o644}} {
		path := filepath.Join(i.o.Run, x.file)
		if x.text == "" {
			_ = os.Remove(path)
			continue
		}
		if err := renameio.WriteFile(path, []byte(x.text), x.mode); err != nil {
			return err
		}
	}
	return nil
}

// status notes what was written. The caller holds the lock.
func (i *Identity) status(s source) {
	n := &i.now
	n.MAC, n.Name, n.Event, n.Source, n.Signed = i.nic.MAC.String(), s.name, s.event.Name, s.from, s.signed
	n.Room, n.Role, n.Log = "", "", i.cfg.Log
	if s.box != "" {
		if room, role, ok := s.event.RoomOf(s.box); ok {
			n.Room, n.Role = room.Name, role
		}
	}
	n.Addresses = nil
	for _, a := range i.addrs {
		n.Addresses = append(n.Addresses, a.String())
	}
	n.Causes = nil
	for _, text := range i.causes {
		n.Causes = append(n.Causes, text)
	}
	for url, text := range i.refused {
		n.Causes = append(n.Causes, fmt.Sprintf("the event view of %s is refused: %s", url, text))
	}
	slices.Sort(n.Causes)
}

func portOf(addr string) int {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return n
}

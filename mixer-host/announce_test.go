package main

import (
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/dnssd"
	"github.com/openvideobox/videobox/internal/event"
)

func announced(t *testing.T, name, host string) (dnssd.Service, bool) {
	t.Helper()
	e, err := event.Parse("event.yaml", []byte("event: "+name+"\nport_offset: 5\nboxes:\n  - {name: b}\nrooms:\n  - {name: janson, camera: b, mixer: {host: \""+host+"\"}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return announcement(e, e.Rooms[0])
}

// make run and the tests have their mixers on loopback: nothing may reach the
// network from there.
func TestNothingIsAnnouncedOfLoopback(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost", "::1", "127.0.0.2"} {
		if s, ok := announced(t, "Conf", host); ok {
			t.Errorf("%s: %+v", host, s)
		}
	}
}

func TestAnnouncement(t *testing.T) {
	s, ok := announced(t, "Conf", "mixer1.example")
	if !ok || s.Type != dnssd.Event || s.Name != "Conf: janson" || s.Port != 8005 || s.Text["path"] != "/event.yaml" {
		t.Errorf("%+v, %v", s, ok)
	}
	if s, ok := announced(t, strings.Repeat("long", 100), "mixer1.example"); !ok || len(s.Name) > 63 || !strings.HasSuffix(s.Name, ": janson") || len(s.Text["event"]) > 200 {
		t.Errorf("%+v, %v", s, ok)
	}
}

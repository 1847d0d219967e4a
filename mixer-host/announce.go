package main

import (
	"net"
	"strconv"

	"github.com/openvideobox/videobox/internal/dnssd"
	"github.com/openvideobox/videobox/internal/event"
)

// announcement is how boxes find the event that this host serves. A mixer on a
// loopback address has none: nobody else could reach it.
func announcement(e *event.Event, room event.Room) (s dnssd.Service, ok bool) {
	host, port, err := net.SplitHostPort(event.Listen(room.ControlAddr))
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || host != "" {
		return s, false
	}
	name := e.Name + ": " + room.Name
	for len(name) > 63 { // a label's length; a cut name is still another one for each room
		name = name[1:]
	}
	return dnssd.Service{
		Type: dnssd.Event, Name: name, Port: n,
		Text: map[string]string{"event": cut(e.Name, 200), "room": room.Name, "path": "/event.yaml"},
	}, true
}

func cut(s string, n int) string { return s[:min(n, len(s))] }

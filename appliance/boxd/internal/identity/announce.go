package identity

import (
	"context"
	"strconv"
	"time"

	"github.com/openvideobox/videobox/internal/dnssd"
	"github.com/openvideobox/videobox/internal/metrics"
)

// Announce announces the box in the local network, anew when it is called
// something else, until the context ends.
func (i *Identity) Announce(ctx context.Context) error {
	return i.announce(ctx, dnssd.Announce)
}

func (i *Identity) announce(ctx context.Context, announce func(context.Context, dnssd.Service) error) error {
	said := ""
	stop := func() {}
	defer func() { stop() }()
	for {
		if s := i.service(); s.Name != "" && key(s) != said {
			stop()
			said = key(s)
			one, cancel := context.WithCancel(ctx)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = announce(one, s) // a box that isn't announced still works, and Announce logs why
			}()
			stop = func() { cancel(); <-ended }
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// service is what is announced of the box.
func (i *Identity) service() dnssd.Service {
	s := i.Status()
	return dnssd.Service{
		Type: dnssd.Box, Name: s.Name, Host: s.Name, Port: s.HTTP,
		Text: map[string]string{
			"name": s.Name, "room": s.Room, "role": s.Role, "mac": s.MAC, "version": metrics.Version(),
			"http": strconv.Itoa(s.HTTP), "stream": strconv.Itoa(s.Stream),
		},
	}
}

// key tells services apart.
func key(s dnssd.Service) string {
	return s.Name + "\n" + strconv.Itoa(s.Port) + "\n" + s.Text["room"] + "\n" + s.Text["role"] + "\n" + s.Text["stream"]
}

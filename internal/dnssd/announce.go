// Package dnssd finds services in the local network and announces them, by
// DNS-based service discovery (RFC 6763) over multicast DNS (RFC 6762).
//
// Announcing is brutella/dnssd's work. Looking up isn't: a lookup is one
// question from a port of its own, to which responders answer by unicast (RFC
// 6762, 6.7), so that asking again and again for days holds no socket open and
// leaves no goroutine behind. Tested against brutella/dnssd v1.2.14 in a
// network namespace.
package dnssd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/brutella/dnssd"
)

// Types of services, as in RFC 6763, 7.
const (
	Box   = "_videobox._tcp"       // a box: its page's port
	Event = "_videobox-event._tcp" // serves the event's view at /event.yaml
)

// Service is what is announced.
type Service struct {
	Type string // such as Box
	Name string // of the instance; another one's name gets a number
	Host string // without .local; "" is the system's name
	Port int
	Text map[string]string // TXT record; the whole at most 1300 bytes
}

// maxText is what a TXT record may have for its packet to fit Ethernet, RFC
// 6763, 6.2.
const maxText = 1300

func (s Service) check() error {
	size := 0
	for k, v := range s.Text {
		if n := len(k) + 1 + len(v); n > 255 {
			return fmt.Errorf("dnssd: text %s has %d bytes; at most 255 fit", k, n)
		} else {
			size += n + 1
		}
	}
	switch {
	case size > maxText:
		return fmt.Errorf("dnssd: %d bytes of text; at most %d fit", size, maxText)
	case s.Name == "" || len(s.Name) > 63:
		return fmt.Errorf("dnssd: the name %q; from 1 to 63 bytes fit", s.Name)
	}
	return nil
}

// recheck is how often the interfaces' addresses are looked at.
const recheck = 3 * time.Second

// errMoved ends an announcement that is no longer true.
var errMoved = errors.New("the addresses of this host have changed")

// Announce announces a service on every interface until the context ends, anew
// when the host's addresses change. What goes wrong in between, such as a
// network that isn't there, is tried again. It returns early only for a service
// that can't be announced at all.
func Announce(ctx context.Context, s Service) error {
	if err := s.check(); err != nil {
		return err
	}
	var said string
	for {
		err := announceOnce(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, errMoved) && err != nil && err.Error() != said {
			said = err.Error()
			slog.Warn("not announced in the local network; trying again", "service", s.Type, "err", err)
		}
		select {
		case <-time.After(recheck):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// announceOnce runs a responder while the addresses stay what they are. The
// library's goroutines see the end of a context that is canceled, but not one
// whose deadline passes.
func announceOnce(ctx context.Context, s Service) error {
	here := addresses()
	if here == "" {
		return errMoved // nothing to announce yet
	}
	service, err := dnssd.NewService(dnssd.Config{Name: s.Name, Type: s.Type, Host: s.Host, Port: s.Port, Text: s.Text})
	if err != nil {
		return err
	}
	responder, err := dnssd.NewResponder()
	if err != nil {
		return err
	}
	if _, err := responder.Add(service); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for sleep(ctx, recheck) {
			if addresses() != here {
				cancel(errMoved)
			}
		}
	}()
	err = responder.Respond(ctx)
	cause := context.Cause(ctx)
	cancel(nil)
	<-watched
	if cause != nil {
		return cause
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// addresses are those of the interfaces that multicast goes through, as a text
// to compare.
func addresses() string {
	var list []string
	for _, i := range interfaces() {
		all, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range all {
			list = append(list, i.Name+" "+a.String())
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// interfaces are those that are up and know multicast, without loopback.
func interfaces() (list []net.Interface) {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagMulticast != 0 && i.Flags&net.FlagLoopback == 0 {
			list = append(list, i)
		}
	}
	return list
}

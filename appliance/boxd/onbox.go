package main

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/appliance/boxd/internal/bootcfg"
	"github.com/openvideobox/videobox/appliance/boxd/internal/console"
	"github.com/openvideobox/videobox/appliance/boxd/internal/identity"
	"github.com/openvideobox/videobox/appliance/boxd/internal/logs"
	"github.com/openvideobox/videobox/appliance/boxd/internal/network"
	"github.com/openvideobox/videobox/appliance/boxd/internal/perm"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/dnssd"
)

// Where a box has its things.
const (
	runDir = "/run/videobox"
	etcDir = "/etc/videobox"
)

// onBox is what boxd does on an image and nowhere else: it finds out what the
// box is, announces it, and keeps its logs. It lives as long as boxd does.
type onBox struct {
	identity *identity.Identity
	ring     *logs.Ring
	syslog   *logs.Syslog
}

func newOnBox(ctx context.Context, prepared *perm.Task) (*onBox, error) {
	id, err := identity.New(identity.Options{
		Run: runDir, Perm: perm.Dir, Etc: etcDir, Sys: network.SysNet, PermReady: usable(ctx, prepared),
		Client:    &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Boot:      func() ([]byte, bool, error) { return bootcfg.OnBoot(filepath.Join(runDir, "boot")) },
		Lookup:    lookupEvents,
		Fallback:  []string{"http://videobox-control/event.yaml", "http://videobox-control:8000/event.yaml"},
		Addresses: network.Addresses,
		Fix: func(ctx context.Context, iface string, f network.Fixed) error {
			return f.Set(ctx, initSocket, iface)
		},
		Hostname: func(name string) error { return unix.Sethostname([]byte(name)) },
	})
	if err != nil {
		return nil, err
	}
	o := &onBox{identity: id}
	o.syslog = logs.NewSyslog(func() string { return id.Status().Log }, func() string { return id.Status().Name })
	o.ring = logs.NewRing(filepath.Join(perm.Dir, "videobox", "log"), logs.BootID(), usable(ctx, prepared), clock.System, o.syslog.Add)
	return o, nil
}

// usable is closed once the data partition is there to be read and written. One
// that is missing never is.
func usable(ctx context.Context, t *perm.Task) <-chan struct{} {
	ready := make(chan struct{})
	go func() {
		select {
		case <-t.Done():
			if s := t.Result().State; s != perm.Missing && s != perm.Working {
				close(ready)
			}
		case <-ctx.Done():
		}
	}()
	return ready
}

// lookupEvents finds mixer hosts.
func lookupEvents(ctx context.Context) (urls []string, err error) {
	found, err := dnssd.Lookup(ctx, dnssd.Event, 2*time.Second)
	for _, f := range found {
		urls = append(urls, "http://"+f.Addr.String()+"/event.yaml")
	}
	return urls, err
}

// parts end when boxd does.
func (o *onBox) parts() []part {
	return []part{
		{"identity", o.identity.Run},
		{"announcement", o.identity.Announce},
		{"log", o.ring.Run},
		{"programs' logs", func(ctx context.Context) error {
			return o.ring.Follow(ctx, initSocket, logs.Programs("/"))
		}},
		{"kernel's log", func(ctx context.Context) error { return o.ring.Kernel(ctx, "/dev/kmsg") }},
		{"syslog", o.syslog.Run},
	}
}

// console is the box's serial console, which also tells of a page's health.
func (o *onBox) console(ctx context.Context, s *server) error {
	return console.Run(ctx, console.Path, func() console.State {
		is, health := o.identity.Status(), s.reporter.Status()
		c := console.State{Addresses: is.Addresses, Name: is.Name, Room: is.Room, Role: is.Role, State: string(health.State), Cause: health.Cause}
		for _, cause := range is.Causes {
			c.Cause += "; " + cause
		}
		return c
	})
}

// identityRows are what the page says about where its box's name is from, and
// what is wrong with what it was told.
func (o *onBox) rows() []row {
	is := o.identity.Status()
	r := row{ID: "identity", Label: "Event", Text: is.Event + ", from " + is.Source}
	if is.Signed {
		r.Text += ", signed"
	}
	for _, cause := range is.Causes {
		r.Text += "; " + cause
		r.State = "degraded"
	}
	a := row{ID: "addresses", Label: "Addresses"}
	for i, x := range is.Addresses {
		if i > 0 {
			a.Text += ", "
		}
		a.Text += x
	}
	if a.Text == "" {
		a.Text, a.State = "none yet", "degraded"
	}
	return []row{r, a}
}

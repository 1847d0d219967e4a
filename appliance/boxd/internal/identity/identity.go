// Package identity finds out what a box is: its name and room by its hardware
// address from the event's view, which it finds in the network, or what
// videobox.yaml on its boot partition says instead. It writes what the box's
// other programs are told: an event file with this one box.
//
// Nothing here can keep a box from sending. Without a network it is what it was
// when it last had one, and a new box without an event is called videobox- and
// the last three bytes of its hardware address.
package identity

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/openvideobox/videobox/appliance/boxd/internal/bootcfg"
	"github.com/openvideobox/videobox/appliance/boxd/internal/network"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/event"
)

const (
	// patience is how long a new box waits for /perm and for a first view before
	// it says what it is: programs that have begun under one name start again for
	// another.
	patience = 5 * time.Second
	// wiredBy is how long a wired interface may take to appear: a USB one does
	// on a Raspberry Pi 3.
	wiredBy = 3 * time.Second
	look    = time.Second // at addresses

	// A box without a view asks often at first, one that has it seldom.
	askSoon, askOften, askAgain = 2 * time.Second, time.Minute, 30 * time.Second
)

// Options are where a box keeps and finds things; tests have others.
type Options struct {
	Run  string // written for the other programs
	Perm string // the data partition
	Etc  string // the image's files
	Sys  string // network.SysNet
	// PermReady is closed once something may be read from and written to Perm.
	PermReady <-chan struct{}
	Clock     clock.Clock // of intervals; nil: the time since New
	Client    *http.Client

	Boot      func() (data []byte, there bool, err error)        // videobox.yaml on the boot partition
	Lookup    func(context.Context) ([]string, error)            // URLs of views in the local network
	Fallback  []string                                           // URLs to try when that finds none
	Addresses func() []netip.Addr                                // of the box
	Fix       func(context.Context, string, network.Fixed) error // an interface's address
	Hostname  func(string) error                                 // sets it
}

// Identity is a box that is finding out.
type Identity struct {
	o       Options
	nic     network.Interface
	image   *event.Event  // the image's default
	changed chan struct{} // of capacity 1: something is to be written
	began   int64

	mu      sync.Mutex
	cfg     bootcfg.Config
	local   *event.Event // /perm/event.yaml, by hand; then no view counts
	view    *view
	refused map[string]string // by URL
	causes  map[string]string // by what is wrong
	addrs   []netip.Addr
	now     Status
	written files
}

// Status is what the box has found out.
type Status struct {
	MAC       string    `json:"mac"`
	Name      string    `json:"name"`
	Room      string    `json:"room,omitempty"`
	Role      string    `json:"role,omitempty"`
	Event     string    `json:"event"`
	Source    string    `json:"source"`         // of name and room: a URL or a file
	Signed    bool      `json:"signed"`         // by the event's key, which this box has
	Asked     time.Time `json:"asked,omitzero"` // when a view was last there, or said to be unchanged
	Addresses []string  `json:"addresses"`
	Causes    []string  `json:"causes,omitempty"` // what is wrong with what it was told

	HTTP, Stream int    `json:"-"` // ports
	Log          string `json:"-"` // where syslog goes, host:port or ""
}

// New reads what the image says.
func New(o Options) (*Identity, error) {
	image, err := event.Load(filepath.Join(o.Etc, "event.yaml"))
	if err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = sinceStart(time.Now())
	}
	return &Identity{
		o: o, image: image, changed: make(chan struct{}, 1), began: o.Clock.Now(),
		refused: map[string]string{}, causes: map[string]string{},
	}, nil
}

// sinceStart is a clock in ns that goes on evenly while a box's is set: the
// first answer of a time server comes in just these seconds.
type sinceStart time.Time

func (c sinceStart) Now() int64 { return int64(time.Since(time.Time(c))) }

func (c sinceStart) After(t int64) (<-chan struct{}, func()) {
	reached := make(chan struct{})
	timer := time.AfterFunc(time.Duration(t-c.Now()), func() { close(reached) })
	return reached, func() { timer.Stop() }
}

// Status is what is known now; zero before the first file is written.
func (i *Identity) Status() Status {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.now
	s.Causes = slices.Clone(s.Causes)
	return s
}

// Run finds out and keeps asking until the context ends.
func (i *Identity) Run(ctx context.Context) error {
	if err := i.findInterface(ctx); err != nil {
		return err
	}
	onBoot, there := i.readBoot(ctx)
	asking := make(chan error, 1)
	askCtx, stop := context.WithCancel(ctx)
	go func() { asking <- i.askForEver(askCtx) }()
	defer func() { stop(); <-asking }()

	if err := i.waitForPerm(ctx, patience); err != nil {
		return err
	}
	settled := i.permReady()
	if settled {
		i.readPerm(onBoot, there)
	}
	if err := i.waitForView(ctx); err != nil {
		return err
	}
	for {
		if !settled && i.permReady() {
			settled = true
			i.readPerm(onBoot, there)
		}
		i.lookAtAddresses()
		if err := i.write(); err != nil {
			i.cause("files", fmt.Sprintf("what this box is could not be written: %v", err))
		}
		if err := i.pause(ctx, look, i.changed); err != nil {
			return err
		}
	}
}

// pause waits for that time, or until something happens.
func (i *Identity) pause(ctx context.Context, d time.Duration, happens <-chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	reached, stop := i.o.Clock.After(i.o.Clock.Now() + int64(d))
	defer stop()
	select {
	case <-reached:
	case <-happens:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (i *Identity) age() time.Duration { return time.Duration(i.o.Clock.Now() - i.began) }

// findInterface waits a moment for a wired interface, then takes what is there.
func (i *Identity) findInterface(ctx context.Context) error {
	for {
		nic, err := network.First(i.o.Sys)
		if err == nil && (nic.Wired || i.age() >= wiredBy) {
			i.nic = nic
			return nil
		}
		if err != nil && i.age() >= wiredBy {
			slog.Error("no network interface gives this box a name", "err", err)
			i.nic.MAC = make([]byte, 6)
			return nil
		}
		if err := i.pause(ctx, look/10, nil); err != nil {
			return err
		}
	}
}

// readBoot reads the boot partition's file. What counts of it at once is the
// address, without which there may be no network, and where the event is.
func (i *Identity) readBoot(ctx context.Context) (data []byte, there bool) {
	data, there, err := i.o.Boot()
	if err != nil {
		i.cause("boot partition", err.Error())
	}
	if there {
		c, _ := bootcfg.Parse(data)
		i.configure(ctx, c)
	}
	return data, there
}

// configure takes a configuration over.
func (i *Identity) configure(ctx context.Context, c bootcfg.Config) {
	i.mu.Lock()
	old := i.cfg
	i.cfg = c
	i.mu.Unlock()
	fixed := network.Fixed{Address: c.Address, Gateway: c.Gateway, DNS: c.DNS}
	same := old.Address == c.Address && old.Gateway == c.Gateway && slices.Equal(old.DNS, c.DNS)
	if !c.Address.IsValid() || same {
		return
	}
	slog.Info("the address is fixed", "address", c.Address, "gateway", c.Gateway, "interface", i.nic.Name)
	if err := i.o.Fix(ctx, i.nic.Name, fixed); err != nil {
		i.cause("address", err.Error())
	}
}

func (i *Identity) permReady() bool {
	select {
	case <-i.o.PermReady:
		return true
	default:
		return false
	}
}

func (i *Identity) waitForPerm(ctx context.Context, d time.Duration) error {
	return i.pause(ctx, d-min(d, i.age()), i.o.PermReady)
}

// waitForView gives a box that knows nothing yet the rest of its patience.
func (i *Identity) waitForView(ctx context.Context) error {
	for i.age() < patience && !i.informed() {
		if err := i.pause(ctx, patience-i.age(), i.changed); err != nil {
			return err
		}
	}
	return nil
}

func (i *Identity) informed() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.view != nil || i.local != nil
}

// touch has the files written anew soon.
func (i *Identity) touch() {
	select {
	case i.changed <- struct{}{}:
	default:
	}
}

func (i *Identity) lookAtAddresses() {
	list := i.o.Addresses()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.addrs = list
}

// cause says what is wrong with something, once; "" that nothing is any more.
func (i *Identity) cause(what, text string) {
	i.mu.Lock()
	old := i.causes[what]
	if text == "" {
		delete(i.causes, what)
	} else {
		i.causes[what] = text
	}
	i.mu.Unlock()
	if text != "" && text != old {
		slog.Warn(text, "about", what)
	}
}

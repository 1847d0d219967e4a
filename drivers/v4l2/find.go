package v4l2

import (
	"errors"
	"fmt"
	"slices"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/usb"
)

// Auto as a path stands for the capture device that is there.
const Auto = "auto"

// Device is a capture device that was found.
type Device struct {
	Node  string // /dev/video0
	Card  string // as the driver calls it
	USB   usb.Device
	OnUSB bool // USB is set
	Model Model
	Modes []Mode // of one with an Input: those of its signal
	// Input is what it says about its signal; nil: it says nothing.
	Input *InputInfo
	// Warning is what isn't as it should be; empty: nothing.
	Warning string
}

func (d Device) String() string {
	if d.OnUSB {
		return d.Node + ", " + d.USB.String()
	}
	return d.Node
}

// Model is what is known about a kind of device.
type Model struct {
	Known bool   // a capture stick that is taken before all others
	Pixel string // the format to prefer; empty: none
}

// want is what to choose for the device.
func (c Config) want(d Device) Want {
	w := Want{Width: c.Width, Height: c.Height, Rate: c.Rate, Pixel: d.Model.Pixel, Raw: rawOnUSB2}
	switch {
	case !d.OnUSB:
		w.Raw = rawOnPCI
	case d.USB.Speed >= 5000:
		w.Raw = rawOnUSB3
	}
	return w
}

// Choose picks the device's mode for this configuration, and says why.
func (c Config) Choose(d Device) (Mode, string, error) { return Choose(d.Modes, c.want(d)) }

// look is what sysfs says about a node, without opening it.
func (c Config) look(node string) Device {
	d := Device{Node: node}
	if u, err := c.USB.Of(node); err == nil {
		d.USB, d.OnUSB = u, true
		if c.Models != nil {
			d.Model = c.Models(u)
		}
	}
	return d
}

// ask fills in what the device itself says.
func (c Config) ask(d Device) (Device, error) {
	var err error
	if d.Card, d.Modes, err = c.Kernel.Modes(d.Node); err != nil {
		return d, err
	}
	in, err := c.Kernel.Input(d.Node)
	if errors.Is(err, ErrNoTimings) {
		return d, nil
	} else if err != nil {
		return d, err
	}
	d.Input = inputInfo(d.Node, in)
	return d, in.Close()
}

// candidates are the nodes to try, the best first: of an Auto path sticks that
// are known, other USB devices, others, each in the order of their numbers.
//
// A path is that node at first. Once it has delivered its device is followed:
// to the node that the same socket has now, else to one of the same model,
// because a stick that is plugged in again may get another number.
func (s *Source) candidates() ([]Device, error) {
	nodes, err := s.cfg.Kernel.Nodes()
	if err != nil {
		return nil, failure(drivers.NoDevice, err)
	}
	var all []Device
	for _, n := range nodes {
		all = append(all, s.cfg.look(n))
	}
	if s.cfg.Path != Auto {
		return s.follow(all), nil
	}
	if len(all) == 0 {
		return nil, failure(drivers.NoDevice, errors.New("there is no capture device"))
	}
	slices.SortStableFunc(all, func(a, b Device) int { return s.order(a) - s.order(b) })
	return all, nil
}

func (s *Source) order(d Device) int {
	switch {
	case s.good.OnUSB && d.OnUSB && d.USB.Path == s.good.USB.Path:
		return 0
	case d.Model.Known:
		return 1
	case d.OnUSB:
		return 2
	}
	return 3
}

// follow gives the nodes of the device that delivered last, or the path.
func (s *Source) follow(all []Device) []Device {
	if s.good.OnUSB {
		same := func(d Device) bool { return d.OnUSB && d.USB.Path == s.good.USB.Path }
		if !slices.ContainsFunc(all, same) {
			same = func(d Device) bool { return d.OnUSB && d.USB.ID() == s.good.USB.ID() }
		}
		if found := slices.DeleteFunc(slices.Clone(all), func(d Device) bool { return !same(d) }); len(found) > 0 {
			return found
		}
	}
	return []Device{s.cfg.look(s.cfg.Path)}
}

// Places of devices among those that Auto may take.
const (
	known     = iota // its model is
	receiving        // it tells about its signal, so it is made to capture from
	inTurn           // any other, by how often one was in vain
	unfit            // it can't be used
)

// place is where a device stands, and why it can't be used.
func (c Config) place(d Device) (int, error) {
	_, _, err := c.mode(d)
	switch {
	case err != nil:
		return unfit, err
	case d.Model.Known:
		return known, nil
	case d.Input != nil:
		return receiving, nil
	}
	return inTurn, nil
}

// mode is how to open a device, and why so; that of one that tells follows from
// its signal.
func (c Config) mode(d Device) (m Mode, why string, err error) {
	if d.Input != nil {
		return m, "", nil
	}
	if m, why, err = c.Choose(d); err != nil {
		err = failure(drivers.Unsupported, fmt.Errorf("the capture device %v: %w", d, err))
	}
	return m, why, err
}

// find picks the device to open, by place: the first that is known or receiving,
// without a look at those behind it, else one of the others.
func (s *Source) find() (Device, Mode, error) {
	all, err := s.candidates()
	if err != nil {
		return Device{}, Mode{}, err
	}
	var usable []Device
	var errs []error
	for _, d := range all {
		s.asked.Store(&d)
		place := unfit
		d, err := s.cfg.ask(d)
		if err == nil {
			place, err = s.cfg.place(d)
		}
		switch {
		case place < inTurn:
			return s.choose([]Device{d})
		case place == inTurn:
			usable = append(usable, d)
		case !errors.Is(err, ErrNotCapture) || len(all) == 1:
			errs = append(errs, err)
		}
	}
	if len(usable) == 0 {
		return Device{}, Mode{}, none(errs)
	}
	return s.choose(usable)
}

// choose takes one of the devices that can be used.
func (s *Source) choose(usable []Device) (d Device, m Mode, err error) {
	s.choices = len(usable)
	d = usable[s.inVain%len(usable)]
	m, s.why, err = s.cfg.mode(d)
	return d, m, err
}

// none is why there is no device: what one of them said, if any said something.
func none(errs []error) error {
	if len(errs) == 0 {
		return failure(drivers.NoDevice, errors.New("there is no capture device, only nodes without pictures"))
	}
	if e := new(drivers.Error); errors.As(errs[0], &e) {
		return e
	}
	return failure(drivers.Unsupported, errs[0])
}

// List describes all devices that capture, in the order in which Auto would take
// them; those that can't be used come last.
func List(c Config) ([]Device, error) {
	c.Path = Auto
	s := New(c)
	all, err := s.candidates()
	if err != nil {
		return nil, err
	}
	var found []Device
	var errs []error
	for _, d := range all {
		d, err := s.cfg.ask(d)
		if err == nil {
			found = append(found, d)
		} else if !errors.Is(err, ErrNotCapture) {
			errs = append(errs, err)
		}
	}
	place := func(d Device) int { p, _ := s.cfg.place(d); return p }
	slices.SortStableFunc(found, func(a, b Device) int { return place(a) - place(b) })
	return found, errors.Join(errs...)
}

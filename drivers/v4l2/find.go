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

// find picks the device to open: the first candidate that captures and is known,
// or tells about its signal, since such a one is made to capture from. Others
// take turns, by how often one was in vain. The mode of one that tells follows
// from its signal.
func (s *Source) find() (Device, Mode, error) {
	all, err := s.candidates()
	if err != nil {
		return Device{}, Mode{}, err
	}
	var usable []Device
	var errs []error
	for _, d := range all {
		s.asked.Store(&d)
		d, err := s.cfg.ask(d)
		switch {
		case err == nil && d.Model.Known:
			s.choices = 1
			return s.mode(d)
		case err == nil && d.Input != nil:
			s.choices = 1
			return d, Mode{}, nil
		case err == nil:
			usable = append(usable, d)
		case !errors.Is(err, ErrNotCapture) || len(all) == 1:
			errs = append(errs, err)
		}
	}
	if len(usable) == 0 {
		return Device{}, Mode{}, none(errs)
	}
	s.choices = len(usable)
	return s.mode(usable[s.inVain%len(usable)])
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

func (s *Source) mode(d Device) (Device, Mode, error) {
	m, why, err := s.cfg.Choose(d)
	if err != nil {
		return d, m, failure(drivers.Unsupported, fmt.Errorf("the capture device %v: %w", d, err))
	}
	s.why = why
	return d, m, nil
}

// List describes all devices that capture, those that Auto would take first.
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
	return found, errors.Join(errs...)
}

package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/v4l2"
	"github.com/openvideobox/videobox/internal/clock"
)

// Kernel is the stick's Video4Linux2.
func (s *Stick) Kernel() v4l2.Kernel { return kernel{s} }

type kernel struct{ s *Stick }

func (k kernel) Nodes() ([]string, error) {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	if !k.s.present {
		return nil, nil
	}
	return []string{k.s.videoNode(), fmt.Sprintf("/dev/video%d", k.s.node+1)}, nil
}

func (k kernel) Modes(node string) (string, []v4l2.Mode, error) {
	if err := k.find(node); err != nil {
		return "", nil, err
	}
	return "USB3.0 Video: USB3.0 Video", k.s.cfg.Modes, nil
}

// find says whether that is the stick's node, and answers when it does.
func (k kernel) find(node string) error {
	k.s.mu.Lock()
	ours, meta := k.s.present && node == k.s.videoNode(), k.s.present && node == fmt.Sprintf("/dev/video%d", k.s.node+1)
	k.s.mu.Unlock()
	switch {
	case meta:
		return v4l2.ErrNotCapture
	case !ours:
		return &drivers.Error{State: drivers.NoDevice, Err: fmt.Errorf("there is no capture device %s: %w", node, fs.ErrNotExist)}
	}
	_, err := k.s.answer()
	return stateful(node, err)
}

// stateful gives an error of the kernel the state that go4vl.go gives it.
func stateful(node string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENODEV):
		return &drivers.Error{State: drivers.NoDevice, Err: fmt.Errorf("there is no capture device %s: %w", node, fs.ErrNotExist)}
	}
	return &drivers.Error{State: drivers.Frozen, Err: fmt.Errorf("the capture device %s doesn't answer: %w", node, err)}
}

func (k kernel) Open(_ context.Context, node string, m v4l2.Mode) (v4l2.Stream, error) {
	if err := k.find(node); err != nil {
		return nil, err
	}
	s := k.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.cfg.Modes, m) {
		return nil, &drivers.Error{State: drivers.Unsupported, Err: fmt.Errorf("no mode %v", m)}
	}
	s.counts.Opened++
	st := &stream{s: s, m: m, life: s.life, out: make(chan v4l2.Buffer, 4), stop: make(chan struct{})}
	s.wg.Go(st.run)
	return st, nil
}

// Input says that a stick doesn't tell, as a UVC device doesn't.
func (k kernel) Input(string) (v4l2.Input, error) { return nil, v4l2.ErrNoTimings }

// stream is an open video node.
type stream struct {
	s    *Stick
	m    v4l2.Mode
	life int
	out  chan v4l2.Buffer
	stop chan struct{}
	once sync.Once
	why  error

	still []byte // what it shows while it is frozen
	held  *v4l2.Buffer
}

func (st *stream) Format() v4l2.Format         { return v4l2.Format{Mode: st.m} }
func (st *stream) Buffers() <-chan v4l2.Buffer { return st.out }
func (st *stream) Err() error                  { return st.why }

func (st *stream) Close() error {
	st.once.Do(func() { close(st.stop) })
	_, err := st.s.answer() // STREAMOFF
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// run delivers frame after frame by the stick's own crystal.
func (st *stream) run() {
	defer close(st.out)
	utc, began := st.s.cfg.Now()
	for n := int64(1); ; n++ {
		due := int64(float64(n) * 1e9 / st.m.Rate / (1 + st.s.cfg.VideoPPM*1e-6))
		if why := st.wait(utc + due); why != nil {
			st.why = why
			return
		}
		if _, mono := st.s.cfg.Now(); mono > began+due+1e9 {
			continue // the machine stood still
		}
		st.frame(uint32(n), utc+due, began+due)
	}
}

// wait waits for an instant, or for the stream's end.
func (st *stream) wait(t int64) error {
	reached, stop := clock.System.After(t)
	defer stop()
	for {
		st.s.mu.Lock()
		life, changed := st.s.life, st.s.changed
		st.s.mu.Unlock()
		if life != st.life {
			return unix.ENODEV
		}
		select {
		case <-reached:
			return nil
		case <-changed:
		case <-st.stop:
			return errClosed
		case <-st.s.ctx.Done():
			return errClosed
		}
	}
}

// frame delivers one frame, or what the fault of the moment makes of it.
func (st *stream) frame(n uint32, utc, mono int64) {
	st.s.mu.Lock()
	f := st.s.faults
	if st.s.faults.frames > 0 {
		st.s.faults.frames--
	} else {
		f.kind = ""
	}
	st.s.mu.Unlock()
	if f.stopped || f.hung != answers || mono < f.pause || f.kind == "stall" {
		return
	}
	data := st.still
	if !f.frozen || data == nil {
		data = st.s.picture(st.m, utc, f.live())
		st.still = data
	}
	b := v4l2.Buffer{Data: damage(f.kind, data), Sequence: n, Monotonic: mono, Release: func() {}}
	switch f.kind {
	case "stamps":
		b.Monotonic = int64(n) * 12345
	case "disorder":
		if st.held == nil {
			st.held = &b
			return
		}
	}
	st.send(b)
	if st.held != nil {
		st.send(*st.held)
		st.held = nil
	}
}

// send drops what nobody takes, as a driver does.
func (st *stream) send(b v4l2.Buffer) {
	select {
	case st.out <- b:
	default:
	}
}

func damage(kind string, data []byte) []byte {
	switch kind {
	case "short":
		return data[:len(data)/2]
	case "corrupt":
		data = slices.Clone(data)
		for i := len(data) / 3; i < len(data)*2/3; i++ {
			data[i] = byte(i * 7)
		}
	}
	return data
}

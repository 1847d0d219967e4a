package drivertest

import (
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers/ms213x"
)

// HID opens the stick's HID interface.
func (s *Stick) HID(node string) (ms213x.Transport, error) {
	if node != "/dev/hidraw0" {
		return nil, fs.ErrNotExist
	}
	life, err := s.answer()
	if err != nil {
		return nil, err
	}
	return &hid{s: s, life: life}, nil
}

// hid is the open HID interface.
type hid struct {
	s     *Stick
	life  int
	asked [9]byte
}

func (h *hid) alive() error {
	life, err := h.s.answer()
	if err == nil && life != h.life {
		err = unix.EIO
	}
	return err
}

func (h *hid) SetFeature(b []byte) error {
	copy(h.asked[:], b)
	return h.alive()
}

// GetFeature answers command b5 from a memory in which only the map's addresses
// are not zero; other commands with their own bytes.
func (h *hid) GetFeature(b []byte) (int, error) {
	if err := h.alive(); err != nil {
		return 0, err
	}
	answer := h.asked
	if answer[1] == 0xb5 {
		at := uint16(answer[2])<<8 | uint16(answer[3])
		memory := h.s.memory()
		for i := range min(h.s.cfg.Map.Reply, len(answer)-4) {
			answer[4+i] = memory[at+uint16(i)]
		}
	}
	return copy(b, answer[:]), nil
}

func (h *hid) Close() error { return nil }

// memory is what the firmware's memory holds now.
func (s *Stick) memory() map[uint16]byte {
	s.mu.Lock()
	f, m := s.faults, s.cfg.Map
	s.mu.Unlock()
	memory := map[uint16]byte{}
	bits := func(b ms213x.Bits, on bool) {
		if on != b.Inverted {
			memory[b.At] |= b.Mask
		}
	}
	word := func(w ms213x.Word, v float64) {
		if w.Scale == 0 {
			return
		}
		n := uint16(v/w.Scale + 0.5)
		low, high := w.At, w.At+1
		if w.BigEndian {
			low, high = high, low
		}
		memory[low], memory[high] = byte(n), byte(n>>8)
	}
	bits(m.Signal, !f.noSignal && !f.noCable)
	bits(m.Cable, !f.noCable)
	word(m.Width, float64(f.width))
	word(m.Height, float64(f.height))
	word(m.Rate, f.rate)
	return memory
}

package edid

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Info is what an EDID says, as far as a box cares.
type Info struct {
	Blocks    int
	Maker     string // three letters
	Product   uint16
	Name      string // of the monitor; may be empty
	Preferred Mode   // the zero value: none
	Modes     []Mode // by the codes of the extension, those that this package knows; the native one first as a rule
	HDMI      bool   // else it is DVI, without sound
	Audio     []Audio
}

func (i Info) String() string {
	name := i.Name
	if name == "" {
		name = fmt.Sprintf("%s %04x", i.Maker, i.Product)
	}
	return fmt.Sprintf("%q, prefers %v, %d blocks", name, i.Preferred, i.Blocks)
}

// ErrNone says that there is no EDID at all.
var ErrNone = errors.New("no EDID")

// Parse reads an EDID of whole blocks with right checksums. It takes what it
// doesn't know for nothing said.
func Parse(data []byte) (i Info, err error) {
	if len(data) == 0 {
		return i, ErrNone
	}
	if len(data)%block != 0 || !bytes.HasPrefix(data, []byte(header)) {
		return i, fmt.Errorf("%d bytes that begin with %x: an EDID is of blocks of %d and begins with %x", len(data), data[:min(8, len(data))], block, header)
	}
	if err := Checksums(data); err != nil {
		return i, err
	}
	if want := int(data[126]) + 1; want != len(data)/block {
		return i, fmt.Errorf("%d blocks, the first says %d", len(data)/block, want)
	}
	i.Blocks = len(data) / block
	maker := uint16(data[8])<<8 | uint16(data[9])
	for shift := 10; shift >= 0; shift -= 5 {
		i.Maker += string(rune('@' + maker>>shift&0x1f))
	}
	i.Product = uint16(data[10]) | uint16(data[11])<<8
	i.descriptors(data[54:126])
	for at := block; at < len(data); at += block {
		if data[at] == 0x02 {
			i.extension(data[at:][:block])
		}
	}
	return i, nil
}

// Checksums says which block doesn't add up.
func Checksums(data []byte) error {
	for at := 0; at+block <= len(data); at += block {
		var n byte
		for _, v := range data[at:][:block] {
			n += v
		}
		if n != 0 {
			return fmt.Errorf("block %d: its bytes add up to %d, which must be 0", at/block, n)
		}
	}
	return nil
}

// descriptors reads the base block's four, E-EDID A2 section 3.10.
func (i *Info) descriptors(d []byte) {
	for ; len(d) >= 18; d = d[18:] {
		if clock := int(d[0]) | int(d[1])<<8; clock > 0 {
			if i.Preferred == (Mode{}) {
				i.Preferred = detailedMode(d, clock*10000)
			}
			continue
		}
		if d[3] == 0xfc {
			words, _, _ := bytes.Cut(d[5:18], []byte{'\n'})
			i.Name = strings.Map(printable, string(words))
		}
	}
}

// printable leaves ASCII alone: a name is shown to people.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}

// detailedMode reads a detailed timing descriptor, section 3.10.2.
func detailedMode(d []byte, clock int) Mode {
	wide, hblank := int(d[2])|int(d[4]>>4)<<8, int(d[3])|int(d[4]&0xf)<<8
	high, vblank := int(d[5])|int(d[7]>>4)<<8, int(d[6])|int(d[7]&0xf)<<8
	m := Mode{Width: wide, Height: high, Interlaced: d[17]&0x80 != 0}
	if total := (wide + hblank) * (high + vblank); total > 0 {
		m.Rate = float64(clock) / float64(total)
	}
	if m.Interlaced {
		m.Height *= 2
	}
	return m
}

// extension reads data blocks of CTA-861-G, section 7.4.
func (i *Info) extension(b []byte) {
	end := int(b[2])
	if end < 4 || end > block-1 {
		return
	}
	for d := b[4:end]; len(d) > 0; {
		tag, size := d[0]>>5, int(d[0]&0x1f)
		if size >= len(d) {
			return
		}
		i.dataBlock(tag, d[1:1+size])
		d = d[1+size:]
	}
}

func (i *Info) dataBlock(tag byte, d []byte) {
	switch tag {
	case videoBlock:
		for _, code := range d {
			if code > 0x80 && code <= 0x80+64 {
				code &= 0x7f // native, section 7.5.1
			}
			if m, ok := ofVIC(code); ok {
				i.Modes = append(i.Modes, m)
			}
		}
	case audioBlock:
		for ; len(d) >= 3; d = d[3:] {
			i.lpcm(d)
		}
	case vendorBlock:
		i.HDMI = i.HDMI || len(d) >= 5 && d[0] == 0x03 && d[1] == 0x0c && d[2] == 0x00
	}
}

// lpcm reads a short audio descriptor, section 7.5.2, if it is of LPCM.
func (i *Info) lpcm(d []byte) {
	if d[0]>>3&0xf != 1 {
		return
	}
	for r, hertz := range sampling {
		for b := range 3 {
			if d[1]>>r&1 == 1 && d[2]>>b&1 == 1 {
				i.Audio = append(i.Audio, Audio{Channels: int(d[0]&7) + 1, Hertz: hertz, Bits: 16 + 4*b})
			}
		}
	}
}

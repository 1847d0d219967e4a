package edid

const (
	block  = 128
	header = "\x00\xff\xff\xff\xff\xff\xff\x00"
)

// encode makes the two blocks of a profile.
func (s source) encode(name string) []byte {
	preferred, _ := modeNamed(name)
	return append(sum(s.base(preferred)), sum(s.extension(preferred))...)
}

// sum fills the last byte, so that all of a block add up to 0.
func sum(b []byte) []byte {
	var n byte
	for _, v := range b[:block-1] {
		n += v
	}
	b[block-1] = -n
	return b
}

// base is the EDID 1.3 base block, E-EDID A2 section 3.
func (s source) base(preferred timing) []byte {
	b := make([]byte, block)
	copy(b, header)
	var maker uint16
	for _, c := range s.Maker {
		maker = maker<<5 | uint16(c-'A'+1)
	}
	b[8], b[9] = byte(maker>>8), byte(maker)
	b[10], b[11] = byte(s.Product), byte(s.Product>>8)
	b[17] = byte(s.Year - 1990)
	b[18], b[19] = 1, 3
	b[20] = 0x80 // digital
	b[21], b[22] = s.Centimetres[0], s.Centimetres[1]
	b[23] = 0x78 // gamma 2.2
	b[24] = 0x0e // RGB, sRGB, the first descriptor is the preferred timing
	// sRGB's primaries and white, section 3.7.
	copy(b[25:], []byte{0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54})
	b[35] = 0x20               // 640x480 at 60, which all must take
	for i := 38; i < 54; i++ { // no standard timings
		b[i] = 1
	}
	copy(b[54:], s.detailed(preferred))
	copy(b[72:], text13(0xfc, "videobox"))
	copy(b[90:], text13(0xfe, preferred.name))
	copy(b[108:], s.limits())
	b[126] = 1 // extension
	return b
}

// detailed is a detailed timing descriptor, section 3.10.2.
func (s source) detailed(t timing) []byte {
	h, v := t.horizontal, t.vertical
	mmW, mmH := int(s.Centimetres[0])*10, int(s.Centimetres[1])*10
	return []byte{
		byte(t.clock / 10), byte(t.clock / 10 >> 8),
		byte(t.width), byte(h[2]), byte(t.width>>8<<4 | h[2]>>8),
		byte(t.height), byte(v[2]), byte(t.height>>8<<4 | v[2]>>8),
		byte(h[0]), byte(h[1]), byte(v[0]&0xf<<4 | v[1]&0xf),
		byte(h[0]>>8<<6 | h[1]>>8<<4 | v[0]>>4<<2 | v[1]>>4),
		byte(mmW), byte(mmH), byte(mmW>>8<<4 | mmH>>8),
		0, 0,
		0x1e, // progressive, separate syncs, both positive
	}
}

// text13 is a descriptor with a text of up to 13 letters, section 3.10.3.
func text13(tag byte, words string) []byte {
	d := []byte{0, 0, 0, tag, 0}
	d = append(d, words...)
	for i := 0; len(d) < 18; i++ {
		if i == 0 {
			d = append(d, '\n')
		} else {
			d = append(d, ' ')
		}
	}
	return d
}

// limits is the range limits descriptor, section 3.10.3.3, of all timings.
func (s source) limits() []byte {
	d := []byte{0, 0, 0, 0xfd, 0, 255, 0, 255, 0, 0, 0, '\n', ' ', ' ', ' ', ' ', ' ', ' '}
	for _, name := range s.Modes {
		t, _ := modeNamed(name)
		kHz := t.clock / (t.width + t.horizontal[2])
		d[5], d[6] = min(d[5], byte(t.rate)-1), max(d[6], byte(t.rate)+1)
		d[7], d[8] = min(d[7], byte(kHz)), max(d[8], byte(kHz)+1)
		d[9] = max(d[9], byte((t.clock+9999)/10000))
	}
	return d
}

// extension is the CTA-861-G extension, section 7.5: the modes with the
// preferred one first, LPCM, a left and a right speaker, and HDMI's block, which
// says that it is HDMI and not DVI. RGB alone: text stays sharp.
func (s source) extension(preferred timing) []byte {
	b := make([]byte, block)
	b[0], b[1] = 0x02, 3
	codes := []byte{preferred.vic}
	for _, name := range s.Modes {
		if t, _ := modeNamed(name); t.vic != preferred.vic {
			codes = append(codes, t.vic)
		}
	}
	codes = append(codes, vga)
	data := append([]byte{videoBlock<<5 | byte(len(codes))}, codes...)
	data = append(data, audioBlock<<5|3, 1<<3|byte(s.Audio.Channels-1), rateBit(s.Audio.Hertz), bitsBit(s.Audio.Bits))
	data = append(data, speakerBlock<<5|3, 0x01, 0, 0)
	data = append(data, vendorBlock<<5|5, 0x03, 0x0c, 0x00, 0x10, 0x00) // CEC address 1.0.0.0
	data = append(data, extendedBlock<<5|2, 0x00, 0x4a)                 // video capability: RGB in the range that the signal says, all of the picture
	copy(b[4:], data)
	b[2] = byte(4 + len(data))
	b[3] = 0x80 | 0x40 | 1 // underscans, basic audio, one native timing
	return b
}

// Tags of data blocks, table 54.
const (
	audioBlock    = 1
	videoBlock    = 2
	vendorBlock   = 3
	speakerBlock  = 4
	extendedBlock = 7
)

// rateBit is a sampling rate, table 58.
func rateBit(hertz int) byte {
	for i, r := range sampling {
		if r == hertz {
			return 1 << i
		}
	}
	return 0
}

var sampling = []int{32000, 44100, 48000, 88200, 96000, 176400, 192000}

func bitsBit(bits int) byte { return 1 << ((bits - 16) / 4) }

package dongle

import (
	"encoding/binary"
	"unicode/utf16"
)

// The stick's fixed addresses: interfaces and endpoints.
const (
	videoControl, videoStream, audioControl, audioStream = 0, 1, 2, 3

	videoEndpoint, audioEndpoint = 0x81, 0x82

	// One payload is one URB of uvcvideo, which takes at most 32 packets of 512.
	videoPacket, videoPayload = 512, 16384

	audioChannels    = 2
	audioMicroframes = 8 // between two packets of sound, so 1 ms
	deviceClock      = 48_000_000
)

// Kinds of descriptors: USB 2.0 table 9-5, and the class-specific ones.
const (
	kindDevice, kindConfig, kindString, kindInterface, kindEndpoint = 1, 2, 3, 4, 5

	kindQualifier, kindAssociation, kindClassInterface, kindClassEndpoint = 6, 11, 0x24, 0x25
)

var le = binary.LittleEndian

// Numbers of more than one byte, for pack.
type (
	u16 uint16
	u24 uint32
	u32 uint32
)

// pack puts numbers (an int is one byte) and byte slices together, little-endian.
func pack(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case u16:
			b = le.AppendUint16(b, uint16(p))
		case u24:
			b = append(b, byte(p), byte(p>>8), byte(p>>16))
		case u32:
			b = le.AppendUint32(b, uint32(p))
		case []byte:
			b = append(b, p...)
		default:
			panic("pack: a type that it doesn't know")
		}
	}
	return b
}

// descriptor gives parts their length and kind.
func descriptor(kind int, parts ...any) []byte {
	b := pack(parts...)
	return append([]byte{byte(len(b) + 2), byte(kind)}, b...)
}

func (p *Profile) device() []byte {
	return descriptor(kindDevice, u16(0x0200), 0xef, 2, 1, 64, u16(p.Vendor), u16(p.Product), u16(0x0100), 1, 2, 3, 1)
}

func (p *Profile) qualifier() []byte {
	return descriptor(kindQualifier, u16(0x0200), 0xef, 2, 1, 64, 1, 0)
}

// text is string i; 0 is the list of languages.
func (p *Profile) text(i int) []byte {
	if i == 0 {
		return descriptor(kindString, u16(0x0409))
	}
	var b []byte
	for _, c := range utf16.Encode([]rune([]string{p.Maker, p.Name, p.Serial}[min(i, 3)-1])) {
		b = le.AppendUint16(b, c)
	}
	return descriptor(kindString, b)
}

// interfaces is how many there are: picture, sound, status.
func (p *Profile) interfaces() int {
	n := 2
	if p.AudioRate != 0 {
		n += 2
	}
	if p.Status {
		n++
	}
	return n
}

func (p *Profile) config() []byte {
	body := p.videoInterfaces()
	if p.AudioRate != 0 {
		body = append(body, p.audioInterfaces()...)
	}
	if p.Status {
		body = append(body, p.statusInterface()...)
	}
	return append(descriptor(kindConfig, u16(9+len(body)), p.interfaces(), 1, 0, 0x80, 250), body...)
}

// videoInterfaces: USB Video Class 1.1, 3.
func (p *Profile) videoInterfaces() []byte {
	const class, control, stream, group = 0x0e, 1, 2, 3
	input := descriptor(kindClassInterface, 2, 1, u16(0x0201), 0, 0, u16(0), u16(0), u16(0), 3, 0, 0, 0)
	output := descriptor(kindClassInterface, 3, 2, u16(0x0101), 0, 1, 0)
	units := append(input, output...)
	var formats []byte
	for i, f := range p.Video {
		formats = append(formats, f.descriptors(i+1)...)
	}
	n := len(p.Video)
	return pack(
		descriptor(kindAssociation, videoControl, 2, class, group, 0, 0),
		descriptor(kindInterface, videoControl, 0, 0, class, control, 0, 0),
		descriptor(kindClassInterface, 1, u16(0x0110), u16(13+len(units)), u32(deviceClock), 1, videoStream),
		units,
		descriptor(kindInterface, videoStream, 0, 1, class, stream, 0, 0),
		descriptor(kindClassInterface, 1, n, u16(13+n+len(formats)), videoEndpoint, 0, 2, 0, 0, 0, 1, make([]byte, n)),
		formats,
		descriptor(kindEndpoint, videoEndpoint, 2, u16(videoPacket), 0),
	)
}

// descriptors are one format's own, one for each size, and the colours.
func (f Format) descriptors(index int) (b []byte) {
	kind := 7 // of a size: for MJPEG
	if f.Coding == MJPEG {
		b = descriptor(kindClassInterface, 6, index, len(f.Sizes), 1, 1, 0, 0, 0, 0)
	} else {
		kind = 5
		guid := []byte("YUY2\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71")
		b = descriptor(kindClassInterface, 4, index, len(f.Sizes), guid, 16, 1, 0, 0, 0, 0)
	}
	for i, s := range f.Sizes {
		bits, bytes := u32(s.Width*s.Height*16*s.Rates[0]), u32(s.Width*s.Height*2)
		var intervals []byte
		for _, r := range s.Rates {
			intervals = le.AppendUint32(intervals, uint32(intervalOf(r)))
		}
		b = append(b, descriptor(kindClassInterface, kind, i+1, 0, u16(s.Width), u16(s.Height), bits, bits, bytes,
			intervals[:4], len(s.Rates), intervals)...)
	}
	return append(b, descriptor(kindClassInterface, 13, 1, 1, 4)...) // BT.709 primaries and curve, BT.601 matrix
}

// audioInterfaces: USB Audio Class 1.0, 4.
func (p *Profile) audioInterfaces() []byte {
	const class, control, stream = 1, 1, 2
	input := descriptor(kindClassInterface, 2, 1, u16(0x0602), 0, audioChannels, u16(1<<audioChannels-1), 0, 0)
	output := descriptor(kindClassInterface, 3, 2, u16(0x0101), 0, 1, 0)
	units := append(input, output...)
	packet := (p.AudioRate/1000 + 1) * 2 * audioChannels // one sample more than the mean
	return pack(
		descriptor(kindAssociation, audioControl, 2, class, 0, 0, 0),
		descriptor(kindInterface, audioControl, 0, 0, class, control, 0, 0),
		descriptor(kindClassInterface, 1, u16(0x0100), u16(9+len(units)), 1, audioStream),
		units,
		descriptor(kindInterface, audioStream, 0, 0, class, stream, 0, 0),
		descriptor(kindInterface, audioStream, 1, 1, class, stream, 0, 0),
		descriptor(kindClassInterface, 1, 2, 1, u16(1)),
		descriptor(kindClassInterface, 2, 1, audioChannels, 2, 16, 1, u24(p.AudioRate)),
		descriptor(kindEndpoint, audioEndpoint, 5, u16(packet), 4, 0, 0), // 2^(4-1) microframes: every millisecond
		descriptor(kindClassEndpoint, 1, 1, 0, u16(0)),                   // the rate can be set
	)
}

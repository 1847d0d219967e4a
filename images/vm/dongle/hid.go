package dongle

import "encoding/binary"

// The HID interface is how MacroSilicon's sticks tell about their input: it
// reads and writes the memory (XDATA, 64 KiB) of the 8051 that runs the stick,
// by feature reports of 8 bytes without a number:
//
//	set report  b5 high low 0 0 0 0 0          asks for the memory at high·256 + low
//	get report  b5 high low m0 m1 m2 m3 0      four bytes of it
//	set report  b6 high low value 0 0 0 0      writes one byte
//
// From github.com/BertoldVdb/ms-tools v0.3.0, mshal/hal_rom.go and hal_region.go.
// What lies where, for the MS2131; "word" is low byte first:
//
//	f660 word   width of what is on the cable   gerryd/ms213x-status, status.go
//	f662 word   its height
//	f6e9        0: there is a signal, 1: none
//	e180        0: no signal, 8: none any more, 7: progressive; e184 word width,
//	            e18c word height. Reading here hangs real sticks now and then;
//	            the emulated one counts it: Status.DangerousReads
//	f800        0: this is a MS213x (ms-tools, mshal/hal.go)
//	fa8d bit 0  a source is connected           Openterface, for the MS2130S
//	1cfc, 1cfe  width, height, high byte first
//	1d02        rate in 1/100 Hz, high byte first
//
// The last three are of the MS2130S, a sibling: whether a MS2131 has them, no
// source says. Without a signal sizes and rate keep their last values, as
// "flaky" in status.go has it.
const (
	hidClass    = 3
	hidEndpoint = 0x83
	hidPacket   = 8
	reportBytes = 8

	readMemory, writeMemory = 0xb5, 0xb6

	memWidth, memHeight, memNoSignal   = 0xf660, 0xf662, 0xf6e9
	memCable, memSizeBE, memRateBE     = 0xfa8d, 0x1cfc, 0x1d02
	memInput, memInputSize, memInputTo = 0xe180, 0xe184, 0xe190
)

// Requests of HID 1.11, 7.2, and its descriptors, 6.2.
const (
	getReport, setReport, setIdle = 0x01, 0x09, 0x0a
	kindHID, kindReport           = 0x21, 0x22
)

// reportDescriptor: one collection of the vendor's with 8 bytes each way and as
// a feature.
var reportDescriptor = []byte{
	0x06, 0x00, 0xff, // usage page: vendor's
	0x09, 0x01, // usage 1
	0xa1, 0x01, // collection: application
	0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 8, 0x95, reportBytes, // 0 to 255, 8 bits, 8 of them
	0x09, 0x01, 0x81, 0x02, // input
	0x09, 0x01, 0x91, 0x02, // output
	0x09, 0x01, 0xb1, 0x02, // feature
	0xc0, // end
}

// hidInterface is the status interface's number; it comes last.
func (p *Profile) hidInterface() uint16 { return uint16(p.interfaces() - 1) }

func (p *Profile) hidDescriptor() []byte {
	return descriptor(kindHID, u16(0x0111), 0, 1, kindReport, u16(len(reportDescriptor)))
}

func (p *Profile) statusInterface() []byte {
	return pack(
		descriptor(kindInterface, int(p.hidInterface()), 0, 1, hidClass, 0, 0, 0),
		p.hidDescriptor(),
		descriptor(kindEndpoint, hidEndpoint, 3, u16(hidPacket), 8), // 2^7 microframes: 16 ms
	)
}

// hid answers requests to the status interface.
func (k *Stick) hid(kind, request byte, value uint16, in []byte) ([]byte, bool) {
	const toInterface, toClass, fromClass, getDescriptor = 0x81, 0x21, 0xa1, 6
	switch {
	case kind == toInterface && request == getDescriptor && value>>8 == kindReport:
		return reportDescriptor, true
	case kind == toInterface && request == getDescriptor && value>>8 == kindHID:
		return k.profile.hidDescriptor(), true
	case kind == toClass && request == setIdle:
		return nil, true
	case kind == toClass && request == setReport && len(in) >= reportBytes:
		return nil, k.command8051(in)
	case kind == fromClass && request == getReport:
		return k.report[:], true
	}
	return nil, false
}

// command8051 obeys a report and keeps the answer for the next get report.
func (k *Stick) command8051(in []byte) bool {
	at := binary.BigEndian.Uint16(in[1:])
	k.report = [reportBytes]byte(in)
	switch in[0] {
	case readMemory:
		if at >= memInput && at < memInputTo {
			k.status.DangerousReads++
		}
		k.fillMemory()
		for i := range 4 {
			k.report[3+i] = k.memory[at+uint16(i)]
		}
	case writeMemory:
		k.memory[at] = in[3]
	default:
		return false
	}
	return true
}

// fillMemory writes what the firmware knows about the cable into its memory.
func (k *Stick) fillMemory() {
	m, in := k.memory, k.input
	le.PutUint16(m[memWidth:], uint16(in.Width))
	le.PutUint16(m[memHeight:], uint16(in.Height))
	le.PutUint16(m[memInputSize:], uint16(in.Width))
	le.PutUint16(m[memInputSize+8:], uint16(in.Height))
	binary.BigEndian.PutUint16(m[memSizeBE:], uint16(in.Width))
	binary.BigEndian.PutUint16(m[memSizeBE+2:], uint16(in.Height))
	binary.BigEndian.PutUint16(m[memRateBE:], uint16(in.Rate*100))
	m[memNoSignal], m[memInput], m[memCable] = 0, 7, 1
	if k.faults.noSignal {
		m[memNoSignal], m[memInput] = 1, 8
	}
	if k.faults.noCable {
		m[memCable] = 0
	}
}

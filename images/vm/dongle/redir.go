package dongle

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Kinds of packets of the usbredir protocol 0.7 (usb-redirection-protocol.md)
// that a stick needs.
const (
	hello = iota
	deviceConnect
	deviceDisconnect
	reset
	interfaceInfo
	endpointInfo
	setConfiguration
	getConfiguration
	configurationStatus
	setAltSetting
	getAltSetting
	altSettingStatus
	startIso
	stopIso
	isoStatus
	startInterrupt
	stopInterrupt
	interruptStatus

	cancelPacket  = 21
	disconnectAck = 24

	controlPacket = 100
	bulkPacket    = 101
	isoPacket     = 102
)

// sizes are the least bytes of each packet that a guest sends; others are
// unknown to the stick and left alone.
var sizes = map[uint32]int{
	hello: 64, reset: 0, setConfiguration: 1, getConfiguration: 0, setAltSetting: 2, getAltSetting: 1,
	startIso: 3, stopIso: 1, startInterrupt: 1, stopInterrupt: 1, cancelPacket: 0, disconnectAck: 0, controlPacket: 10, bulkPacket: 10,
}

// QEMU holds sound back, which no real bus does: it gives the guest nothing until
// as many packets have come as it takes for 60 ms at the interval it was told, and
// when more than twice as many wait it drops down to that (hw/usb/redirect.c:
// usbredir_handle_iso_data, bufp_alloc). It counts packets, and takes the interval
// for nothing else; the guest has its own from the descriptors. So the stick says
// an interval that makes it ten packets, not sixty, and takes the sound earlier by
// what ten to twenty packets are on average: then picture and sound are on the
// guest's bus as they are on a real one, but for 5 ms.
const (
	bufferMicroframes = 47 // 8000/47 = 170 packets a second are 10 in 60 ms
	buffered          = 10 // packets, of 1 ms
	bufferDelay       = buffered * 3 / 2
)

// Statuses of a transfer.
const (
	success = iota
	cancelled
	invalid
	ioError
	stall
)

// Capabilities, by bit.
const (
	bulkStreams = 1 << iota
	connectVersion
	filters
	ackDisconnect
	packetSizes
	wideIDs
	longBulk
)

const highSpeed = 2

// maxPacket is far above anything a guest sends to a capture stick.
const maxPacket = 1 << 20

var errPacket = errors.New("not a usbredir packet that a guest sends")

// redir speaks usbredir to QEMU. Sending is safe from several goroutines.
type redir struct {
	conn   net.Conn
	in     *bufio.Reader
	mu     sync.Mutex
	idSize int // bytes of an id: 4 until the hellos have been exchanged
}

func newRedir(c net.Conn) *redir {
	return &redir{conn: c, in: bufio.NewReaderSize(c, 64<<10), idSize: 4}
}

type packet struct {
	kind uint32
	id   uint64
	body []byte
}

func (r *redir) receive() (p packet, err error) {
	var head [16]byte
	if _, err = io.ReadFull(r.in, head[:8+r.idSize]); err != nil {
		return p, err
	}
	n := le.Uint32(head[4:])
	if n > maxPacket {
		return p, fmt.Errorf("%w: %d bytes", errPacket, n)
	}
	p = packet{kind: le.Uint32(head[:]), id: le.Uint64(head[8:]), body: make([]byte, n)}
	if _, err = io.ReadFull(r.in, p.body); err != nil {
		return p, err
	}
	if least, known := sizes[p.kind]; known && len(p.body) < least {
		return p, fmt.Errorf("%w: %d bytes of kind %d, want at least %d", errPacket, len(p.body), p.kind, least)
	}
	return p, nil
}

// send leaves errors to receive, which ends by the same.
func (r *redir) send(kind int, id uint64, body ...any) {
	b := pack(body...)
	r.mu.Lock()
	defer r.mu.Unlock()
	head := pack(u32(kind), u32(len(b)))
	head = le.AppendUint64(head, id)
	_, _ = r.conn.Write(append(head[:8+r.idSize], b...))
}

// greet exchanges the hellos; from then on ids take eight bytes.
func (r *redir) greet() error {
	name := make([]byte, 64)
	copy(name, "videobox dongle")
	r.send(hello, 0, name, u32(connectVersion|ackDisconnect|packetSizes|wideIDs|longBulk))
	p, err := r.receive()
	if err != nil {
		return err
	}
	if p.kind != hello || len(p.body) < 68 || le.Uint32(p.body[64:])&(wideIDs|longBulk) != wideIDs|longBulk {
		return fmt.Errorf("%w: want a hello with wide ids and long bulk packets", errPacket)
	}
	r.idSize = 8
	return nil
}

// describe tells the interfaces and endpoints as they are with the sound's
// alternate setting; QEMU wants it before every connect and setting.
func (r *redir) describe(p *Profile, soundOn bool) {
	n := p.interfaces()
	var number, class, subclass, protocol [32]byte
	copy(class[:], []byte{0x0e, 0x0e})
	copy(subclass[:], []byte{1, 2})
	if p.AudioRate != 0 {
		copy(class[2:], []byte{1, 1})
		copy(subclass[2:], []byte{1, 2})
	}
	if p.Status {
		class[n-1] = hidClass
	}
	for i := range n {
		number[i] = byte(i)
	}
	r.send(interfaceInfo, 0, u32(n), number[:], class[:], subclass[:], protocol[:])

	var kind, interval, owner [32]byte
	var size [64]byte
	for i := range kind {
		kind[i] = 255 // none
	}
	set := func(i, k, every, iface, bytes int) {
		kind[i], interval[i], owner[i] = byte(k), byte(every), byte(iface)
		le.PutUint16(size[2*i:], uint16(bytes))
	}
	set(0, 0, 0, 0, 64)
	set(16, 0, 0, 0, 64)
	set(16+videoEndpoint&15, 2, 0, videoStream, videoPacket)
	if p.Status {
		set(16+hidEndpoint&15, 3, 128, int(p.hidInterface()), hidPacket)
	}
	if soundOn {
		set(16+audioEndpoint&15, 1, bufferMicroframes, audioStream, 1024)
	}
	r.send(endpointInfo, 0, kind[:], interval[:], owner[:], size[:])
}

func (r *redir) connect(p *Profile) {
	r.describe(p, false)
	r.send(deviceConnect, 0, highSpeed, 0xef, 2, 1, u16(p.Vendor), u16(p.Product), u16(0x0100))
}

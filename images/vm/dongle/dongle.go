// Package dongle is an HDMI capture stick in software, on the USB bus of a
// virtual machine: it speaks usbredir to QEMU and is a UVC camera (MJPEG and
// YUYV by a bulk endpoint) with a UAC1 microphone (48 kHz stereo, isochronous)
// and a HID interface for status, by default with the ids of the MS2131. What is "on the cable" is a Source.
//
//	-device qemu-xhci,id=xhci
//	-chardev socket,id=stick,host=127.0.0.1,port=15555,reconnect=1,nodelay=on
//	-device usb-redir,chardev=stick,bus=xhci.0
//
// Picture and sound have clocks of their own, each as wrong as "ppm" says. Like
// the real stick it goes on sending a picture of its own when there is no
// signal, keeps the picture's size when the input's changes, and tells about its
// input by HID: hid.go has the map of the memory that is read there.
//
// Faults come by commands (Command), one a line on the control socket.
//
// From the usbredir protocol 0.7, USB Video Class 1.1, USB Audio Class 1.0.
// Tested on QEMU 7.2 with uvcvideo and snd-usb-audio of Linux 6.12.
package dongle

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/openvideobox/videobox/internal/clock"
)

// Stick is the device. It outlives its guest's connections to it.
type Stick struct {
	profile *Profile
	source  Source
	clock   clock.Clock
	streams sync.WaitGroup // goroutines that send picture and sound

	mu      sync.Mutex
	changed *sync.Cond // on any change below

	shape    *Profile // what it was bought as; profile is what it offers now
	link     *redir   // nil: no guest
	plugged  bool
	probe    []byte // the offer under negotiation, and the one agreed
	agreed   []byte
	mode     Mode
	video    *stream // nil: stopped
	sound    *stream
	soundAlt int
	rate     int        // of sound, as the guest has set it
	waiting  []transfer // bulk transfers that the guest waits for, at most maxWaiting
	input    Input
	pictures oscillator // clocks
	sounds   oscillator
	faults   faults
	status   Status
	memory   []byte // the 8051's XDATA, 64 KiB
	report   [reportBytes]byte
}

// Input is what is on the cable. The stick scales it to what the guest wants.
type Input struct{ Width, Height, Rate int }

// taken says that the stick can show it, as a MS2131 by its data sheet: up to
// 1920x1080 at 60 Hz, 3840x2160 at 30.
func (in Input) taken() bool { return in.Rate <= 61 && in.Width*in.Height*in.Rate <= 300e6 }

// stream is a running picture or sound.
type stream struct {
	context.Context
	stop context.CancelFunc
}

// transfer is a bulk transfer of the guest's.
type transfer struct {
	id     uint64
	stream []byte
	length int
}

// maxWaiting is what uvcvideo never reaches: it has 5 URBs.
const maxWaiting = 256

// Status is what the stick says about itself.
type Status struct {
	Plugged     bool   `json:"plugged"`
	Signal      bool   `json:"signal"`
	Mode        string `json:"mode"` // that the guest agreed to last, or ""
	Streaming   bool   `json:"streaming"`
	Sounding    bool   `json:"sounding"`
	Frames      uint64 `json:"frames"`       // given to the guest
	Late        uint64 `json:"late"`         // left out because the last one was still being taken
	Unread      uint64 `json:"unread"`       // left out because the guest wasn't waiting
	Samples     uint64 `json:"samples"`      // of each channel
	SamplesLost uint64 `json:"samples_lost"` // left out because this program was late
	Resets      uint64 `json:"resets"`
	Connections uint64 `json:"connections"`

	Input          string  `json:"input"` // what is on the cable, or was
	Hung           bool    `json:"hung"`
	VideoPPM       float64 `json:"video_ppm"` // how fast its clocks are
	AudioPPM       float64 `json:"audio_ppm"`
	DangerousReads uint64  `json:"dangerous_reads"` // of memory that hangs real sticks
}

// New is a stick that is plugged in. Clock is the system's if nil.
func New(p *Profile, s Source, c clock.Clock) *Stick {
	if c == nil {
		c = clock.System
	}
	k := &Stick{
		profile: p, shape: p, source: s, clock: c, plugged: true, rate: p.AudioRate,
		input: Input{1920, 1080, 60}, memory: make([]byte, 1<<16),
	}
	k.changed = sync.NewCond(&k.mu)
	k.probe = k.offer(1, 1, 0)
	return k
}

// Serve takes guests, the newest one counting, until the context ends, whose
// error it returns. It closes the listener.
func (k *Stick) Serve(ctx context.Context, l net.Listener) error {
	defer k.streams.Wait()
	return accept(ctx, l, func(c net.Conn) {
		err := k.guest(newRedir(c))
		if ctx.Err() == nil {
			slog.Debug("dongle: guest gone", "err", err)
		}
	})
}

// ServeControl takes commands, one a line, and answers each with one line.
func (k *Stick) ServeControl(ctx context.Context, l net.Listener) error {
	return accept(ctx, l, func(c net.Conn) {
		for s := bufio.NewScanner(c); s.Scan(); {
			if _, err := fmt.Fprintln(c, k.Command(s.Text())); err != nil {
				return
			}
		}
	})
}

// accept handles connections until the context ends, closes them then, and
// waits for who handles them.
func accept(ctx context.Context, l net.Listener, handle func(net.Conn)) error {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	defer l.Close()
	var handlers sync.WaitGroup
	defer handlers.Wait()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		handlers.Go(func() {
			defer context.AfterFunc(ctx, func() { c.Close() })()
			defer c.Close()
			handle(c)
		})
	}
}

// guest is one connection, from hello to the end.
func (k *Stick) guest(r *redir) error {
	if err := r.greet(); err != nil {
		return err
	}
	k.mu.Lock()
	if k.link != nil {
		k.link.conn.Close()
	}
	k.link = r
	k.status.Connections++
	k.faults.hung = false // its power was away
	k.stopAll()
	if k.plugged {
		r.connect(k.profile)
	}
	k.mu.Unlock()
	defer k.leave(r)
	for {
		p, err := r.receive()
		if err != nil {
			return err
		}
		k.mu.Lock()
		k.handle(r, p)
		k.mu.Unlock()
	}
}

func (k *Stick) leave(r *redir) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.link == r {
		k.link = nil
		k.stopAll()
	}
}

func (k *Stick) handle(r *redir, p packet) {
	if k.link != r {
		return // another guest has come
	}
	if k.faults.hung && p.kind != reset {
		return // not even control requests are answered
	}
	b := p.body
	switch p.kind {
	case reset:
		k.status.Resets++
		k.faults.hung = false
		k.stopAll()
	case setConfiguration:
		k.stopAll()
		r.send(configurationStatus, p.id, success, int(b[0]))
	case getConfiguration:
		r.send(configurationStatus, p.id, success, 1)
	case setAltSetting:
		if b[0] == audioStream {
			k.soundAlt = int(b[1])
			slog.Debug("dongle: sound's setting", "alternate", k.soundAlt)
			k.stopSound()
			r.describe(k.profile, k.soundAlt == 1)
		}
		r.send(altSettingStatus, p.id, success, int(b[0]), int(b[1]))
	case getAltSetting:
		alt := 0
		if b[0] == audioStream {
			alt = k.soundAlt
		}
		r.send(altSettingStatus, p.id, success, int(b[0]), alt)
	case startIso:
		slog.Debug("dongle: sound on", "packets", b[1], "urbs", b[2])
		k.stopSound()
		if k.rate > 0 {
			k.sound = k.start(func(s *stream) { k.playSound(s, r, k.profile.AudioRate) })
		}
		r.send(isoStatus, p.id, success, int(b[0]))
	case stopIso:
		slog.Debug("dongle: sound off", "samples", k.status.Samples)
		k.stopSound()
		r.send(isoStatus, p.id, success, int(b[0]))
	case startInterrupt, stopInterrupt: // status never sends by itself
		r.send(interruptStatus, p.id, success, int(b[0]))
	case controlPacket:
		k.control(r, p)
	case bulkPacket:
		k.want(r, transfer{p.id, b[4:8], int(le.Uint16(b[2:])) | int(le.Uint16(b[8:]))<<16})
	case cancelPacket:
		k.cancel(r, p.id)
	case disconnectAck:
	default:
		slog.Debug("dongle: packet left alone", "kind", p.kind, "bytes", len(b))
	}
}

// want queues a transfer for the next piece of a frame.
func (k *Stick) want(r *redir, t transfer) {
	if len(k.waiting) >= maxWaiting {
		k.answer(r, t, ioError, nil)
		return
	}
	k.waiting = append(k.waiting, t)
	k.changed.Broadcast()
}

func (k *Stick) cancel(r *redir, id uint64) {
	for i, t := range k.waiting {
		if t.id == id {
			k.waiting = append(k.waiting[:i:i], k.waiting[i+1:]...)
			k.answer(r, t, cancelled, nil)
			return
		}
	}
}

func (k *Stick) answer(r *redir, t transfer, status int, data []byte) {
	n := len(data)
	r.send(bulkPacket, t.id, videoEndpoint, status, u16(n&0xffff), t.stream, u16(n>>16), data)
}

func (k *Stick) start(run func(*stream)) *stream {
	ctx, stop := context.WithCancel(context.Background())
	s := &stream{ctx, stop}
	k.streams.Go(func() { run(s) })
	return s
}

func (k *Stick) stopVideo() {
	if k.video != nil {
		k.video.stop()
		k.video = nil
		k.changed.Broadcast()
	}
}

func (k *Stick) stopSound() {
	if k.sound != nil {
		k.sound.stop()
		k.sound = nil
	}
}

func (k *Stick) stopAll() {
	k.stopVideo()
	k.stopSound()
	k.soundAlt, k.waiting = 0, nil
}

func (k *Stick) setPlugged(on bool) {
	if on == k.plugged {
		return
	}
	k.plugged, k.faults.hung = on, false
	k.stopAll()
	switch {
	case k.link == nil:
	case on:
		k.link.connect(k.profile)
	default:
		k.link.send(deviceDisconnect, 0)
	}
}

package dongle

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/codec/jpeg"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// began is a whole second, so that frame numbers are easy to see.
const began = 1_800_000_000 * int64(time.Second)

// guest is QEMU's side of the socket, with a stick on a clock that stands still.
type guest struct {
	*redir
	t     *testing.T
	stick *Stick
	clock *clock.Held
	ctx   context.Context
	ids   uint64
	stamp uint32 // of the last frame
}

func newGuest(t *testing.T) *guest {
	t.Helper()
	limit, release := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(release)
	g := &guest{t: t, ctx: limit, clock: clock.NewHeld(began)}
	g.stick = New(&MS2131, &Pattern{Name: "test"}, g.clock)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.stick.Serve(ctx, l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve: %v", err)
		}
	})
	c.SetDeadline(time.Now().Add(30 * time.Second))
	g.redir = newRedir(c)
	g.shake()
	return g
}

// shake is greet, but for the guest's words.
func (g *guest) shake() {
	g.t.Helper()
	if p := g.next(); p.kind != hello {
		g.t.Fatalf("first packet is of kind %d", p.kind)
	}
	g.redir.send(hello, 0, make([]byte, 64), u32(wideIDs|longBulk))
	g.redir.idSize = 8
	g.expect(interfaceInfo)
	g.expect(endpointInfo)
	b := g.expect(deviceConnect).body
	if le.Uint16(b[4:]) != 0x345f || le.Uint16(b[6:]) != 0x2131 {
		g.t.Errorf("device %x", b)
	}
}

func (g *guest) next() packet {
	g.t.Helper()
	p, err := g.receive()
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

func (g *guest) expect(kind uint32) packet {
	g.t.Helper()
	p := g.next()
	if p.kind != kind {
		g.t.Fatalf("packet of kind %d, want %d", p.kind, kind)
	}
	return p
}

// ask makes a control request and gives what came back, and whether it stalled.
func (g *guest) ask(kind, request int, value, index uint16, data []byte, length int) ([]byte, bool) {
	g.t.Helper()
	g.ids++
	g.send(controlPacket, g.ids, 0, request, kind, 0, u16(value), u16(index), u16(length), data)
	p := g.expect(controlPacket)
	return p.body[10:], p.body[3] == success
}

// play agrees on 320x180 MJPEG at ten frames a second.
func (g *guest) play() { g.t.Helper(); g.playMode(1, 4) }

// playMode agrees on a format and a size, at ten frames a second.
func (g *guest) playMode(format, size int) {
	g.t.Helper()
	probe := pack(u16(1), format, size, u32(1_000_000), make([]byte, 26))
	for _, c := range []uint16{probeControl, commitControl} {
		if _, ok := g.ask(0x21, setCur, c<<8, videoStream, probe, 34); !ok {
			g.t.Fatal("the stick doesn't want that mode")
		}
	}
}

// frame takes one frame as uvcvideo does: transfers wait before it begins. The
// clock is moved to it.
func (g *guest) frame() (data []byte, flags byte) {
	g.t.Helper()
	g.wait(3)
	g.tick()
	for {
		b := g.expect(bulkPacket).body
		if b[1] != success {
			return nil, b[1]
		}
		b = b[10:]
		g.stamp = le.Uint32(b[2:])
		data = append(data, b[b[0]:]...)
		if b[1]&2 != 0 {
			return data, b[1]
		}
	}
}

// wait leaves n transfers with the stick.
func (g *guest) wait(n int) {
	g.t.Helper()
	for range n {
		g.ids++
		g.send(bulkPacket, g.ids, videoEndpoint, 0, u16(videoPayload), u32(0), u16(0))
	}
	g.waitFor(func(k *Stick) bool { return len(k.waiting) >= n })
}

// soundOn starts the sound as snd-usb-audio does.
func (g *guest) soundOn() {
	g.t.Helper()
	g.send(setAltSetting, 1, audioStream, 1)
	g.expect(interfaceInfo)
	g.expect(endpointInfo)
	g.expect(altSettingStatus)
	g.send(startIso, 2, audioEndpoint, 10, 6)
	g.expect(isoStatus)
}

// waitFor waits for the stick to have read what was sent to it.
func (g *guest) waitFor(ok func(*Stick) bool) {
	g.t.Helper()
	k := g.stick
	stop := time.AfterFunc(20*time.Second, func() { k.changed.Broadcast(); g.conn.Close() })
	defer stop.Stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	for !ok(k) {
		if k.link == nil {
			g.t.Fatal("the stick has let the guest go")
		}
		k.changed.Wait()
	}
}

// tick moves the clock to what the stick waits for.
func (g *guest) tick() {
	g.t.Helper()
	if _, err := g.clock.Next(g.ctx); err != nil {
		g.t.Fatal(err)
	}
}

// number decodes a frame and reads its number.
func number(t *testing.T, data []byte) (n int64, warnings int, err error) {
	t.Helper()
	f := media.NewFrame(2, 2)
	warnings, err = jpeg.Decode(data, f)
	if errors.Is(err, jpeg.ErrNoCgo) {
		t.Skip("needs cgo: this build has no libjpeg-turbo")
	}
	if err != nil {
		return 0, warnings, err
	}
	n, err = picture.ReadNumber(f, picture.Whole(f))
	return n, warnings, err
}

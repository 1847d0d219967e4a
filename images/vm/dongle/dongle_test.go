package dongle

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/picture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDescriptorsAreWellFormed(t *testing.T) {
	for _, p := range []Profile{MS2131, {Video: MS2131.Video[:1]}, {Video: MS2131.Video, Status: true}} {
		b := p.config()
		if total := int(le.Uint16(b[2:])); total != len(b) {
			t.Errorf("wTotalLength %d of %d bytes", total, len(b))
		}
		count := map[byte]int{}
		for len(b) > 0 {
			if b[0] < 2 || int(b[0]) > len(b) {
				t.Fatalf("descriptor of %d bytes, %d are left", b[0], len(b))
			}
			count[b[1]]++
			b = b[b[0]:]
		}
		want := p.interfaces()
		if p.AudioRate > 0 {
			want++ // sound has an alternate setting
		}
		if count[kindInterface] != want {
			t.Errorf("%d interface descriptors of %d interfaces", count[kindInterface], p.interfaces())
		}
	}
}

func TestRequests(t *testing.T) {
	g := newGuest(t)
	for _, c := range []struct {
		name          string
		kind, request int
		value, index  uint16
		data          []byte
		want          string // the first bytes of the answer
		ok            bool
	}{
		{"device", 0x80, 6, kindDevice << 8, 0, nil, "\x12\x01\x00\x02", true},
		{"languages", 0x80, 6, kindString << 8, 0, nil, "\x04\x03\x09\x04", true},
		{"name", 0x80, 6, kindString<<8 | 2, 0, nil, "\x1a\x03U\x00S\x00B\x00", true},
		{"no such descriptor", 0x80, 6, 99 << 8, 0, nil, "", false},
		{"status", 0x80, 0, 0, 0, nil, "\x00\x00", true},
		{"probe's length", 0xa1, getLen, probeControl << 8, videoStream, nil, "\x22\x00", true},
		{"probe", 0xa1, getCur, probeControl << 8, videoStream, nil, "\x01\x00\x01\x01", true},
		{"default", 0xa1, getDef, probeControl << 8, videoStream, nil, "\x01\x00\x01\x01", true},
		{"no such format", 0x21, setCur, probeControl << 8, videoStream, []byte{0, 0, 9, 1, 0, 0, 0, 0}, "", false},
		{"probe cut short", 0x21, setCur, probeControl << 8, videoStream, []byte{0, 0, 1}, "", false},
		{"sound's rate", 0xa2, getCur, rateControl << 8, audioEndpoint, nil, "\x80\xbb\x00", true},
		{"set sound's rate", 0x22, setCur, rateControl << 8, audioEndpoint, []byte{0x80, 0xbb, 0}, "", true},
		{"vendor's own", 0xc0, 1, 0, 0, nil, "", false},
	} {
		out, ok := g.ask(c.kind, c.request, c.value, c.index, c.data, 255)
		if ok != c.ok || !strings.HasPrefix(string(out), c.want) {
			t.Errorf("%s: %q, %v; want %q, %v", c.name, out, ok, c.want, c.ok)
		}
	}
}

func TestPictureHasUTCsNumber(t *testing.T) {
	g := newGuest(t)
	g.play()
	var before byte
	for i := range int64(3) {
		data, flags := g.frame()
		n, warnings, err := number(t, data)
		if want := began/1e8 + 1 + i; n != want || warnings != 0 || err != nil {
			t.Errorf("frame %d, %d warnings, %v; want %d", n, warnings, err, want)
		}
		if i > 0 && flags&1 == before&1 {
			t.Error("the frame bit doesn't change")
		}
		before = flags
	}
	if _, err := g.clock.Waited(g.ctx); err != nil { // it has counted the last one
		t.Fatal(err)
	}
	if s := g.stick.Status(); s.Frames != 3 || !s.Streaming || s.Mode != "MJPEG 320x180 at 10 frames a second" {
		t.Errorf("status %+v", s)
	}
}

func TestYUYVHasTheFramesSize(t *testing.T) {
	b, err := new(Pattern).Frame(Mode{YUYV, 320, 180, 10}, 1)
	if err != nil || len(b) != 320*180*2 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestFaultsOfFrames(t *testing.T) {
	g := newGuest(t)
	g.play()
	whole, _ := g.frame()
	if _, _, err := number(t, whole); err != nil {
		t.Fatal(err)
	}
	g.command("short")
	if data, _ := g.frame(); len(data) > len(whole)*2/3 {
		t.Errorf("short: %d bytes of %d", len(data), len(whole))
	} else if _, warnings, err := number(t, data); warnings == 0 && err == nil {
		t.Error("short: the decoder says nothing")
	}
	g.command("corrupt 1")
	data, _ := g.frame()
	if _, warnings, err := number(t, data); warnings == 0 && err == nil {
		t.Error("corrupt: the decoder says nothing")
	}
	g.command("flag")
	if _, flags := g.frame(); flags&0x40 == 0 {
		t.Errorf("flag: %x", flags)
	}
	g.command("stall")
	if _, status := g.frame(); status != stall {
		t.Errorf("stall: status %d", status)
	}
	data, _ = g.frame()
	if _, warnings, err := number(t, data); warnings != 0 || err != nil {
		t.Errorf("afterwards: %d warnings, %v", warnings, err)
	}
}

func (g *guest) command(line string) {
	g.t.Helper()
	if answer := g.stick.Command(line); answer != "ok" {
		g.t.Fatalf("%s: %s", line, answer)
	}
}

func TestFreezeAndNoSignal(t *testing.T) {
	g := newGuest(t)
	g.play()
	first, _ := g.frame()
	n, _, err := number(t, first)
	if err != nil {
		t.Fatal(err)
	}
	g.command("freeze")
	frozen, _ := g.frame()
	if again, _, err := number(t, frozen); again != n || err != nil {
		t.Errorf("frozen: frame %d, %v; want %d", again, err, n)
	}
	g.command("thaw")
	g.command("nosignal")
	blue, _ := g.frame()
	if _, _, err := number(t, blue); !errors.Is(err, picture.ErrNoCode) {
		t.Errorf("no signal: %v", err)
	}
	g.command("signal")
	back, _ := g.frame()
	if last, _, err := number(t, back); last != n+3 || err != nil {
		t.Errorf("signal again: frame %d, %v; want %d", last, err, n+3)
	}
}

func TestStopSendsNothing(t *testing.T) {
	g := newGuest(t)
	g.play()
	g.frame()
	g.command("stop")
	for range 5 {
		g.tick()
	}
	if _, err := g.clock.Waited(g.ctx); err != nil {
		t.Fatal(err)
	}
	if s := g.stick.Status(); s.Frames != 1 {
		t.Errorf("%d frames, want the one before", s.Frames)
	}
	g.command("start")
	g.frame()
}

func TestSoundIsUTCsBeep(t *testing.T) {
	g := newGuest(t)
	g.soundOn()
	var heard []byte
	for range 25 { // 100 ms
		g.tick()
		for range 4 {
			b := g.expect(isoPacket).body
			heard = append(heard, b[4:]...)
		}
	}
	want := make([]int16, 2*4800)
	picture.Beep(want, began/1e9*48000+int64((MS2131.SoundEarly+bufferDelay)*48))
	withoutNoise(want)
	if string(heard) != string(samplesLE(want)) {
		t.Errorf("%d bytes that aren't the beep", len(heard))
	}
	g.command("nosignal")
	g.tick()
	for range 4 {
		if b := g.expect(isoPacket).body; strings.Trim(string(b[4:]), "\x00") != "" {
			t.Error("no signal, and there is sound")
		}
	}
	if _, err := g.clock.Waited(g.ctx); err != nil {
		t.Fatal(err)
	}
	g.clock.Advance(500 * time.Millisecond) // this program was not scheduled
	for range int(mostLate / time.Millisecond) {
		g.expect(isoPacket)
	}
	if s := g.stick.Status(); s.SamplesLost == 0 {
		t.Errorf("no sample was lost in half a second: %+v", s)
	}
}

func TestUnplugAndPlug(t *testing.T) {
	g := newGuest(t)
	g.play()
	g.frame()
	g.command("unplug")
	for g.next().kind != deviceDisconnect { // transfers that waited may come first
	}
	if s := g.stick.Status(); s.Plugged || s.Streaming {
		t.Errorf("unplugged: %+v", s)
	}
	g.command("unplug")
	g.command("plug")
	g.expect(interfaceInfo)
	g.expect(endpointInfo)
	g.expect(deviceConnect)
	g.play()
	data, _ := g.frame()
	if _, _, err := number(t, data); err != nil {
		t.Errorf("plugged in again: %v", err)
	}
	g.command("hangup")
	if _, err := io.Copy(io.Discard, g.in); err != nil {
		t.Errorf("hangup: %v", err)
	}
}

func TestCancelledTransfer(t *testing.T) {
	g := newGuest(t)
	g.send(bulkPacket, 7, videoEndpoint, 0, u16(512), u32(0), u16(0))
	g.send(cancelPacket, 8)
	g.send(cancelPacket, 7)
	if p := g.expect(bulkPacket); p.id != 7 || p.body[1] != cancelled {
		t.Errorf("transfer %d, status %d", p.id, p.body[1])
	}
	for range maxWaiting + 1 {
		g.send(bulkPacket, 9, videoEndpoint, 0, u16(512), u32(0), u16(0))
	}
	if p := g.expect(bulkPacket); p.body[1] != ioError {
		t.Errorf("one transfer too many: status %d", p.body[1])
	}
}

func TestControlSocket(t *testing.T) {
	k := New(&MS2131, new(Pattern), nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.ServeControl(ctx, l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "nosignal\nnonsense\nshort many\n\nstatus\n")
	want := []string{"ok", "error: unknown command", "error: how many", "error: unknown command", `{"plugged":true,"signal":false`}
	buf := make([]byte, 4096)
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var got string
	for strings.Count(got, "\n") < len(want) {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += string(buf[:n])
	}
	for i, line := range strings.Split(strings.TrimSpace(got), "\n") {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("answer %d: %s, want %s", i, line, want[i])
		}
	}
	cancel()
	<-ended
}

// FuzzGuest lets a guest say anything after the hello: the stick must neither
// panic nor hang.
func FuzzGuest(f *testing.F) {
	f.Add(append(pack(u32(setAltSetting), u32(2)), pack(make([]byte, 8), audioStream, 1)...))
	f.Add(append(pack(u32(controlPacket), u32(10)), make([]byte, 18)...))
	f.Add(append(pack(u32(bulkPacket), u32(3)), make([]byte, 11)...))
	report := pack(0, setReport, 0x21, 0, u16(0x300), u16(hidIndex), u16(8), []byte{readMemory, 0xff, 0xff, 0, 0, 0, 0, 0})
	f.Add(pack(u32(controlPacket), u32(len(report)), make([]byte, 8), report))
	f.Fuzz(func(t *testing.T, said []byte) {
		k := New(&MS2131, new(Pattern), clock.NewHeld(began))
		stick, qemu := net.Pipe()
		drained := make(chan struct{})
		go func() { defer close(drained); io.Copy(io.Discard, qemu) }()
		go func() {
			h := append(pack(u32(hello), u32(68), u32(0), make([]byte, 64)), pack(u32(wideIDs|longBulk))...)
			qemu.Write(append(h, said...))
			qemu.Close()
		}()
		if err := k.guest(newRedir(stick)); err == nil {
			t.Error("a guest that is gone is no error")
		}
		stick.Close()
		<-drained
		k.streams.Wait()
	})
}

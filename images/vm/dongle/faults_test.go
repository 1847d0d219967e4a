package dongle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/codec/jpeg"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

const hidIndex = 4 // the status interface's number

// read asks the stick for four bytes of its memory, as ms-tools does.
func (g *guest) read(at uint16) []byte {
	g.t.Helper()
	question := []byte{readMemory, byte(at >> 8), byte(at), 0, 0, 0, 0, 0}
	if _, ok := g.ask(0x21, setReport, 0x300, hidIndex, question, reportBytes); !ok {
		g.t.Fatalf("memory %#x: not asked", at)
	}
	b, ok := g.ask(0xa1, getReport, 0x300, hidIndex, nil, reportBytes)
	if !ok || len(b) != reportBytes || b[0] != readMemory || binary.BigEndian.Uint16(b[1:]) != at {
		g.t.Fatalf("memory %#x: %x, %v", at, b, ok)
	}
	return b[3:7]
}

func TestStatusTellsAboutTheInput(t *testing.T) {
	g := newGuest(t)
	if b, ok := g.ask(0x81, 6, kindReport<<8, hidIndex, nil, 255); !ok || string(b) != string(reportDescriptor) {
		t.Errorf("report descriptor %x, %v", b, ok)
	}
	g.send(startInterrupt, 1, hidEndpoint)
	if b := g.expect(interruptStatus).body; b[0] != success || b[1] != hidEndpoint {
		t.Errorf("interrupts: %x", b)
	}
	for _, c := range []struct {
		command            string
		noSignal, cable    byte
		width, height, mHz int
	}{
		{"signal", 0, 1, 1920, 1080, 6000},
		{"input 1280x720@50", 0, 1, 1280, 720, 5000},
		{"nosignal", 1, 1, 1280, 720, 5000},
		{"nocable", 1, 0, 1280, 720, 5000},
		{"signal", 0, 1, 1280, 720, 5000},
	} {
		g.command(c.command)
		size, big := g.read(memWidth), g.read(memSizeBE)
		if w, h := int(le.Uint16(size)), int(le.Uint16(size[2:])); w != c.width || h != c.height {
			t.Errorf("%s: %dx%d", c.command, w, h)
		}
		if w, h := int(binary.BigEndian.Uint16(big)), int(binary.BigEndian.Uint16(big[2:])); w != c.width || h != c.height {
			t.Errorf("%s: high bytes first: %dx%d", c.command, w, h)
		}
		if r := int(binary.BigEndian.Uint16(g.read(memRateBE))); r != c.mHz {
			t.Errorf("%s: rate %d", c.command, r)
		}
		if no, cable := g.read(memNoSignal)[0], g.read(memCable)[0]; no != c.noSignal || cable != c.cable {
			t.Errorf("%s: no signal %d, cable %d", c.command, no, cable)
		}
	}
	g.read(memInput)
	if s := g.stick.Status(); s.DangerousReads != 1 || s.Input != "1280x720@50" {
		t.Errorf("status %+v", s)
	}
	g.ask(0x21, setReport, 0x300, hidIndex, []byte{writeMemory, 0x12, 0x34, 0x56, 0, 0, 0, 0}, reportBytes)
	if b := g.read(0x1234); b[0] != 0x56 {
		t.Errorf("written memory reads %x", b)
	}
	if _, ok := g.ask(0x21, setReport, 0x300, hidIndex, make([]byte, 3), 3); ok {
		t.Error("a report cut short was taken")
	}
}

func TestInputChangesAndThePictureKeepsItsSize(t *testing.T) {
	g := newGuest(t)
	g.play()
	g.command("input 720x576@50")
	data, _ := g.frame()
	f := media.NewFrame(2, 2)
	if _, err := jpeg.Decode(data, f); errors.Is(err, jpeg.ErrNoCgo) {
		t.Skip("needs cgo: this build has no libjpeg-turbo")
	} else if err != nil || f.Width != 320 || f.Height != 180 {
		t.Errorf("%dx%d, %v", f.Width, f.Height, err)
	}
}

// TestAnInputBeyondTheStickIsNotShown: what comes is a picture that stands still.
func TestAnInputBeyondTheStickIsNotShown(t *testing.T) {
	g := newGuest(t)
	g.play()
	for _, c := range []struct {
		input string
		taken bool
	}{{"1920x1080@60", true}, {"3840x2160@30", true}, {"3840x2160@60", false}, {"1280x720@120", false}, {"1280x720@50", true}} {
		g.command("input " + c.input)
		g.frame() // one that was on its way
		a, _ := g.frame()
		b, _ := g.frame()
		_, _, err := number(t, b)
		if moves := !bytes.Equal(a, b); moves != c.taken || (err == nil) != c.taken {
			t.Errorf("%s: moves %v, want %v; number: %v", c.input, moves, c.taken, err)
		}
	}
}

func TestOfferOneSizeOnly(t *testing.T) {
	g := newGuest(t)
	g.command("offer 640x480")
	g.expect(deviceDisconnect)
	g.expect(interfaceInfo)
	g.expect(endpointInfo)
	g.expect(deviceConnect)
	if b, ok := g.ask(0xa1, getDef, probeControl<<8, videoStream, nil, 255); !ok || le.Uint32(b[18:]) != 640*480*2 {
		t.Errorf("default %x, %v", b, ok)
	}
	if _, ok := g.ask(0x21, setCur, probeControl<<8, videoStream, pack(u16(1), 1, 4, u32(1_000_000), make([]byte, 26)), 34); ok {
		t.Error("320x180 is still there")
	}
	if answer := g.stick.Command("offer 1x1"); answer == "ok" {
		t.Error("a size it never had")
	}
	g.command("offer all")
	g.expect(deviceDisconnect)
}

func TestTimeStamps(t *testing.T) {
	g := newGuest(t)
	g.play()
	stamp := func() uint32 {
		t.Helper()
		g.frame()
		return g.stamp
	}
	const frame = deviceClock / 10
	first := stamp()
	if second := stamp(); second-first != frame {
		t.Errorf("frames %d ticks apart, want %d", second-first, frame)
	}
	g.command("stamps zero")
	if s := stamp(); s != 0 {
		t.Errorf("zero: %d", s)
	}
	g.command("stamps back")
	first = stamp()
	if second := stamp(); first-second != frame {
		t.Errorf("backwards: %d ticks apart", first-second)
	}
	g.command("stamps random")
	first = stamp()
	if second := stamp(); second-first == frame || first-second == frame {
		t.Error("random: still a frame apart")
	}
	if answer := g.stick.Command("stamps late"); answer == "ok" {
		t.Error("unknown stamps")
	}
}

func TestPauseInsideAFrame(t *testing.T) {
	g := newGuest(t)
	g.playMode(2, 2) // YUYV, in eight payloads
	g.command("pause 250")
	g.wait(8)
	g.tick()
	before := g.clock.Now()
	g.expect(bulkPacket)
	g.tick() // what the stick waits for now is the rest
	g.expect(bulkPacket)
	if d := time.Duration(g.clock.Now() - before); d != 250*time.Millisecond {
		t.Errorf("paused for %v", d)
	}
}

func TestHangsUntilReset(t *testing.T) {
	g := newGuest(t)
	g.play()
	g.frame()
	g.command("hang")
	g.send(controlPacket, 77, 0, 6, 0x80, 0, u16(kindDevice<<8), u16(0), u16(18)) // never answered
	g.send(setAltSetting, 78, audioStream, 1)
	g.send(reset, 79)
	if b, ok := g.ask(0x80, 6, kindDevice<<8, 0, nil, 18); !ok || len(b) != 18 {
		t.Errorf("after the reset: %x, %v", b, ok) // and nothing came before this answer
	}
	g.play()
	g.frame()
	g.command("hang")
	if !g.stick.Status().Hung {
		t.Error("not hung")
	}
	g.command("unplug")
	for g.next().kind != deviceDisconnect {
	}
	g.command("plug")
	if g.stick.Status().Hung {
		t.Error("a stick without power remembers that it hung")
	}
}

// TestClocksOfTheirOwn counts what comes in ten seconds of UTC.
func TestClocksOfTheirOwn(t *testing.T) {
	g := newGuest(t)
	g.command("ppm audio 500")
	g.command("ppm video -10000")
	g.play()
	first, _ := g.frame()
	from, _, err := number(t, first)
	if err != nil {
		t.Fatal(err)
	}
	start := g.clock.Now()
	var last []byte
	for range 99 { // a percent slow: the next 99 frames take 10 s
		last, _ = g.frame()
	}
	if d := float64(g.clock.Now() - start); math.Abs(d-10e9) > 2e6 {
		t.Errorf("99 frames in %.3f s", d/1e9)
	}
	if to, _, _ := number(t, last); to != from+99 {
		t.Errorf("frames %d to %d", from, to)
	}
	if s := g.stick.Status(); s.AudioPPM != 500 || s.VideoPPM != -10000 {
		t.Errorf("status %+v", s)
	}
	for _, wrong := range []string{"ppm", "ppm audio", "ppm audio much", "ppm sound 1", "ppm video 20000"} {
		if answer := g.stick.Command(wrong); answer == "ok" {
			t.Errorf("%s: ok", wrong)
		}
	}
}

func TestSoundOnItsOwnClock(t *testing.T) {
	g := newGuest(t)
	g.command("ppm audio 1000")
	g.soundOn()
	samples := 0
	for range 250 { // a second
		g.tick()
		for range 4 {
			samples += len(g.expect(isoPacket).body[4:]) / 4
		}
	}
	if samples != 48048 {
		t.Errorf("%d samples a second, want 48048", samples)
	}
}

func TestOscillator(t *testing.T) {
	o := oscillator{}
	if got := o.time(began); got != began {
		t.Errorf("without error %d", got)
	}
	o = o.tune(began, 100).tune(began+10e9, -50)
	if got := o.time(began + 10e9); got != began+10e9+1e6 {
		t.Errorf("10 s at 100 ppm: %d ns ahead", got-began-10e9)
	}
	if got := o.time(began + 20e9); got != began+20e9+5e5 {
		t.Errorf("and 10 s at -50: %d ns ahead", got-began-20e9)
	}
	for _, utc := range []int64{began + 10e9, began + 11e9, began + 3600e9} {
		if d := o.utc(o.time(utc)) - utc; d < -1 || d > 1 {
			t.Errorf("there and back: %d ns", d)
		}
	}
}

func TestNoSignalKeepsTheMode(t *testing.T) {
	for _, m := range []Mode{{MJPEG, 640, 480, 30}, {YUYV, 320, 180, 10}} {
		b, err := noSignal(m)
		if errors.Is(err, jpeg.ErrNoCgo) {
			t.Skip("needs cgo: this build has no libjpeg-turbo")
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.Coding == YUYV {
			if len(b) != 320*180*2 {
				t.Errorf("%d bytes", len(b))
			}
			continue
		}
		f := media.NewFrame(2, 2)
		if _, err := jpeg.Decode(b, f); err != nil || f.Width != 640 || f.Height != 480 {
			t.Errorf("%dx%d, %v", f.Width, f.Height, err)
		}
		if _, err := picture.ReadNumber(f, picture.Whole(f)); !errors.Is(err, picture.ErrNoCode) {
			t.Errorf("it has a number: %v", err)
		}
	}
}

// FuzzCommand lets anybody say anything on the control socket.
func FuzzCommand(f *testing.F) {
	for _, line := range []string{"status", "input 1280x720@50", "offer 640x480", "ppm audio -1e9", "stamps back", "pause 1", "short 3"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		k := New(&MS2131, new(Pattern), clock.NewHeld(began))
		if answer := k.Command(line); answer == "" || strings.Contains(answer, "\n") && !strings.Contains(line, "\n") {
			t.Errorf("%q: answered %q", line, answer)
		}
		k.Command("plug")
		if k.probe == nil || len(k.profile.Video) == 0 {
			t.Errorf("%q leaves a stick that offers nothing", line)
		}
	})
}

//go:build vm

// These tests boot the image: they need bin/videobox.img (make image) and take
// both cores for minutes, so they run by make test only as TestShort…, by make drill as TestDrill….

package vm_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/images/vm/dongle"
	"github.com/openvideobox/videobox/internal/codec/openh264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/picture"
)

const image = "../../bin/videobox.img"

// box is a machine with a stick.
type box struct {
	*vm.Machine
	stick *dongle.Stick
}

// boot boots the image with a stick on its bus; change may be nil.
func boot(t *testing.T, change func(*vm.Config)) box {
	t.Helper()
	return bootWith(t, &dongle.MS2131, change)
}

// bootWith boots it with another stick.
func bootWith(t *testing.T, p *dongle.Profile, change func(*vm.Config)) box {
	t.Helper()
	if err := vm.Needs(); err != nil {
		t.Fatal(err)
	}
	perm, err := vm.BoxPerm("secret")
	if err != nil {
		t.Fatal(err)
	}
	stick := dongle.New(p, &dongle.Pattern{Name: "test"}, nil)
	usb, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() { defer close(served); stick.Serve(ctx, usb) }()
	t.Cleanup(func() { cancel(); <-served })
	dir := t.TempDir()
	cfg := vm.Config{
		Image: image, Dir: dir, Perm: perm, Ports: map[int]int{80: 0, 8899: 0}, Stick: usb.Addr().String(),
	}
	if change != nil {
		change(&cfg)
	}
	m, err := vm.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Stop()
		if t.Failed() {
			t.Logf("stick: %+v\nconsole:\n%s", stick.Status(), m.Console.Last(40))
		}
	})
	return box{m, stick}
}

// TestShortBoot is what a person does with a new box: power, wait, watch.
func TestShortBoot(t *testing.T) {
	b := boot(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := b.Console.Wait(ctx, "gokrazy build timestamp"); err != nil {
		t.Fatal(err)
	}
	t.Logf("init's first line %.1f s after QEMU's start", time.Since(b.Started).Seconds())
	first := b.streams(ctx, t)
	t.Logf("first TS byte after %.1f s", first.Seconds())
	ctx, cancel = context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	b.checkStream(ctx, t)
	b.checkPage(ctx, t)
	b.checkUnplug(ctx, t)
	t.Logf("stick: %+v", b.stick.Status())
}

// watched is what a reader of the stream sees.
type watched struct {
	stop    func()
	decoder *openh264.Decoder
	frame   *media.Frame
	numbers []int64 // of the stick's pictures, as decoded
	delays  []time.Duration
	sounds  int
}

const enough = 12 // keyframes with different numbers, one a second

func (w *watched) Video(u media.Unit) {
	if !u.Key || w.decoder.Decode(u.Data, w.frame) != nil {
		return
	}
	n, err := picture.ReadNumber(w.frame, picture.Whole(w.frame))
	if err != nil || len(w.numbers) > 0 && w.numbers[len(w.numbers)-1] == n {
		return // a slate, or the same again
	}
	w.numbers = append(w.numbers, n)
	w.delays = append(w.delays, time.Since(time.Unix(0, media.FrameTime(n, 10))))
	if len(w.numbers) == enough {
		w.stop()
	}
}

func (w *watched) Audio(media.Unit) { w.sounds++ }

// read reads the stream until w has seen enough, the stream ends, or the time is
// over.
func (b box) read(ctx context.Context, t *testing.T, w *watched, copyTo io.Writer) {
	t.Helper()
	c, err := net.Dial("tcp", b.Addr(8899))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	w.stop = func() { c.Close() }
	_ = mpegts.Demux(io.TeeReader(c, copyTo), w)
}

// checkStream reads until the stick's picture has been seen moving.
func (b box) checkStream(ctx context.Context, t *testing.T) {
	t.Helper()
	d, err := openh264.New()
	if errors.Is(err, openh264.ErrNoCgo) {
		t.Skip("needs cgo: this build has no libopenh264")
	} else if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	path := filepath.Join(t.TempDir(), "stream.ts")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := &watched{decoder: d, frame: media.NewFrame(2, 2)}
	b.read(ctx, t, w, file)
	if len(w.numbers) < enough && ctx.Err() == nil {
		// A box that learns its name at boot, late on a slow host, starts capture
		// again; later nothing may end a stream.
		_, log := b.get(ctx, t, "/log/boot.txt", "secret")
		t.Logf("the stream ended once; the box's log:\n%s", log)
		b.streams(ctx, t)
		b.read(ctx, t, w, file)
	}
	for i, n := range w.numbers {
		if i > 0 && n <= w.numbers[i-1] {
			t.Errorf("the picture goes back from %d to %d", w.numbers[i-1], n)
		}
	}
	if len(w.numbers) < enough {
		t.Errorf("%d different pictures of the stick decoded, want %d: %v", len(w.numbers), enough, w.numbers)
	}
	if w.sounds == 0 {
		t.Error("no access unit of sound")
	}
	t.Logf("pictures %v, %v after the stick sent them", w.numbers, w.delays)
	// The stick beeps each second. Where the host gives the guest less CPU than
	// real time takes, QEMU drops what the guest does not fetch, so a part of
	// them is enough; a quiet host hears nearly all.
	n, seen := beeps(ctx, t, path), len(w.numbers)
	for more := 0; n == 0 && more < 3 && ctx.Err() == nil; more++ { // a busy host: listen on
		w.numbers = nil
		b.read(ctx, t, w, file)
		n, seen = beeps(ctx, t, path), seen+len(w.numbers)
	}
	t.Logf("%d beeps while %d pictures of different seconds came", n, seen)
	if n == 0 {
		t.Error("no beep of the stick's in the sound")
	}
}

// beeps decodes a stream's sound by ffmpeg and counts how often it gets loud.
func beeps(ctx context.Context, t *testing.T, path string) (n int) {
	t.Helper()
	pcm, err := exec.CommandContext(ctx, "ffmpeg", "-v", "fatal", "-nostdin", "-i", path, "-vn", "-ac", "1", "-f", "s16le", "-").Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	const beep, pause = 2000, 48000 / 4 // the stick's has a peak of 4125 and lasts 40 ms
	quiet := pause
	for i := 0; i+1 < len(pcm); i += 2 {
		if v := int16(uint16(pcm[i]) | uint16(pcm[i+1])<<8); v < beep {
			quiet++
			continue
		}
		if quiet >= pause {
			n++
		}
		quiet = 0
	}
	return n
}

// checkPage asks boxd, as a browser and as a program, and for what gok asks.
func (b box) checkPage(ctx context.Context, t *testing.T) {
	t.Helper()
	if code, body := b.get(ctx, t, "/", ""); code != http.StatusOK || !strings.Contains(body, "videobox") {
		t.Errorf("page: %d %.200s", code, body)
	}
	_, body := b.get(ctx, t, "/api/status", "")
	var status struct {
		Program, Name string
		Health        []struct{ Name, State, Cause string }
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil || status.Program != "boxd" || status.Name != "videobox" || len(status.Health) == 0 {
		t.Errorf("status: %v: %.300s", err, body)
	}
	t.Logf("health: %+v", status.Health)
	if code, _ := b.get(ctx, t, "/update/features", ""); code != http.StatusUnauthorized {
		t.Errorf("updates without the password: %d", code)
	}
	if code, body := b.get(ctx, t, "/update/features", "secret"); code != http.StatusOK {
		t.Errorf("updates with it: %d %.200s", code, body)
	}
}

func (b box) get(ctx context.Context, t *testing.T, path, password string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.Addr(80)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(vm.User+":"+password)))
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// keyframes hands on what each keyframe of one connection shows: the number of
// the stick's picture, or -1 for another.
type keyframes struct {
	decoder *openh264.Decoder
	frame   *media.Frame
	shown   chan int64
}

func (k *keyframes) Video(u media.Unit) {
	if !u.Key || k.decoder.Decode(u.Data, k.frame) != nil {
		return
	}
	n, err := picture.ReadNumber(k.frame, picture.Whole(k.frame))
	if err != nil {
		n = -1
	}
	select {
	case k.shown <- n:
	default: // the test looks at the newest soon enough
	}
}

func (k *keyframes) Audio(media.Unit) {}

// checkUnplug pulls the stick out and puts it back: a reader sees the slate and
// then the picture again, on the connection that it has.
func (b box) checkUnplug(ctx context.Context, t *testing.T) {
	t.Helper()
	c, err := net.Dial("tcp", b.Addr(8899))
	if err != nil {
		t.Fatal(err)
	}
	d, err := openh264.New()
	if err != nil {
		t.Fatal(err)
	}
	k := &keyframes{decoder: d, frame: media.NewFrame(2, 2), shown: make(chan int64, 1)}
	ended := make(chan struct{})
	go func() { defer close(ended); defer d.Close(); _ = mpegts.Demux(c, k) }()
	defer func() { c.Close(); <-ended }()
	see := func(what string, ok func(n int64) bool) {
		t.Helper()
		began := time.Now()
		for {
			select {
			case n := <-k.shown:
				if ok(n) {
					t.Logf("%s after %.1f s", what, time.Since(began).Seconds())
					return
				}
			case <-ended:
				t.Fatalf("%s: the stream ended", what)
			case <-ctx.Done():
				t.Fatalf("%s: not seen", what)
			}
		}
	}
	see("the stick's picture", func(n int64) bool { return n >= 0 })
	b.stick.Command("unplug")
	see("unplugged: the slate", func(n int64) bool { return n < 0 })
	b.leaf(ctx, t, "device", false)
	b.stick.Command("plug")
	see("plugged in again: the picture", func(n int64) bool { return n >= 0 })
	b.leaf(ctx, t, "device", true)
}

// leaf waits for a leaf of boxd's health to be ok, or not.
func (b box) leaf(ctx context.Context, t *testing.T, name string, ok bool) {
	t.Helper()
	began := time.Now()
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	for {
		var status struct {
			Health []struct{ Name, State, Cause string }
		}
		_, body := b.get(ctx, t, "/api/status", "")
		if err := json.Unmarshal([]byte(body), &status); err != nil {
			t.Fatal(err)
		}
		for _, l := range status.Health {
			if l.Name == name && (l.State == "ok") == ok {
				t.Logf("%s is %s after %.1f s: %s", name, l.State, time.Since(began).Seconds(), l.Cause)
				return
			}
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("%s: never ok=%v: %s", name, ok, body)
		}
	}
}

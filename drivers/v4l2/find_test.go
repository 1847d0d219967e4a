package v4l2_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/drivers/v4l2"
)

// two is a kernel with a webcam before the stick, or behind it, which delivers
// nothing, gives infrared pictures only, or is another program's.
type two struct {
	v4l2.Kernel
	infrared, busy, behind bool
}

func (k two) Nodes() ([]string, error) {
	nodes, err := k.Kernel.Nodes()
	if k.behind {
		return append(nodes, "/dev/video7"), err
	}
	return append([]string{"/dev/video7"}, nodes...), err
}

func (k two) Modes(node string) (string, []v4l2.Mode, error) {
	switch {
	case node == "/dev/video7" && k.infrared:
		return "infrared", []v4l2.Mode{{Width: 320, Height: 180, Rate: 10, Pixel: "GREY"}}, nil
	case node == "/dev/video7":
		return "silent", []v4l2.Mode{{Width: 320, Height: 180, Rate: 10, Pixel: v4l2.MJPEG}}, nil
	}
	return k.Kernel.Modes(node)
}

func (k two) Open(ctx context.Context, node string, m v4l2.Mode) (v4l2.Stream, error) {
	switch {
	case node == "/dev/video7" && k.busy:
		return nil, &drivers.Error{State: drivers.NoDevice, Err: fmt.Errorf("the capture device %s is used by another program", node)}
	case node == "/dev/video7":
		return silent{make(chan v4l2.Buffer)}, nil
	}
	return k.Kernel.Open(ctx, node, m)
}

// silent is a stream that gives nothing.
type silent struct{ c chan v4l2.Buffer }

func (s silent) Format() v4l2.Format {
	return v4l2.Format{Mode: v4l2.Mode{Width: 320, Height: 180, Rate: 10, Pixel: v4l2.MJPEG}}
}
func (s silent) Buffers() <-chan v4l2.Buffer { return s.c }
func (s silent) Err() error                  { return nil }
func (s silent) Close() error                { return nil }

// TestTheFirstThatDelivers: without a known stick the devices are tried in turn,
// and none is reset before all were tried; a known one is taken at once.
func TestTheFirstThatDelivers(t *testing.T) {
	for _, known := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			stick := drivertest.NewStick(t.TempDir(), drivertest.Config{Now: clocks})
			defer stick.Close()
			s := new(sink)
			// Neither is on USB as far as this kernel knows, unless the stick is known.
			root := usb.Root{Sys: t.TempDir()}
			if known {
				root = stick.USB()
			}
			src := v4l2.New(v4l2.Config{
				Path: v4l2.Auto, Width: 320, Height: 180, Rate: 10, Kernel: two{Kernel: stick.Kernel()}, USB: root, Now: clocks, Decode: decode,
				Models: func(usb.Device) v4l2.Model { return v4l2.Model{Known: known} },
			})
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- src.Run(ctx, s) }()
			began := time.Now()
			for n := 0; n == 0 && time.Since(began) < time.Minute; n, _ = s.seen() {
				time.Sleep(50 * time.Millisecond)
				synctest.Wait()
			}
			if took := time.Since(began); known && took > 200*time.Millisecond || !known && (took < 2*time.Second || took > 3*time.Second) {
				t.Errorf("known %v: delivers after %v", known, took)
			}
			if st := src.Stats(); st.Reset+st.Reopened != 0 {
				t.Errorf("%+v", st)
			}
			stop()
			<-done
		})
	}
}

// beside runs a source on a stick with a webcam, neither of which is on USB as
// far as the kernel knows.
func beside(t *testing.T, k two, test func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, stick: drivertest.NewStick(t.TempDir(), drivertest.Config{Now: clocks}), sink: new(sink), done: make(chan error, 1)}
		k.Kernel = b.stick.Kernel()
		b.src = v4l2.New(v4l2.Config{
			Path: v4l2.Auto, Width: 320, Height: 180, Rate: 10, Kernel: k, USB: usb.Root{Sys: t.TempDir()}, Now: clocks, Decode: decode,
		})
		ctx, stop := context.WithCancel(t.Context())
		b.stop = stop
		go func() { b.done <- b.src.Run(ctx, b.sink) }()
		defer b.end()
		test(b)
	})
}

// TestAWebcamThatCannotBeUsed doesn't keep the device behind it from being taken;
// what is wrong with it is told when there is no other.
func TestAWebcamThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct {
		k            two
		both         string // states
		alone, cause string
	}{
		{two{infrared: true}, "streaming", "unsupported", "/dev/video7: no format that can be read: it has [GREY]"},
		{two{busy: true}, "no device, streaming", "no device", "/dev/video7 is used by another program"},
	} {
		beside(t, c.k, func(b *bench) {
			b.after(time.Second, c.both)
			b.command("unplug")
			time.Sleep(2 * time.Second)
			b.sink.take()
			b.after(5*time.Second, c.alone)
			if !strings.Contains(b.sink.said(), c.cause) {
				b.t.Errorf("alone: %q", b.sink.said())
			}
			b.command("plug")
			time.Sleep(2 * time.Second)
			b.sink.take()
			b.after(time.Second, "streaming")
		})
	}
}

// TestASilentOneIsReset although another one can't be opened.
func TestASilentOneIsReset(t *testing.T) {
	for _, behind := range []bool{false, true} {
		beside(t, two{busy: true, behind: behind}, func(b *bench) {
			b.command("stop")
			time.Sleep(8 * time.Second)
			if st := b.src.Stats(); st.Reopened == 0 || st.Reset == 0 {
				b.t.Errorf("behind %v: %+v", behind, st)
			}
		})
	}
}

func TestList(t *testing.T) {
	stick := drivertest.NewStick(t.TempDir(), drivertest.Config{})
	defer stick.Close()
	c := v4l2.Config{Width: 1280, Height: 720, Rate: 25, Kernel: two{Kernel: stick.Kernel()}, USB: stick.USB()}
	all, err := v4l2.List(c)
	if err != nil || len(all) != 2 || all[0].String() != "/dev/video0, 345f:2131 USB3.0 Video" || all[1].OnUSB {
		t.Fatalf("%v, %v", all, err)
	}
	m, why, err := c.Choose(all[0])
	if got := fmt.Sprint(m, " ", err); got != "MJPG 1280x720 at 25 frames a second <nil>" || why == "" {
		t.Error(got, why)
	}
	if err := stick.Command("unplug"); err != nil {
		t.Fatal(err)
	}
	c.Kernel = stick.Kernel()
	if all, err := v4l2.List(c); len(all) != 0 || err == nil || !strings.Contains(err.Error(), "no capture device") {
		t.Errorf("unplugged: %v, %v", all, err)
	}
}

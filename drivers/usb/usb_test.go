package usb_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/drivers/usb"
)

var stick = drivertest.USB{
	Port: "1-1.4", Vendor: 0x345f, Product: 0x2131, Name: "USB3.0 Video", Serial: "7", Number: 5, Speed: 5000,
	Video: []string{"video0", "video1"}, Card: "card1", HID: "hidraw2",
}

func bus(t *testing.T) (*drivertest.Sysfs, usb.Root) {
	s := drivertest.NewSysfs(t.TempDir())
	return s, usb.Root{Sys: s.Sys, Dev: filepath.Join(t.TempDir(), "dev")}
}

func TestOfFindsTheDeviceOfEachNode(t *testing.T) {
	s, root := bus(t)
	s.Plug(drivertest.USB{Port: "1-1", Vendor: 0x05e3, Product: 0x0608, Name: "Hub", Number: 2, Class: "09"})
	path := s.Plug(stick)
	s.Plug(drivertest.USB{Port: "1-2", Vendor: 0x534d, Product: 0x2109, Number: 3, Video: []string{"video2"}, Card: "card0"})
	for node, want := range map[string]string{
		"/dev/video0": "345f:2131", "/dev/video1": "345f:2131", "/dev/snd/pcmC1D0c": "345f:2131", "/dev/hidraw2": "345f:2131",
		"/dev/video2": "534d:2109", "/dev/snd/pcmC0D0c": "534d:2109",
	} {
		if d, err := root.Of(node); err != nil || d.ID() != want {
			t.Errorf("%s: %v, %v; want %s", node, d, err, want)
		}
	}
	d, err := root.Of("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	if d.Path != path || d.Bus != 1 || d.Number != 5 || d.Speed != 5000 || d.Serial != "7" || d.String() != "345f:2131 USB3.0 Video" {
		t.Errorf("%+v", d)
	}
	for what, c := range map[string]struct{ got, want []string }{
		"video": {d.Video(), []string{root.Dev + "/video0", root.Dev + "/video1"}},
		"sound": {d.Sound(), []string{root.Dev + "/snd/pcmC1D0c"}},
		"HID":   {d.HID(), []string{root.Dev + "/hidraw2"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %q, want %q", what, c.got, c.want)
		}
	}
}

func TestOfSaysWhatIsMissing(t *testing.T) {
	s, root := bus(t)
	if _, err := root.Of("/dev/video0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no node: %v", err)
	}
	// A camera on the board's own bus, as the Pi's is.
	camera := filepath.Join(s.Sys, "devices/platform/csi")
	if err := errors.Join(os.MkdirAll(camera, 0o755), os.MkdirAll(filepath.Join(s.Sys, "class/video4linux/video5"), 0o755),
		os.Symlink(camera, filepath.Join(s.Sys, "class/video4linux/video5/device"))); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Of("/dev/video5"); !errors.Is(err, usb.ErrNotUSB) {
		t.Errorf("not on USB: %v", err)
	}
}

func TestListLeavesHubsOut(t *testing.T) {
	s, root := bus(t)
	s.Plug(drivertest.USB{Port: "1-1", Number: 2, Class: "09"})
	s.Plug(stick)
	s.Plug(drivertest.USB{Port: "1-2", Vendor: 0x534d, Product: 0x2109, Number: 3})
	all, err := root.List()
	if err != nil || len(all) != 2 || all[0].ID() != "345f:2131" || all[1].ID() != "534d:2109" {
		t.Errorf("%v, %v", all, err)
	}
	s.Unplug("1-1.4")
	if all, err := root.List(); err != nil || len(all) != 1 {
		t.Errorf("unplugged: %v, %v", all, err)
	}
	if _, err := root.Of("/dev/video0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unplugged: %v", err)
	}
	if _, err := (usb.Root{Sys: t.TempDir()}).List(); err == nil {
		t.Error("a kernel without USB lists devices")
	}
}

func TestResetFollowsTheNumber(t *testing.T) {
	s, root := bus(t)
	var reset []string
	fail := error(nil)
	root.Reset = func(node string) error { reset = append(reset, node); return fail }
	path := s.Plug(stick)
	d, err := root.Of("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "devnum"), []byte("6\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	fail = unix.EPERM
	if err := d.Reset(); !errors.Is(err, unix.EPERM) {
		t.Errorf("refused: %v", err)
	}
	if want := []string{root.Dev + "/bus/usb/001/005", root.Dev + "/bus/usb/001/006"}; !slices.Equal(reset, want) {
		t.Errorf("reset %q, want %q", reset, want)
	}
	s.Unplug(stick.Port)
	if err := d.Reset(); err == nil || len(reset) != 2 {
		t.Errorf("unplugged: %v, %q", err, reset)
	}
}

func TestKernelResetNeedsItsNode(t *testing.T) {
	s, root := bus(t)
	s.Plug(stick)
	d, err := root.Of("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Reset(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no node: %v", err)
	}
	node := filepath.Join(root.Dev, "bus/usb/001/005")
	if err := errors.Join(os.MkdirAll(filepath.Dir(node), 0o755), os.WriteFile(node, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := d.Reset(); !errors.Is(err, unix.ENOTTY) { // a plain file
		t.Errorf("no USB device: %v", err)
	}
}

func TestAuthorize(t *testing.T) {
	s, root := bus(t)
	path := s.Plug(stick)
	d, err := root.Of("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	for on, want := range map[bool]string{false: "0", true: "1"} {
		err := d.Authorize(on)
		got, _ := os.ReadFile(filepath.Join(path, "authorized"))
		if err != nil || string(got)[:1] != want {
			t.Errorf("authorize %v: %q, %v", on, got, err)
		}
	}
	s.Unplug(stick.Port)
	if err := d.Authorize(true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unplugged: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("authorizing made the folder anew")
	}
}

// TestAlive tells a device that doesn't answer from one that can't be asked.
func TestAlive(t *testing.T) {
	s, root := bus(t)
	s.Plug(stick)
	asked := ""
	for _, c := range []struct{ is, want error }{{nil, nil}, {usb.ErrNoAnswer, usb.ErrNoAnswer}, {unix.ENODEV, unix.ENODEV}} {
		root.Alive = func(node string) error { asked = node; return c.is }
		d, err := root.Of("/dev/video0")
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Alive(); !errors.Is(err, c.want) || asked != root.Dev+"/bus/usb/001/005" {
			t.Errorf("%v: asked %s, %v", c.is, asked, err)
		}
	}
	root.Alive = nil // the kernel, without that node
	d, _ := root.Of("/dev/video0")
	if err := d.Alive(); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, usb.ErrNoAnswer) {
		t.Errorf("no node: %v", err)
	}
	s.Unplug(stick.Port)
	if err := d.Alive(); err == nil || errors.Is(err, usb.ErrNoAnswer) {
		t.Errorf("unplugged: %v", err)
	}
}

// TestResetPort asks the hub that the device is plugged into.
func TestResetPort(t *testing.T) {
	s, root := bus(t)
	path := s.Plug(stick) // on port 1-1.4
	hub, port := "", uint16(0)
	root.ResetPort = func(node string, p uint16) error { hub, port = node, p; return nil }
	d, err := root.Of("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ResetPort(); err == nil || hub != "" {
		t.Errorf("without a hub: %v, asked %q", err, hub)
	}
	for name, value := range map[string]string{"idVendor": "1d6b", "idProduct": "0002", "busnum": "1", "devnum": "1"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.ResetPort(); err != nil || hub != root.Dev+"/bus/usb/001/001" || port != 4 {
		t.Errorf("port %d of %q, %v", port, hub, err)
	}
}

// Package vm boots a box's image, the very one that is flashed, in QEMU: an
// aarch64 machine (-M virt) with kernel and command line from the image's boot
// partition, read anew at every start as the Raspberry Pi's firmware does, so
// that an update of the box counts. The image itself is never written: what the
// machine writes goes to an overlay.
//
// What it isn't: a Raspberry Pi. Firmware, EEPROM, SPI, GPIO, vc4 and the real
// USB controller are not there, and without KVM it is some twenty times slower.
//
// Tested on Debian 12's QEMU 7.2 with kernel.rpi 6.12.
package vm

import (
	"context"
	"errors"
	"fmt"
	"image"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Config is a machine.
type Config struct {
	Image string // as `make image` makes it
	Dir   string // for overlay, kernel and serial log; made if missing
	// Size is the card's size in bytes, when the image is written to a larger
	// one; 0: the image's.
	Size int64
	// Perm are files of /perm, by name. With none, /perm is as it is in the
	// image or the overlay.
	Perm map[string]string
	// Boot are files of the boot partition, by name; they are put there at the
	// start, into a new overlay or into one that there was.
	Boot map[string]string
	// Ports are the guest's TCP ports to reach, with the host's port; 0 is any.
	Ports map[int]int
	CPUs  int    // processors of the machine; 0: 2
	Stick string // address at which a dongle.Stick serves guests; "" for none

	MAC      string // of the first network card; "": QEMU's
	Networks []Network
	Disks    []Disk
	// Log is a file that gets each write and flush of the card, as
	// dm-log-writes has them; "": none.
	Log      string
	Watchdog bool // has a hardware watchdog (i6300esb), which resets the machine
	Display  bool // has a screen (/dev/fb0, 640x480), for Screendump
	// RTC is the time in the machine's clock at its start; zero: the host's.
	RTC time.Time
	PC  bool // a PC with UEFI, for images of PC boxes
	// GPU is the graphics card of a PC with Display, by QEMU's name: bochs-display
	// if empty; vmware-svga, of which only the firmware knows how to set a mode;
	// virtio-gpu-pci, into which screens can be plugged.
	GPU       string
	VNC       int    // of a PC with Display, but with virtio-gpu-pci: the port of 127.0.0.1, from 5900 on, where VNC shows it; 0: none
	Unplugged bool   // with virtio-gpu-pci: no screen at the start, see PlugScreen
	BIOS      bool   // such a PC with a BIOS instead
	Append    string // for images of the Pi: words for the end of the kernel's command line
}

// QEMU is the program; make vm installs it.
const QEMU = "qemu-system-aarch64"

// Needs says what is missing on this host to run a machine, or nil.
func Needs() error {
	for _, tool := range []string{QEMU, "qemu-img", "qemu-io"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w; make vm installs it", err)
		}
	}
	return nil
}

// Machine is a running machine.
type Machine struct {
	// Console is what the machine writes to its serial port.
	Console *Console
	Started time.Time // QEMU's first start

	config Config
	ports  map[int]int
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	life     *life // QEMU as it runs now, or ran last
	restarts int
	changed  chan struct{} // closed and replaced with every restart
}

const overlay = "disk.qcow2"

// Start boots a machine; it ends with the context, by Stop, or when the guest
// switches it off. When it is reset, by the guest, the watchdog or Reset, it
// boots again. A machine that was in Dir before goes on with its disk, unless
// Perm is given.
func Start(ctx context.Context, c Config) (*Machine, error) {
	if err := prepare(ctx, c); err != nil {
		return nil, err
	}
	console, err := newConsole(filepath.Join(c.Dir, "serial.log"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	m := &Machine{
		Console: console, Started: time.Now(), config: c, ports: map[int]int{},
		cancel: cancel, done: make(chan struct{}), changed: make(chan struct{}),
	}
	first, err := m.boot(ctx)
	if err != nil {
		cancel()
		console.end()
		return nil, err
	}
	m.life = first
	if c.Unplugged {
		err = m.PlugScreen(ctx, image.Point{})
	}
	go m.keep(ctx)
	if err != nil {
		m.Stop()
		return nil, err
	}
	return m, nil
}

// prepare makes the overlay and puts files on /perm.
func prepare(ctx context.Context, c Config) error {
	image, err := filepath.Abs(c.Image)
	if err != nil {
		return err
	}
	if _, err := os.Stat(image); err != nil {
		return fmt.Errorf("%w; make image builds it", err)
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	disk := filepath.Join(c.Dir, overlay)
	if _, err := os.Stat(disk); err == nil && c.Perm == nil {
		return c.putBoot(ctx, disk)
	}
	create := []string{"create", "-q", "-f", "qcow2", "-F", "raw", "-b", image, disk}
	if c.Size > 0 {
		create = append(create, strconv.FormatInt(c.Size, 10))
	}
	if err := tool(ctx, "qemu-img", create...); err != nil {
		return err
	}
	if c.Perm != nil {
		if err := writePerm(ctx, c, disk); err != nil {
			return err
		}
	}
	return c.putBoot(ctx, disk)
}

func (c Config) putBoot(ctx context.Context, disk string) error {
	if len(c.Boot) == 0 {
		return nil
	}
	return c.writeBoot(ctx, disk)
}

// Addr is where one of the guest's forwarded ports is reached.
func (m *Machine) Addr(guest int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(m.ports[guest]))
}

// Command gives QEMU's monitor a command of QMP; result may be nil.
func (m *Machine) Command(ctx context.Context, name string, arguments, result any) error {
	m.mu.Lock()
	q := m.life.qmp
	m.mu.Unlock()
	return q.run(ctx, name, arguments, result)
}

// Done is closed once the machine has ended for good.
func (m *Machine) Done() <-chan struct{} { return m.done }

// Stop takes the power away, as a pulled plug does, and waits for the end.
// Calling it twice is fine. What the guest has written stays in the host's page
// cache and so on the disk; see Config.Log for what a card would lose.
func (m *Machine) Stop() {
	m.cancel()
	<-m.done
}

// tool runs one of QEMU's or e2fsprogs' programs.
func tool(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// FirstByte waits for the first byte that the guest sends on a forwarded port
// and says how long after QEMU's start it came. QEMU takes connections before
// the guest does, and drops them.
func FirstByte(ctx context.Context, m *Machine, guest int) (time.Duration, error) {
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		if readByte(ctx, m.Addr(guest)) == nil {
			return time.Since(m.Started), nil
		}
		select {
		case <-m.Done():
			return 0, errors.New("the machine ended before it sent anything")
		case <-ctx.Done():
			return 0, fmt.Errorf("nothing on port %d: %w", guest, ctx.Err())
		case <-retry.C:
		}
	}
}

func readByte(ctx context.Context, addr string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	// Of a connection that is closed, not reset, QEMU's network tells the guest
	// nothing, which goes on sending for ever.
	_ = c.(*net.TCPConn).SetLinger(0)
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

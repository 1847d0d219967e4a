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
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/openvideobox/videobox/internal/run"
)

// Config is a machine.
type Config struct {
	Image string // as `make image` makes it
	Dir   string // for overlay, kernel and serial log; made if missing
	// Perm are files of /perm, by name. With none, /perm is as it is in the
	// image or the overlay.
	Perm map[string]string
	// Ports are the guest's TCP ports to reach, with the host's port; 0 is any.
	Ports map[int]int
	Stick string // address at which a dongle.Stick serves guests; "" for none
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
	Started time.Time // QEMU's start

	process *run.Process
	qmp     *qmp
	ports   map[int]int
}

const overlay = "disk.qcow2"

// Start boots a machine; it ends with the context or by Stop. A machine that
// was in Dir before goes on with its disk, unless Perm is given.
func Start(ctx context.Context, c Config) (*Machine, error) {
	if err := prepare(ctx, c); err != nil {
		return nil, err
	}
	cmdline, err := bootFiles(ctx, c.Dir)
	if err != nil {
		return nil, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	m := &Machine{ports: map[int]int{}, Started: time.Now()}
	child := run.Child{Name: "qemu", Path: QEMU, Args: c.args(cmdline), PipeStdout: true, ExtraFiles: []*os.File{theirs}}
	m.process, err = child.Start(ctx)
	if err != nil {
		ours.Close()
		return nil, err
	}
	m.Console = newConsole(m.process.Stdout, filepath.Join(c.Dir, "serial.log"))
	theirs.Close() // else its end would not end ours
	m.qmp, err = newQMP(ours)
	if err == nil {
		err = m.findPorts(ctx, c)
	}
	if err != nil {
		m.Stop()
		return nil, errors.Join(err, m.process.Wait())
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
		return nil
	}
	if err := tool(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", image, disk); err != nil {
		return err
	}
	if c.Perm == nil {
		return nil
	}
	return writePerm(ctx, c, disk)
}

// args is QEMU's command line. The network card has no boot ROM, which Debian
// packs separately.
func (c Config) args(cmdline string) []string {
	forwards := ""
	for guest, host := range c.Ports {
		forwards += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:%d", host, guest)
	}
	args := []string{
		"-M", "virt,gic-version=max", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024", "-accel", "tcg,thread=multi",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", filepath.Join(c.Dir, kernelFile), "-append", cmdline,
		"-drive", "if=none,id=disk,format=qcow2,file=" + filepath.Join(c.Dir, overlay),
		"-device", "virtio-blk-pci,drive=disk",
		"-netdev", "user,id=net" + forwards, "-device", "virtio-net-pci,netdev=net,romfile=",
		"-device", "virtio-rng-pci",
		"-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
	}
	if c.Stick != "" {
		host, port, _ := net.SplitHostPort(c.Stick)
		args = append(args, "-device", "qemu-xhci,id=xhci",
			"-chardev", "socket,id=stick,host="+host+",port="+port+",reconnect=1,nodelay=on",
			"-device", "usb-redir,chardev=stick,bus=xhci.0,id=stick0,port=1")
	}
	return args
}

// findPorts asks QEMU which ports of the host it has taken.
func (m *Machine) findPorts(ctx context.Context, c Config) error {
	var table string
	if err := m.Command(ctx, "human-monitor-command", map[string]any{"command-line": "info usernet"}, &table); err != nil {
		return err
	}
	for line := range strings.Lines(table) {
		// Protocol[State] FD SourceAddress Port DestAddress Port RecvQ SendQ
		f := strings.Fields(line)
		if len(f) < 6 || f[0] != "TCP[HOST_FORWARD]" {
			continue
		}
		host, herr := strconv.Atoi(f[3])
		guest, gerr := strconv.Atoi(f[5])
		if err := errors.Join(herr, gerr); err != nil {
			return fmt.Errorf("info usernet: %q: %w", line, err)
		}
		m.ports[guest] = host
	}
	for guest := range c.Ports {
		if m.ports[guest] == 0 {
			return fmt.Errorf("QEMU doesn't forward port %d: %s", guest, table)
		}
	}
	return nil
}

// Addr is where one of the guest's forwarded ports is reached.
func (m *Machine) Addr(guest int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(m.ports[guest]))
}

// Command gives QEMU's monitor a command of QMP; result may be nil.
func (m *Machine) Command(ctx context.Context, name string, arguments, result any) error {
	raw, err := m.qmp.command(ctx, name, arguments)
	if err != nil {
		return fmt.Errorf("qemu: %s: %w", name, err)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(raw, result)
}

// Done is closed once QEMU has ended.
func (m *Machine) Done() <-chan struct{} { return m.process.Done() }

// Stop takes the power away, as a pulled plug does, and waits for the end.
// Calling it twice is fine.
func (m *Machine) Stop() {
	m.process.Stop()
	if m.qmp != nil {
		m.qmp.close()
	}
	m.Console.wait()
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
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

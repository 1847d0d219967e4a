package vm

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// A machine with Config.PC is an ordinary PC: q35 with UEFI (OVMF), which starts
// what the image's boot partition holds by itself, as the box does. Its screen
// hangs on one of QEMU's graphics cards.

// QEMUForPC is the program; make vm-pc installs it, and the firmware.
const QEMUForPC = "qemu-system-x86_64"

// The firmware and the template of its variables, as Debian's ovmf has them.
const (
	firmware     = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	firmwareVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	varsFile     = "vars.fd"
)

// NeedsPC says what is missing on this host to run a PC, or nil.
func NeedsPC() error {
	for _, tool := range []string{QEMUForPC, "qemu-img", "qemu-io"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w; make vm-pc installs it", err)
		}
	}
	if _, err := os.Stat(firmware); err != nil {
		return fmt.Errorf("%w; make vm-pc installs it (ovmf)", err)
	}
	return nil
}

// program is the QEMU that runs the machine.
func (c Config) program() string {
	if c.PC {
		return QEMUForPC
	}
	return QEMU
}

// processors are how many it has.
func (c Config) processors() string { return strconv.Itoa(cmp.Or(c.CPUs, 2)) }

// bootArgs are the machine, and what it starts with.
func (c Config) bootArgs(cmdline string) []string {
	if !c.PC {
		return append(c.machineArgs(""), "-kernel", filepath.Join(c.Dir, kernelFile), "-append", cmdline)
	}
	args := []string{"-M", "q35", "-cpu", "max", "-smp", c.processors(), "-m", fmt.Sprint(memoryMB)}
	if !c.BIOS {
		args = append(args,
			"-drive", "if=pflash,format=raw,readonly=on,file="+firmware,
			"-drive", "if=pflash,format=raw,file="+option(filepath.Join(c.Dir, varsFile)))
	}
	return append(args, c.gpuArgs()...)
}

// gpuArgs are the graphics card and what its screen is plugged by.
func (c Config) gpuArgs() []string {
	size := fmt.Sprintf(",xres=%d,yres=%d", screenWidth, screenHeight)
	switch {
	case !c.Display:
		return nil
	case c.GPU == "":
		return append(c.vncArgs(), "-device", "bochs-display,id=screen"+size)
	case c.GPU == "virtio-gpu-pci":
		return []string{"-device", c.GPU + ",id=screen" + size, "-vnc", "unix:" + option(filepath.Join(c.Dir, vncSocket))}
	}
	return append(c.vncArgs(), "-device", c.GPU+",id=screen")
}

// vncArgs show the screen to people. QEMU counts VNC's ports from 5900 on.
func (c Config) vncArgs() []string {
	if c.VNC == 0 {
		return nil
	}
	return []string{"-vnc", fmt.Sprintf("127.0.0.1:%d", c.VNC-5900)}
}

// makeVars gives the firmware its memory, once.
func (c Config) makeVars() error {
	path := filepath.Join(c.Dir, varsFile)
	if _, err := os.Stat(path); err == nil || !c.PC {
		return nil
	}
	data, err := os.ReadFile(firmwareVars)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// screendumpPC asks QEMU, which writes a portable pixmap.
func (m *Machine) screendumpPC(ctx context.Context) (image.Image, error) {
	path, err := filepath.Abs(filepath.Join(m.config.Dir, "screen.ppm"))
	if err != nil {
		return nil, err
	}
	defer os.Remove(path)
	if err := m.Command(ctx, "screendump", map[string]any{"filename": path}, nil); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readPPM(bufio.NewReader(f))
}

// readPPM reads a binary portable pixmap (netpbm's ppm(5)) of 8 bits a colour.
func readPPM(r io.Reader) (image.Image, error) {
	var width, height, most int
	if _, err := fmt.Fscanf(r, "P6\n%d %d\n%d\n", &width, &height, &most); err != nil {
		return nil, fmt.Errorf("screen: %w", err)
	}
	if width < 1 || height < 1 || width > 1<<13 || height > 1<<13 || most != 255 {
		return nil, errors.New("screen: a pixmap of an impossible size")
	}
	pixels := make([]byte, 3*width*height)
	if _, err := io.ReadFull(r, pixels); err != nil {
		return nil, fmt.Errorf("screen: %w", err)
	}
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		copy(img.Pix[4*i:], pixels[3*i:3*i+3])
		img.Pix[4*i+3] = 0xff
	}
	return img, nil
}

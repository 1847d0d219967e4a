package vm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
)

// The screen that a machine with Config.Display has is a piece of memory that
// the device tree calls a simple-framebuffer, as a Raspberry Pi's firmware
// leaves one behind: kernel.rpi has a driver for that and for none of QEMU's
// graphics cards. The kernel is told to leave that memory alone (mem=).
const (
	screenWidth, screenHeight = 640, 480
	screenStride              = screenWidth * 4
	memoryMB, screenMB        = 1024, 8
	memoryBase                = 0x4000_0000 // of -M virt
	screenBase                = memoryBase + (memoryMB-screenMB)<<20
	treeFile                  = "screen.dtb"
)

// screenArgs give the machine its device tree.
func (c Config) screenArgs() []string {
	if !c.Display || c.PC {
		return nil
	}
	return []string{"-dtb", filepath.Join(c.Dir, treeFile)}
}

// machineArgs are the parts of the machine that its device tree depends on.
func (c Config) machineArgs(more string) []string {
	return []string{"-M", "virt,gic-version=max" + more, "-cpu", "cortex-a72", "-smp", c.processors(), "-m", fmt.Sprint(memoryMB)}
}

// makeScreen writes the device tree of a machine with a screen, and gives what
// the kernel's command line needs.
func (c Config) makeScreen(ctx context.Context) (words string, err error) {
	if !c.Display {
		return "", nil
	}
	path := filepath.Join(c.Dir, treeFile)
	if err := tool(ctx, QEMU, append(c.machineArgs(",dumpdtb="+path), "-nodefaults", "-display", "none")...); err != nil {
		return "", err
	}
	tree, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if tree, err = addNode(tree, fmt.Sprintf("framebuffer@%x", screenBase), []property{
		{"compatible", []byte("simple-framebuffer\x00")},
		{"reg", cells(0, screenBase, 0, screenStride*screenHeight)},
		{"width", cells(screenWidth)}, {"height", cells(screenHeight)}, {"stride", cells(screenStride)},
		{"format", []byte("x8r8g8b8\x00")},
	}); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return fmt.Sprintf(" mem=%dM", memoryMB-screenMB), os.WriteFile(path, tree, 0o644)
}

// Screendump is what the machine's screen shows: it is read from the memory in
// which the screen is. It needs Config.Display.
func (m *Machine) Screendump(ctx context.Context) (image.Image, error) {
	if !m.config.Display {
		return nil, errors.New("the machine has no screen: set Config.Display")
	}
	if m.config.PC {
		return m.screendumpPC(ctx)
	}
	path, err := filepath.Abs(filepath.Join(m.config.Dir, "screen.raw"))
	if err != nil {
		return nil, err
	}
	defer os.Remove(path)
	const size = screenStride * screenHeight
	if err := m.Command(ctx, "pmemsave", map[string]any{"val": uint64(screenBase), "size": size, "filename": path}, nil); err != nil {
		return nil, err
	}
	pixels, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(pixels) != size {
		return nil, fmt.Errorf("screen of %d bytes, want %d", len(pixels), size)
	}
	img := image.NewRGBA(image.Rect(0, 0, screenWidth, screenHeight))
	for i := 0; i < size; i += 4 { // blue, green, red, nothing
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = pixels[i+2], pixels[i+1], pixels[i], 0xff
	}
	return img, nil
}

// property is one of a device tree's node.
type property struct {
	name  string
	value []byte
}

func cells(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// Tokens of a device tree's structure block (Devicetree Specification 0.4, 5.4.1).
const (
	treeMagic = 0xd00dfeed
	beginNode = 1
	endNode   = 2
	prop      = 3
	treeEnd   = 9
)

// addNode puts a node at the end of a device tree's root (Devicetree
// Specification 0.4, chapter 5). The blocks are in the order header, reserved
// memory, structure, strings, as QEMU writes them.
func addNode(tree []byte, name string, properties []property) ([]byte, error) {
	word := func(i int) int { return int(binary.BigEndian.Uint32(tree[4*i:])) }
	if len(tree) < 40 || word(0) != treeMagic || word(1) > len(tree) {
		return nil, errors.New("not a device tree")
	}
	structure, text, textSize, size := word(2), word(3), word(8), word(9)
	if structure+size > len(tree) || text+textSize > len(tree) || size < 8 || structure >= text {
		return nil, errors.New("a device tree with blocks outside of it")
	}
	body, strings := tree[structure:structure+size], tree[text:text+textSize:text+textSize]
	if string(body[size-8:]) != string(cells(endNode, treeEnd)) {
		return nil, errors.New("a device tree without an end")
	}
	node := padded(append(cells(beginNode), name+"\x00"...))
	for _, p := range properties {
		node = append(node, cells(prop, uint32(len(p.value)), uint32(len(strings)))...)
		node = padded(append(node, p.value...))
		strings = append(strings, p.name+"\x00"...)
	}
	node = append(node, cells(endNode, endNode, treeEnd)...)

	out := append([]byte{}, tree[:structure]...)
	out = append(append(append(out, body[:size-8]...), node...), strings...)
	for i, v := range map[int]int{1: len(out), 3: len(out) - len(strings), 8: len(strings), 9: size - 8 + len(node)} {
		binary.BigEndian.PutUint32(out[4*i:], uint32(v))
	}
	return out, nil
}

func padded(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

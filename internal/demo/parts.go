package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// part is one process of the chain.
type part struct {
	name    string // in the table
	program string // in bin/
	args    []string
	status  string // host:port of its /api/status
}

// layout is what one `make run` consists of.
type layout struct {
	bin, dir, config string
	camera, slides   string
	offset           int
	machines         bool // boxes are virtual machines
}

func (l layout) addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+l.offset) }

// parts lists the processes in the order in which they start: what receives
// before what sends, so that nothing has to try twice.
func (l layout) parts() []part {
	p := []part{
		l.restream("cache", 8080, "edge1"),
		l.restream("origin", 8081, "main"),
		l.restream("origin", 8082, "backup"),
		l.restream("push", 8895, ""),
		l.restream("dump", 8896, "dump1"),
		{
			name: "mixer", program: "mixer-host", status: l.addr(8000),
			args: []string{"run", "--config", l.config, "--room", "demo", "--state", filepath.Join(l.dir, "mixer")},
		},
	}
	if l.machines {
		return append(p, l.machine("box1", 1, l.camera, 8899, 8101), l.machine("box2", 2, l.slides, 18899, 8102))
	}
	p = append(p, l.box("box1", l.camera, 8890, 8101)...)
	return append(p, l.box("box2", l.slides, 18890, 8102)...)
}

// image is what virtual machines boot.
func (l layout) image() string { return filepath.Join(l.bin, "videobox.img") }

// machine is a box in QEMU, with its ports on this host.
func (l layout) machine(name string, number int, source string, stream, http int) part {
	port := func(guest, host int) string { return fmt.Sprintf("--port=%d=%d", guest, host+l.offset) }
	return part{
		name: name + " machine", program: "vm", status: l.addr(http),
		args: []string{
			"--image", l.image(), "--cpus=1", "--dir", filepath.Join(l.dir, name), "--name", name, "--source", source,
			"--mac", fmt.Sprintf("02:00:00:00:00:%02d", number), "--control", l.addr(15555 + number),
			port(80, http), port(8899, stream), port(8898, stream-1),
		},
	}
}

func (l layout) restream(command string, port int, name string) part {
	p := part{name: strings.TrimSpace(command + " " + name), program: "restream-host", status: l.addr(port),
		args: []string{command, "--config", l.config}}
	if name != "" {
		p.args = append(p.args, "--name", name)
	}
	return p
}

// box is the three programs of a box: capture, record and boxd.
func (l layout) box(name, source string, status, http int) []part {
	common := []string{"--config", l.config, "--name", name}
	with := func(extra ...string) []string { return append(append([]string(nil), common...), extra...) }
	return []part{
		{name: name + " capture", program: "capture", status: l.addr(status), args: with("--source", source)},
		{name: name + " record", program: "record", status: l.addr(status + 1), args: with("--dir", filepath.Join(l.dir, "recordings"))},
		{name: name + " boxd", program: "boxd", status: l.addr(http), args: with("--recordings", filepath.Join(l.dir, "recordings"))},
	}
}

// camera is the source to take for the camera: what was asked for, else the
// film, else the pattern, with a word on why.
func camera(asked string) (source, why string) {
	if asked != "" {
		return asked, ""
	}
	if _, err := os.Stat(film); err == nil {
		return film, ""
	}
	return "pattern", "no film (" + film + "): `make deps` fetches it; the camera shows the test pattern"
}

// open lists what a person can open, with the addresses of this run.
func (l layout) open() []string {
	return []string{
		"watch page   http://" + l.addr(8080) + "/",
		"control page http://" + l.addr(8000) + "/",
		"box pages    http://" + l.addr(8101) + "/  http://" + l.addr(8102) + "/",
		"HLS          http://" + l.addr(8080) + "/hls/demo/index.m3u8",
		"box streams  ffplay tcp://" + l.addr(8899) + "  ffplay tcp://" + l.addr(18899),
		"mixer        ffplay tcp://" + l.addr(28899) + fmt.Sprintf("  udp://239.255.42.1:%d on lo", 5004+l.offset),
		"recordings   " + l.dir,
	}
}

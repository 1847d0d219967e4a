package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
)

const goodEvent = `event: Test
video: {size: 640x360, rate: 25, bitrate: 800k}
multicast: {interface: lo, ttl: 0}
port_offset: 2500
audio: {rate: 48000, channels: 2, bitrate: 96k}
boxes:
  - {name: box1, mac: "02:00:00:00:00:01", address: 127.0.0.1}
rooms:
  - name: one
    camera: box1
    slides: tcp://127.0.0.1:7001
    mixer: {host: voctop1.example, engine: native}
    output: {multicast: "239.255.49.1:5004", tcp: 28899}
  - name: two
    camera: tcp://127.0.0.1:7002
    slides: tcp://127.0.0.1:7003
    mixer: {host: voctop2.example, engine: native}
    output: {multicast: "239.255.49.2:5004", tcp: 28999}
`

// TestBrokenEvents gives programs event files with one fault each: one line
// that says what is wrong, exit status 1, nothing started.
func TestBrokenEvents(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string // of goodEvent
		args     []string
		want     string
	}{
		"unknown key":  {"event: Test", "event: Test\nvidoe: {}", nil, "vidoe"},
		"missing room": {"", "", []string{"mixer-host", "run", "--room", "three"}, `"three"`},
		"same group":   {"239.255.49.2:5004", "239.255.49.1:5004", nil, "239.255.49.1"},
		"same mixer":   {"voctop2.example", "voctop1.example", nil, "voctop1.example"},
		"bad address":  {"tcp://127.0.0.1:7001", "tcp://127.0.0.1", nil, "tcp://127.0.0.1"},
		"no multicast": {"239.255.49.2:5004", "10.1.2.3:5004", nil, "10.1.2.3"},
		"missing file": {"", "", []string{"mixer-host", "run", "--config", "/nonexistent/event.yaml", "--room", "one"}, "/nonexistent/event.yaml"},
		"missing film": {"", "", []string{"capture", "--name", "box1", "--source", "/nonexistent/film.mkv"}, "/nonexistent/film.mkv"},
		"missing box":  {"", "", []string{"capture", "--name", "box7", "--source", "pattern"}, `"box7"`},
	} {
		t.Run(name, func(t *testing.T) {
			event := filepath.Join(t.TempDir(), "event.yaml")
			if err := os.WriteFile(event, []byte(strings.Replace(goodEvent, c.old, c.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			args := c.args
			if args == nil {
				args = []string{"mixer-host", "run", "--room", "one"}
			}
			if !strings.Contains(strings.Join(args, " "), "--config") {
				args = append(args, "--config", event)
			}
			wantOneLine(t, args, c.want)
		})
	}
}

// wantOneLine runs a program that must end at once with exit status 1 and one
// line that holds want.
func wantOneLine(t *testing.T, args []string, want string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), bin(args[0]), args[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	var errors []string
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "time=") { // else it is of the log
			errors = append(errors, strings.TrimSpace(line))
		}
	}
	said := strings.Join(errors, "\n")
	if err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%q: ended with %v, said %q", args, err, said)
	}
	if strings.Contains(said, "\n") || !strings.Contains(said, want) || strings.Contains(said, "goroutine") {
		t.Errorf("%q said %q, want one line with %q", args, said, want)
	}
	t.Log(said)
}

// TestPortInUse starts programs whose port somebody else has.
func TestPortInUse(t *testing.T) {
	event := filepath.Join(t.TempDir(), "event.yaml")
	if err := os.WriteFile(event, []byte(goodEvent), 0o600); err != nil {
		t.Fatal(err)
	}
	for port, args := range map[int][]string{
		8899 + 2500: {"capture", "--name", "box1", "--source", "pattern", "--config", event},
		8000 + 2500: {"mixer-host", "run", "--room", "one", "--state", t.TempDir(), "--config", event},
	} {
		ln, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			t.Fatal(err)
		}
		wantOneLine(t, args, fmt.Sprint(port))
		ln.Close()
	}
}

// TestBadInput floods a running chain with what doesn't belong there.
func TestBadInput(t *testing.T) {
	c := newChain(t, 2000, "--camera", "pattern")
	eventually(t, 40*time.Second, "the cache's playlist plays", func() error { return c.plays(2) })
	eventually(t, 20*time.Second, "the whole chain is ok", c.ok)
	pids := map[string]int{}
	for name, port := range c.programs() {
		s, err := c.status(port)
		if err != nil {
			t.Fatal(err)
		}
		pids[name] = s.Process.PID
	}
	t.Run("noise on the groups", func(t *testing.T) {
		for _, group := range []string{fmt.Sprintf("239.255.43.2:%d", 5004+c.offset), fmt.Sprintf("239.255.42.1:%d", 5004+c.offset)} {
			noise(t, group)
		}
	})
	t.Run("noise on tcp", func(t *testing.T) {
		for _, port := range []int{1935, 1936, portStream1, portMixer, portCache, portMain, portControl, portBox1} {
			conn, err := net.Dial("tcp", c.hostPort(port))
			if err != nil {
				t.Error(err)
				continue
			}
			junk := make([]byte, 64<<10)
			_, _ = rand.Read(junk)
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			_, _ = conn.Write(junk)
			conn.Close()
		}
	})
	t.Run("rtmp without the key", func(t *testing.T) {
		url := fmt.Sprintf("rtmp://127.0.0.1:%d/stream/demo?key=wrong", 1935+c.offset)
		cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=5", "-c:v", "libx264", "-f", "flv", url)
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("a publisher with a wrong key was let in: %s", out)
		}
	})
	eventually(t, 10*time.Second, "the whole chain is ok", c.ok)
	for name, port := range c.programs() {
		if s, err := c.status(port); err != nil || s.Process.PID != pids[name] {
			t.Errorf("%s: process %d before, %d after: %v", name, pids[name], s.Process.PID, err)
		}
	}
	p, err := c.media(portCache, "main")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "segments go on", func() error {
		now, err := c.media(portCache, "main")
		if err == nil && now.first+len(now.segments) < p.first+len(p.segments)+2 {
			err = fmt.Errorf("no new segments")
		}
		return err
	})
}

// noise sends random datagrams to a multicast group on lo.
func noise(t *testing.T, group string) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := ipv4.NewPacketConn(conn)
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetMulticastInterface(lo); err != nil {
		t.Fatal(err)
	}
	if err := p.SetMulticastTTL(0); err != nil {
		t.Fatal(err)
	}
	to, err := net.ResolveUDPAddr("udp4", group)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		junk := make([]byte, 1+i*3%1400)
		_, _ = rand.Read(junk)
		if _, err := p.WriteTo(junk, nil, to); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

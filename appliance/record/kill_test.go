package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/tee"
)

// program is one of a box's, started again whenever it ends, as init does.
type program struct {
	t       *testing.T
	path    string
	args    []string
	log     bytes.Buffer
	process *exec.Cmd
}

func (p *program) start() {
	p.t.Helper()
	p.process = exec.Command(p.path, p.args...)
	p.process.Stderr = &p.log
	p.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.process.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// end sends a signal that ends it, and waits.
func (p *program) end(s syscall.Signal) {
	if p.process == nil {
		return
	}
	p.process.Process.Signal(s)
	p.process.Wait()
	p.process = nil
}

// freePorts finds three ports in a row for each of two uses: status addresses
// are counted from one number.
func freePorts(t *testing.T, n int) (first int) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		first = l.Addr().(*net.TCPAddr).Port
		open := []net.Listener{l}
		for i := 1; i < n; i++ {
			if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+i)); err == nil {
				open = append(open, l)
			}
		}
		for _, l := range open {
			l.Close()
		}
		if len(open) == n {
			return first
		}
	}
	t.Fatal("no free ports")
	return 0
}

// box writes an event for programs of one box and builds them.
func realBox(t *testing.T) (config string, build func(name string, args ...string) *program, stream, status string) {
	t.Helper()
	dir, port := t.TempDir(), freePorts(t, 9)
	config = filepath.Join(dir, "event.yaml")
	writeFile(t, config, fmt.Sprintf(`event: Test
video: {size: 320x180, rate: 25, bitrate: 500k}
boxes:
  - {name: box1, address: 127.0.0.1, ports: {stream: %d, http: %d, status: %d}}
rooms:
  - {name: demo, camera: box1, mixer: {host: 127.0.0.1}}
`, port+1, port+2, port+3))
	build = func(name string, args ...string) *program {
		p := &program{t: t, path: filepath.Join(dir, name), args: append([]string{"--config", config, "--name", "box1"}, args...)}
		if out, err := exec.Command("go", "build", "-o", p.path, "../"+name).CombinedOutput(); err != nil {
			t.Fatalf("go build: %v: %s", err, out)
		}
		t.Cleanup(func() { p.end(syscall.SIGKILL) })
		return p
	}
	return config, build, fmt.Sprintf("127.0.0.1:%d", port+1), fmt.Sprintf("127.0.0.1:%d", port+4)
}

// TestKilledStoppedAndCrashed does to record and preview whatever can be done to
// a program: who reads the stream sees nothing of it, and in the files of all
// the runs together each frame is there once.
func TestKilledStoppedAndCrashed(t *testing.T) {
	_, build, stream, status := realBox(t)
	dir := t.TempDir()
	capture := build("capture", "--source=pattern", "--preset=ultrafast")
	record := build("record", "--dir", dir, "--segment=5s")
	preview := build("preview", "--no-screens", "--out", filepath.Join(t.TempDir(), "screen.png"))
	capture.start()
	read, done := context.WithCancel(t.Context())
	defer done()
	seen := make(chan mpegts.Report, 1)
	src := reader(t, stream)
	go func() { seen <- readUntil(read, src) }()
	record.start()
	preview.start()
	grown(t, status)
	for _, what := range []struct {
		name    string
		signals []syscall.Signal // to both, the first at once, the second after pause
		pause   time.Duration
	}{
		{"killed", []syscall.Signal{syscall.SIGKILL}, time.Second},
		{"stopped for three seconds", []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT}, 3 * time.Second},
		{"crashed", []syscall.Signal{syscall.SIGSEGV}, time.Second},
		{"told to end", []syscall.Signal{syscall.SIGTERM}, time.Second},
	} {
		for _, p := range []*program{record, preview} {
			if len(what.signals) > 1 {
				p.process.Process.Signal(what.signals[0])
				time.Sleep(what.pause) // is what it is to be stopped for
				p.process.Process.Signal(what.signals[1])
				continue
			}
			p.end(what.signals[0])
			time.Sleep(what.pause) // init waits a second
			p.start()
		}
		grown(t, status)
		t.Log(what.name, "and going on")
	}
	record.end(syscall.SIGTERM)
	done()
	if r := <-seen; r.Continuity != 0 || r.MissingFrames != 0 || r.DuplicateFrames != 0 || r.Frames < 200 {
		t.Errorf("a reader of the stream saw: %v", r)
	}
	all, entries := recorded(t, dir)
	p := mpegts.NewProbe()
	p.Write(all)
	if r := p.Report(); r.Continuity != 0 || r.MissingFrames != 0 || r.DuplicateFrames != 0 || r.Frames < 200 {
		t.Errorf("recorded in %d files: %v\nrecord's log:\n%s", len(entries), r, record.log.Bytes())
	}
	for _, e := range entries {
		if len(e.Gaps) > 0 {
			t.Errorf("%s: %+v", e.File, e.Gaps)
		}
	}
}

// reader connects as soon as the stream is there.
func reader(t *testing.T, addr string) io.ReadCloser {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		src, err := tee.Open(t.Context(), "tcp://"+addr, tee.OpenOptions{ReadTimeout: 5 * time.Second})
		if err == nil {
			return src
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// readUntil probes the stream until the context ends, or the connection does.
func readUntil(ctx context.Context, src io.ReadCloser) mpegts.Report {
	defer context.AfterFunc(ctx, func() { src.Close() })()
	p, buf := mpegts.NewProbe(), make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		p.Write(buf[:n])
		if err != nil {
			r := p.Report()
			if ctx.Err() == nil {
				r.Continuity = -1 // the reader was thrown out
			}
			return r
		}
	}
}

// grown waits until record writes two more seconds.
func grown(t *testing.T, status string) {
	t.Helper()
	first := uint64(0)
	until(t, status, "growing", func(s metrics.Status) bool {
		h, ok := s.Hop("file")
		if ok && first == 0 {
			first = max(h.Frames, 1)
		}
		return ok && h.Frames > first+50
	})
	http.DefaultClient.CloseIdleConnections()
}

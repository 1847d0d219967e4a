package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
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

// freePorts finds a base from which on n ports are free at the moment: a box's
// are counted from one number. They are used once the programs are built, so
// that they lie below those which the kernel gives to connections meanwhile
// (ip_local_port_range starts at 32768), and out of the other tests' ranges.
func freePorts(t *testing.T, n int) (first int) {
	t.Helper()
	for range 100 {
		if first = 19000 + rand.IntN(990); free(first, n) {
			return first
		}
	}
	t.Fatal("no free ports")
	return 0
}

func free(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// realBox writes an event for programs of one box and builds them. It gives the
// addresses of the stream and of capture's and record's status.
func realBox(t *testing.T) (build func(name string, args ...string) *program, stream, captures, records string) {
	t.Helper()
	dir, port := t.TempDir(), freePorts(t, 9)
	config := filepath.Join(dir, "event.yaml")
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
	at := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", port+n) }
	return build, at(1), at(3), at(4)
}

// TestKilledStoppedAndCrashed does to record and preview whatever can be done to
// a program: who reads the stream sees nothing of it, and in the files of all
// the runs together each frame is there once.
func TestKilledStoppedAndCrashed(t *testing.T) {
	build, stream, captures, status := realBox(t)
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
	left := skipped(t, captures)
	if r := <-seen; r.Continuity != 0 || r.MissingFrames > left || r.DuplicateFrames != 0 || r.Frames < 200 {
		t.Errorf("a reader of the stream saw: %v; capture skipped %d frames", r, left)
	}
	all, entries := recorded(t, dir)
	p := mpegts.NewProbe()
	p.Write(all)
	r := p.Report()
	if r.Continuity != 0 || r.MissingFrames > left || r.DuplicateFrames != 0 || r.Frames < 200 {
		t.Errorf("recorded in %d files: %v; capture skipped %d frames\nrecord's log:\n%s", len(entries), r, left, record.log.Bytes())
	}
	for _, e := range entries {
		if len(e.Gaps) > 0 && r.MissingFrames == 0 {
			t.Errorf("%s: %+v", e.File, e.Gaps)
		}
	}
}

// skipped is how many frames capture itself left out, because it had no turn for
// too long: neither record nor preview can help that.
func skipped(t *testing.T, captures string) (n uint64) {
	t.Helper()
	until(t, captures, "answering", func(s metrics.Status) bool {
		raw, err := json.Marshal(s.Detail)
		if err != nil {
			t.Fatal(err)
		}
		var detail struct{ Stream struct{ Skipped *uint64 } }
		if err := json.Unmarshal(raw, &detail); err != nil || detail.Stream.Skipped == nil {
			t.Fatalf("%v: %s", err, raw)
		}
		n = *detail.Stream.Skipped
		return true
	})
	http.DefaultClient.CloseIdleConnections()
	return n
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

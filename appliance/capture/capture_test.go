package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/run/runtest"
)

// programs is where tests put the programs that they make of this package.
var programs string

// made makes one by go build or go test, when it is first asked for.
func made(name string, args ...string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(programs, name)
		if out, err := exec.Command("go", append(args, "-o", path, ".")...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %v\n%s", args[0], err, out)
		}
		return path, nil
	})
}

// binary is capture itself.
var binary = made("capture", "build")

func TestMain(m *testing.M) {
	if os.Getenv(asCapture) != "" {
		main()
		return
	}
	var err error
	if programs, err = os.MkdirTemp("", "capture-test"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}

const eventFile = `
event: test of capture
video: {%s}
multicast: {interface: lo, ttl: 0}
audio: {rate: 48000, channels: 2, bitrate: 128k, target_lufs: -16}
boxes:
  - name: box1
    mac: "02:00:00:00:00:01"
    address: 127.0.0.1
    ports: {stream: %d, http: %d, status: %d}
rooms:
  - name: demo
    camera: box1
    mixer: {host: 127.0.0.1, engine: native}
    output: {multicast: "239.255.98.7:5004", tcp: %d}
`

// box is a running capture.
type box struct {
	t              testing.TB
	cmd            *exec.Cmd
	stream, status string
	config         string
	log            *runtest.Log
	done           chan struct{}
}

// start runs capture on free ports.
func start(t *testing.T, source string) *box {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return startProgram(t, path, source)
}

func startProgram(t *testing.T, path, source string, env ...string) *box {
	t.Helper()
	return startVideo(t, path, source, "size: 640x360, rate: 25, bitrate: 1000k", []string{"--preset", "ultrafast"}, env...)
}

// startVideo starts with the event's video and flags for x264.
func startVideo(t testing.TB, path, source, video string, encoder []string, env ...string) *box {
	t.Helper()
	p := freePorts(t)
	b := &box{
		t: t, log: new(runtest.Log), done: make(chan struct{}),
		stream: fmt.Sprintf("127.0.0.1:%d", p+1), status: fmt.Sprintf("127.0.0.1:%d", p+2),
		config: filepath.Join(t.TempDir(), "event.yaml"),
	}
	text := fmt.Sprintf(eventFile, video, p+1, p+10, p+2, p+20)
	if err := os.WriteFile(b.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	b.cmd = exec.Command(path, append([]string{"--config", b.config, "--name", "box1", "--source", source}, encoder...)...)
	b.cmd.Stderr = b.log
	b.cmd.Env = append(os.Environ(), env...)
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		b.cmd.Wait()
		close(b.done)
	}()
	t.Cleanup(b.stop)
	return b
}

// freePorts finds a base from which on the ports that a capture listens on are
// free at the moment. It keeps out of the range from which the kernel takes
// ports for connections (ip_local_port_range starts at 32768).
func freePorts(t testing.TB) int {
	t.Helper()
	for range 50 {
		if p := 20000 + rand.IntN(12000); free(p) && free(p+1) && free(p+2) {
			return p
		}
	}
	t.Fatal("no three free ports in a row")
	return 0
}

func free(port int) bool {
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		ln.Close()
	}
	return err == nil
}

func (b *box) stop() {
	b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.done:
	case <-time.After(10 * time.Second):
		b.cmd.Process.Kill()
		b.t.Error("capture didn't end within 10 s after SIGTERM")
	}
	if b.t.Failed() {
		b.t.Logf("capture's log:\n%s", b.log)
	}
}

// detail is what the tests read of the status.
type detail struct {
	Detail struct {
		WorkerPID int    `json:"worker_pid"`
		Restarts  uint64 `json:"worker_restarts"`
		Live      bool   `json:"live"`
		Input     struct {
			Cause string `json:"cause"`
		} `json:"input"`
	} `json:"detail"`
	State  string `json:"state"`
	Cause  string `json:"cause"`
	Health []struct {
		Cause string `json:"cause"`
	} `json:"health"`
}

func (b *box) detail() (d detail, err error) {
	resp, err := http.Get("http://" + b.status + "/api/status")
	if err != nil {
		return d, err
	}
	defer resp.Body.Close()
	return d, json.NewDecoder(resp.Body).Decode(&d)
}

// await asks for the status until it is as wanted.
func (b *box) await(what string, want func(detail) bool) detail {
	b.t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for time.Now().Before(deadline) {
		if d, err := b.detail(); err == nil && want(d) {
			return d
		}
		select {
		case <-b.done:
			b.t.Fatalf("capture ended while waiting until %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
	d, err := b.detail()
	b.t.Fatalf("not within 15 s: %s (%+v, %v)", what, d, err)
	return d
}

// dial connects a reader, as soon as the port is open.
func (b *box) dial() net.Conn {
	b.t.Helper()
	b.await("the status page answers", func(detail) bool { return true })
	conn, err := net.Dial("tcp", b.stream)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	return conn
}

// TestReaderSurvivesTheWorker kills the worker, then stops it, while a reader
// is connected: it must get every frame number once, without a break of any
// kind, with the slate in between.
func TestReaderSurvivesTheWorker(t *testing.T) {
	b := start(t, "pattern")
	r := read(b.dial())
	r.until(t, "a second of live picture", func(_ h264.Stamp, rep mpegts.Report) bool { return rep.LiveFrames >= 25 })

	pid := b.await("a worker runs", func(d detail) bool { return d.Detail.WorkerPID != 0 }).Detail.WorkerPID
	slated := r.slated()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	r.until(t, "slate after SIGKILL", slated)
	r.until(t, "live picture after SIGKILL", live)
	t.Logf("live again %v after SIGKILL", time.Since(killed).Round(time.Millisecond))

	d := b.await("another worker runs", func(d detail) bool { return d.Detail.WorkerPID != 0 && d.Detail.WorkerPID != pid })
	slated = r.slated()
	if err := syscall.Kill(d.Detail.WorkerPID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	r.until(t, "slate after SIGSTOP", slated)
	r.until(t, "live picture after SIGSTOP", live)
	t.Logf("live again %v after SIGSTOP", time.Since(stopped).Round(time.Millisecond))
	b.await("both restarts are counted and it is live", func(d detail) bool { return d.Detail.Restarts == 2 && d.Detail.Live })

	start := r.until(t, "a frame", live).Latest.Frame
	rep := r.until(t, "two more seconds", func(s h264.Stamp, _ mpegts.Report) bool { return s.Frame >= start+50 })
	unbroken(t, b, rep)
	if rep.SlateFrames < 5 || rep.LiveFrames < 30 {
		t.Errorf("%d slate frames, %d live ones", rep.SlateFrames, rep.LiveFrames)
	}
}

// unbroken wants a stream without any fault, but for frames that capture counts
// as skipped: on a machine with too much to do whole frames are left out.
func unbroken(t *testing.T, b *box, rep mpegts.Report) {
	t.Helper()
	if rep.MissingFrames > 0 {
		left := skipped(t, b)
		t.Logf("%d frames missing, %d counted as skipped", rep.MissingFrames, left)
		if rep.MissingFrames > left {
			t.Errorf("%d frames missing, %d skipped", rep.MissingFrames, left)
		}
	} else if rep.VideoPTSJumps != 0 {
		t.Errorf("%d PTS jumps with no frame missing", rep.VideoPTSJumps)
	}
	if rep.Continuity != 0 || rep.AudioPTSJumps != 0 || rep.PCRJumps != 0 || rep.DuplicateFrames != 0 ||
		rep.BackwardFrames != 0 || rep.SyncLosses != 0 || rep.Discontinuities > 1 ||
		rep.PCRMax > mpegts.DefaultLimits.PCR || rep.PATMax > mpegts.DefaultLimits.Tables || rep.PMTMax > mpegts.DefaultLimits.Tables {
		t.Errorf("faults: %v\n%+v", rep.Faults(), rep)
	}
}

// skipped is what capture counts.
func skipped(t *testing.T, b *box) uint64 {
	t.Helper()
	resp, err := http.Get("http://" + b.status + "/api/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s struct {
		Detail struct {
			Stream struct{ Skipped uint64 } `json:"stream"`
		} `json:"detail"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s.Detail.Stream.Skipped
}

// TestParentsDeathEndsTheWorker kills the parent: its children end at once.
func TestParentsDeathEndsTheWorker(t *testing.T) {
	b := start(t, "pattern")
	pid := b.await("a worker runs", func(d detail) bool { return d.Detail.WorkerPID != 0 && d.Detail.Live }).Detail.WorkerPID
	b.cmd.Process.Kill()
	<-b.done
	deadline := time.Now().Add(5 * time.Second)
	for syscall.Kill(pid, 0) == nil && !zombie(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("the worker %d is still there 5 s after its parent", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// zombie says whether a process is dead and only not waited for by init, which
// some containers don't have.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// TestNoDeviceIsAPictureThatSaysSo sends the slate from the first frame on.
func TestNoDeviceIsAPictureThatSaysSo(t *testing.T) {
	b := start(t, "v4l2:/dev/video-none")
	r := read(b.dial())
	r.until(t, "slate", slate)
	d := b.await("the cause is known", func(d detail) bool { return strings.Contains(d.Detail.Input.Cause, "/dev/video-none") })
	if d.Detail.Live || d.State != "degraded" {
		t.Errorf("live %v, state %s", d.Detail.Live, d.State)
	}
	rep := r.until(t, "two seconds of slate", func(_ h264.Stamp, rep mpegts.Report) bool { return rep.SlateFrames >= 50 })
	unbroken(t, b, rep)
}

// TestStartErrorsAreOneLine runs capture with what can't work.
func TestStartErrorsAreOneLine(t *testing.T) {
	b := start(t, "pattern")
	b.await("it runs", func(detail) bool { return true })
	path, _ := binary()
	_, port, _ := net.SplitHostPort(b.stream)
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"port in use", port, []string{"--config", b.config, "--name", "box1", "--source", "pattern"}},
		{"missing film", "no such file", []string{"--config", b.config, "--name", "box1", "--source", "/none.mp4"}},
		{"unknown box", "box9", []string{"--config", b.config, "--name", "box9", "--source", "pattern"}},
		{"no event", "none.yaml", []string{"--config", "none.yaml", "--name", "box1"}},
		{"odd device", "v4l2:/dev/videoN", []string{"--config", b.config, "--name", "box1", "--source", "v4l2:video0"}},
		{"odd sound", "hw:CARD,DEVICE", []string{"--config", b.config, "--name", "box1", "--source", "v4l2:/dev/video0,pulse"}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		out, err := exec.CommandContext(ctx, path, c.args...).CombinedOutput()
		cancel()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if err == nil || len(lines) != 1 || !strings.Contains(lines[0], c.want) {
			t.Errorf("%s: %v, want one line with %q:\n%s", c.name, err, c.want, out)
		}
	}
}

func TestHelpTeaches(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(path, "--help").CombinedOutput()
	for _, want := range []string{"ffplay tcp://", "--source", "pattern", "v4l2:/dev/videoN", "deck"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("--help doesn't mention %s:\n%s", want, out)
		}
	}
}

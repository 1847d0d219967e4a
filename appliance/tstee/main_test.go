package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/run/runtest"
)

// scratch holds the built program.
var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tstee")
	if err != nil {
		panic(err)
	}
	scratch = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

const patience = 20 * time.Second

// execute starts tstee with that input and returns when it has ended.
func execute(t *testing.T, stdin io.Reader, args ...string) (output string, code int) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = stdin
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

func TestHelpTeaches(t *testing.T) {
	out, code := execute(t, nil, "--help")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"ffmpeg", "-f mpegts - | tstee", "8899", "8898", "HTTP 80", "PORTSHIFT", "--ring", "--address", "--status"} {
		if !strings.Contains(out, want) {
			t.Errorf("help lacks %q:\n%s", want, out)
		}
	}
	for line := range strings.Lines(out) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestBadArguments(t *testing.T) {
	for arg, want := range map[string]string{
		"56637":     "want 0 to 56636",
		"x":         "x",
		"--ring=0":  "want 1 to 4096",
		"-5":        "-5",
		"--portal":  "--portal",
		"--ring=5G": "5G",
	} {
		out, code := execute(t, nil, arg)
		if code == 0 || !strings.Contains(out, want) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: exit code %d, want a line with %q:\n%s", arg, code, want, out)
		}
	}
}

// A taken stream port is an error that says what to do; a taken HTTP port is a
// warning.
func TestTakenPorts(t *testing.T) {
	for _, port := range []int{streamPort, bufferedPort} {
		shift := freeShift(t)
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+shift))
		if err != nil {
			t.Fatal(err)
		}
		out, code := execute(t, strings.NewReader(""), "--address", "127.0.0.1", strconv.Itoa(shift))
		if code != 1 || !strings.Contains(out, strconv.Itoa(port+shift)+" is taken") || strings.Count(out, "\n") != 1 {
			t.Errorf("%d: exit code %d:\n%s", port, code, out)
		}
		ln.Close()
	}
	shift := freeShift(t)
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", httpPort+shift))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	out, code := execute(t, strings.NewReader(""), "--address", "127.0.0.1", strconv.Itoa(shift))
	if code != 0 || !strings.Contains(out, "level=WARN") || !strings.Contains(out, "goes on without HTTP") {
		t.Errorf("HTTP port: exit code %d:\n%s", code, out)
	}
}

// stream is what feed would write in that many seconds.
func stream(t testing.TB, seconds int) []byte {
	t.Helper()
	var b strings.Builder
	s := newSource(&b)
	for s.at() < int64(seconds)*90000 {
		if err := s.write(); err != nil {
			t.Fatal(err)
		}
	}
	return []byte(b.String())
}

// probe reads until the connection ends.
func probe(t testing.TB, r io.Reader) (mpegts.Report, int64) {
	t.Helper()
	p := mpegts.NewProbe()
	n, err := io.Copy(p, r)
	if err != nil {
		t.Error(err)
	}
	return p.Report(), n
}

// The end of the input ends the program, when the readers have got everything.
func TestEndOfInput(t *testing.T) {
	c := startTstee(t)
	tcp := c.dial(t, streamPort)
	defer tcp.Close()
	web, err := http.Get("http://" + c.address(httpPort) + "/any.ts")
	if err != nil {
		t.Fatal(err)
	}
	defer web.Body.Close()
	c.await(t, 2)
	ts := stream(t, 10)
	if _, err := c.stdin.Write(ts); err != nil {
		t.Fatal(err)
	}
	c.stdin.Close()
	for name, r := range map[string]io.Reader{"TCP": tcp, "HTTP": web.Body} {
		report, n := probe(t, r)
		if n != int64(len(ts)) || len(report.Faults()) > 0 {
			t.Errorf("%s: %d of %d bytes, %v", name, n, len(ts), report.Faults())
		}
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v\n%s", err, c.stderr)
	}
}

// The buffered port starts half a ring earlier.
func TestPorts(t *testing.T) {
	c := startTstee(t, "--ring", "4")
	tcp := c.dial(t, streamPort)
	defer tcp.Close()
	c.await(t, 1)
	for ts := stream(t, 6); len(ts) > 0; {
		n := min(len(ts), 500*mpegts.PacketSize)
		if _, err := c.stdin.Write(ts[:n]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(tcp, make([]byte, n)); err != nil { // then the ring has it
			t.Fatal(err)
		}
		ts = ts[n:]
	}
	newest, buffered := c.dial(t, streamPort), c.dial(t, bufferedPort)
	defer newest.Close()
	defer buffered.Close()
	c.await(t, 3)
	c.stdin.Close()
	_, n := probe(t, newest)
	_, m := probe(t, buffered)
	if n < 500_000 || n > 1_100_000 {
		t.Errorf("from the newest keyframe: %d bytes, want those of a second", n)
	}
	if m < 1_500_000 || m > 2_700_000 {
		t.Errorf("from half back: %d bytes, want about two million", m)
	}
}

// Noise is counted and reported, and the stream after it arrives.
func TestNoiseOnStdin(t *testing.T) {
	c := startTstee(t)
	tcp := c.dial(t, streamPort)
	defer tcp.Close()
	c.await(t, 1)
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(rand.IntN(256))
	}
	ts := stream(t, 2)
	for _, b := range [][]byte{noise, ts, noise} {
		if _, err := c.stdin.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	var s metrics.Status
	runtest.Eventually(t, "report of the noise", func() bool {
		var err error
		s, err = c.status(t)
		return err == nil && s.State == metrics.Degraded && strings.Contains(s.Cause, "were no transport packets")
	})
	if n := hop(s, "stdin").Bytes; n == 0 {
		t.Errorf("stdin: %d bytes", n)
	}
	c.stdin.Close()
	if _, n := probe(t, tcp); n < int64(len(ts)) {
		t.Errorf("%d of %d bytes came through", n, len(ts))
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v\n%s", err, c.stderr)
	}
	if strings.Contains(c.stderr.String(), "panic") {
		t.Error(c.stderr)
	}
}

func TestSignalEnds(t *testing.T) {
	c := startTstee(t)
	tcp := c.dial(t, streamPort)
	defer tcp.Close()
	c.await(t, 1)
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v\n%s", err, c.stderr)
	}
	if _, err := io.ReadAll(tcp); err != nil {
		t.Error(err)
	}
}

// Files and empty input work as pipes do.
func TestStdinThatIsNoPipe(t *testing.T) {
	if out, code := execute(t, nil, "--address", "127.0.0.1", strconv.Itoa(freeShift(t))); code != 0 { // /dev/null
		t.Errorf("/dev/null: exit code %d:\n%s", code, out)
	}
	path := scratch + "/input.ts"
	if err := os.WriteFile(path, stream(t, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if out, code := execute(t, f, "--address", "127.0.0.1", strconv.Itoa(freeShift(t))); code != 0 {
		t.Errorf("file: exit code %d:\n%s", code, out)
	}
}

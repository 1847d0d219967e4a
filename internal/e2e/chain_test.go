package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run/runtest"
)

// chain is one running `demo run`.
type chain struct {
	offset int
	dir    string // where its event file and recordings are
	cmd    *exec.Cmd
	start  time.Time
	out    runtest.Log
	done   chan struct{}
	err    error
}

// root is the top of the repository.
func root() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return dir
}

func bin(name string) string { return filepath.Join(root(), "bin", name) }

// startChain runs the demo, its ports shifted by offset.
func startChain(offset int, args ...string) (*chain, error) {
	if _, err := os.Stat(bin("demo")); err != nil {
		return nil, fmt.Errorf("no bin/demo: run `make build` first")
	}
	dir, err := os.MkdirTemp("", "videobox-e2e-*")
	if err != nil {
		return nil, err
	}
	c := &chain{offset: offset, dir: dir, done: make(chan struct{}), start: time.Now()}
	c.cmd = exec.Command(bin("demo"), append([]string{"run", "--port-offset", fmt.Sprint(offset), "--dir", dir}, args...)...)
	c.cmd.Dir = root()
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// stop ends the chain as Ctrl-C does.
func (c *chain) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-c.done:
	case <-time.After(15 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.done
		return fmt.Errorf("the chain did not end within 15 s of SIGINT")
	}
	if left := c.processes(); len(left) > 0 {
		return fmt.Errorf("left running: %q", left)
	}
	return os.RemoveAll(c.dir)
}

// processes lists the command lines that name the chain's folder.
func (c *chain) processes() (lines []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range paths {
		b, _ := os.ReadFile(p)
		line := strings.ReplaceAll(string(b), "\x00", " ")
		if strings.Contains(line, c.dir) {
			lines = append(lines, line)
		}
	}
	return lines
}

// url is an address of the chain by its default port.
func (c *chain) url(port int, path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", port+c.offset, path)
}

func (c *chain) hostPort(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+c.offset) }

// Default ports of what `make run` starts.
const (
	portCache, portMain, portBackup = 8080, 8081, 8082
	portControl                     = 8000
	portBox1, portBox2              = 8101, 8102
	portStream1, portStream2        = 8899, 18899
	portCapture1, portCapture2      = 8890, 18890
	portRecord1, portRecord2        = 8891, 18891
	portPush, portDump              = 8895, 8896
	portMixer, portMixer480         = 28899, 28900
)

var client = &http.Client{Timeout: 5 * time.Second}

// get fetches a URL whole.
func get(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", url, resp.Status, b)
	}
	return b, err
}

// status asks the program at a port of the chain.
func (c *chain) status(port int) (s metrics.Status, err error) {
	b, err := get(c.url(port, "/api/status"))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}

// eventually asks f again and again until it returns nil.
func eventually(t testing.TB, within time.Duration, what string, f func() error) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		err := f()
		if err == nil {
			return time.Since(start)
		}
		if time.Since(start) > within {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// playlist is what a test needs of a media playlist.
type playlist struct {
	text     string
	first    int
	segments []string // in order; "" for a gap
	urls     []string
}

// media fetches a rendition's playlist from a port.
func (c *chain) media(port int, rendition string) (p playlist, err error) {
	base := c.url(port, "/hls/demo/"+rendition+"/")
	b, err := get(base + "index.m3u8")
	if err != nil {
		return p, err
	}
	p.text = string(b)
	gap := false
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		line := sc.Text()
		switch {
		case strings.HasPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"):
			fmt.Sscanf(line, "#EXT-X-MEDIA-SEQUENCE:%d", &p.first)
		case line == "#EXT-X-GAP":
			gap = true
		case line != "" && !strings.HasPrefix(line, "#"):
			if gap {
				line = ""
			}
			gap = false
			p.segments = append(p.segments, line)
			p.urls = append(p.urls, base+line)
		}
	}
	return p, nil
}

// plays is nil once the cache lists at least n segments.
func (c *chain) plays(n int) error {
	p, err := c.media(portCache, "main")
	if err == nil && len(p.segments) < n {
		err = fmt.Errorf("%d segments listed, want %d", len(p.segments), n)
	}
	return err
}

// command runs a program and returns its output; its failure fails the test.
func command(t testing.TB, within time.Duration, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var o, e bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%.2000s", name, strings.Join(args, " "), err, e.String())
	}
	return o.String(), e.String()
}

// newChain starts a chain for one test and ends it with it.
func newChain(t *testing.T, offset int, args ...string) *chain {
	t.Helper()
	c, err := startChain(offset, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the chain printed:\n%s", tail(c.out.String(), 6000))
			c.showLogs(t)
		}
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// showLogs prints the end of what each part logged.
func (c *chain) showLogs(t *testing.T) {
	logs, _ := filepath.Glob(filepath.Join(c.dir, "log", "*.log"))
	for _, l := range logs {
		if b, err := os.ReadFile(l); err == nil && len(b) > 0 {
			t.Logf("%s:\n%s", filepath.Base(l), tail(string(b), 1500))
		}
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

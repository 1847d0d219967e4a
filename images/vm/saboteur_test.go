//go:build vm

package vm_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/metrics"
)

// The images with a way in, see images/vm/saboteur. Each is made of the same
// sources as the image; a test that finds an older one makes it anew.
const (
	sabotaged    = "../../bin/videobox-saboteur.img"
	sabotagedPC  = "../../bin/videobox-pc-saboteur.img"
	brokenInit   = "../../bin/videobox-broken-init.img"
	saboteurPort = 9999
)

var (
	makeSabotaged   = sync.OnceValue(func() error { return sabotagedImage("videobox", image, sabotaged, "saboteur") })
	makeSabotagedPC = sync.OnceValue(func() error { return sabotagedImage("videobox-pc", imagePC, sabotagedPC, "saboteur") })
	makeBrokenInit  = sync.OnceValue(func() error { return sabotagedImage("videobox", image, brokenInit, "saboteur/init") })
)

func sabotagedImage(instance, of, to, with string) error {
	sources, err := filepath.Glob(filepath.Join(with, "*.go"))
	if err != nil || len(sources) == 0 {
		return fmt.Errorf("no program in %s: %w", with, err)
	}
	old := func(than string) bool { return !newer(to, than) }
	if _, err := os.Stat(of); !slices.ContainsFunc(sources, old) && (err != nil || !old(of)) {
		return nil
	}
	cmd := exec.Command("go", "run", "./images/build", "--instance", instance,
		"image", "--with", filepath.Join("images/vm", with), "--out", filepath.Join("bin", filepath.Base(to)))
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the image for tests: %w: %s", err, out)
	}
	return nil
}

func newer(a, b string) bool {
	fa, erra := os.Stat(a)
	fb, errb := os.Stat(b)
	return erra == nil && errb == nil && fa.ModTime().After(fb.ModTime())
}

// victim is a box with a saboteur in it.
type victim struct{ box }

func bootVictim(t *testing.T, change func(*vm.Config)) victim {
	t.Helper()
	if err := makeSabotaged(); err != nil {
		t.Fatal(err)
	}
	v := victim{boot(t, func(c *vm.Config) {
		c.Image = sabotaged
		c.Ports[saboteurPort] = 0
		if change != nil {
			change(c)
		}
	})}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	v.wait(ctx, t, "the box is well", isWell)
	return v
}

// isWell wants what a box in this machine can be, and for so long that it is no
// moment between two starts.
func isWell(s metrics.Status) bool {
	for _, name := range []string{"device", "signal", "encoder", "stream growing", "recorder growing", "disk space"} {
		steady := name == "encoder" || name == "recorder growing" || s.Now.Sub(leafOf(s, name).Since) >= 5*time.Second
		if states(s)[name] != metrics.OK || !steady {
			return false
		}
	}
	return true
}

// sabotage gives the saboteur a command.
func (v victim) sabotage(t *testing.T, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := v.inside(ctx, command)
	if err != nil && !strings.HasPrefix(command, "write /proc/sysrq-trigger") { // a kernel that has crashed says nothing
		t.Fatal(err)
	}
}

// inside gives the saboteur a command, such as a program to run in the box, and
// returns what that said; an error if the saboteur says so or says nothing.
func (v victim) inside(ctx context.Context, command string) (said string, err error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", v.Addr(saboteurPort))
	if err != nil {
		return "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	fmt.Fprintln(c, command)
	for r := bufio.NewReader(c); ; {
		answer, err := r.ReadString('\n')
		line, quoted := strings.CutPrefix(answer, "| ")
		switch {
		case err != nil:
			return said, fmt.Errorf("%s: no answer: %w", command, err)
		case quoted:
			said += line
		case answer != "ok\n":
			return said, fmt.Errorf("%s: %s", command, strings.TrimSpace(answer))
		default:
			return said, nil
		}
	}
}

// testsInside are the tests of a package as a program that runs in a PC box.
func testsInside(t *testing.T, folder string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test")
	cmd := exec.Command("go", "test", "-c", "-o", path, "-ldflags=-linkmode=external -extldflags=-static", "./"+folder)
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(program)
}

// status is boxd's, or an error while it doesn't answer.
func (v victim) status(ctx context.Context) (s metrics.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return metrics.Fetch(ctx, client, "http://"+v.Addr(80))
}

// wait polls boxd until its status is as wanted, and says how long that took.
func (v victim) wait(ctx context.Context, t *testing.T, what string, ok func(metrics.Status) bool) metrics.Status {
	t.Helper()
	began, last := time.Now(), metrics.Status{}
	poll := time.NewTicker(250 * time.Millisecond)
	defer poll.Stop()
	for {
		s, err := v.status(ctx)
		if err == nil {
			last = s
		}
		if err == nil && ok(s) {
			t.Logf("%s: after %.1f s", what, time.Since(began).Seconds())
			return s
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in %.0f s: %v\n%s", what, time.Since(began).Seconds(), err, show(last))
		}
	}
}

func leafOf(s metrics.Status, name string) metrics.Leaf {
	for _, l := range s.Health {
		if l.Name == name {
			return l
		}
	}
	return metrics.Leaf{}
}

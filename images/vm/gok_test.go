//go:build vm

package vm_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
)

// gokUpdate runs `gok update` of a box with the event's user and a password.
func gokUpdate(ctx context.Context, addr, password string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "run", "./images/build", "update", "http://"+vm.User+":"+password+"@"+addr+"/")
	cmd.Dir = "../.."
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestShortGokUpdate updates a box by gokrazy's own tool: with another password
// it is refused, with the event's the box restarts into its other root and
// streams again. Nothing else of gokrazy's page answers.
func TestShortGokUpdate(t *testing.T) {
	b := boot(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Minute)
	defer cancel()
	line, err := b.Console.Wait(ctx, "Kernel command line:")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(line, "PARTNROFF=1") {
		t.Fatalf("the first start is not of the first root: %s", line)
	}
	b.streams(ctx, t)
	for _, path := range []string{"/status", "/log?path=/user/boxd&stream=stderr", "/stop", "/restart", "/poweroff", "/divert", "/uploadtemp/x", "/assets/", "/update/", "/debug/pprof/"} {
		for _, password := range []string{"", "secret"} {
			if code, body := b.get(ctx, t, path, password); code < 400 && !strings.Contains(body, "boot.txt") { // /log is the box's own list of logs
				t.Errorf("%s with password %q: %d %.200s", path, password, code, body)
			}
		}
	}
	if code, _ := b.get(ctx, t, "/update/features", ""); code != http.StatusUnauthorized {
		t.Errorf("updates without credentials: %d", code)
	}
	if out, err := gokUpdate(ctx, b.Addr(80), "wrong"); err == nil || !strings.Contains(out, "401") {
		t.Errorf("gok update with another password: %v\n%s", err, out)
	}
	if n := b.Restarts(); n != 0 {
		t.Fatalf("%d restarts before the update", n)
	}
	began := time.Now()
	out, err := gokUpdate(ctx, b.Addr(80), "secret")
	if err != nil {
		t.Fatalf("gok update: %v\n%s", err, out)
	}
	t.Logf("gok update took %.0f s:\n%s", time.Since(began).Seconds(), out)
	if strings.Contains(out, "secret") {
		t.Error("it printed the password")
	}
	if line, err = b.Console.Wait(ctx, "PARTNROFF=2"); err != nil {
		t.Fatalf("no start of the other root: %v", err)
	}
	t.Log(line)
	b.streams(ctx, t)
	t.Logf("the stream again, %.0f s after the update began; %d restarts", time.Since(began).Seconds(), b.Restarts())
}

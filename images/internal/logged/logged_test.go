package logged

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRun shows one line of many; all of them, also those behind a line that is
// too long for a scanner, are in the log, and the last ones in the error.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache", "log")
	shown := ""
	show := func(r io.Reader) {
		for sc := bufio.NewScanner(r); sc.Scan(); {
			if strings.HasPrefix(sc.Text(), "step") {
				shown += sc.Text()
			}
		}
	}
	script := `echo noise; echo step one >&2; head -c 200000 /dev/zero | tr '\0' x; echo; echo sorry; echo the end; exit 3`
	l := Log{Name: "shell", Path: path, Lines: 2, Show: show}
	err := l.Run(exec.CommandContext(t.Context(), "sh", "-c", script))
	if err == nil || !strings.HasPrefix(err.Error(), "shell: exit status 3") || !strings.HasSuffix(err.Error(), ":\nsorry\nthe end") {
		t.Errorf("error %v", err)
	}
	if shown != "step one" {
		t.Errorf("shown %q", shown)
	}
	if err := l.Run(exec.CommandContext(t.Context(), "echo", "again")); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(data), "noise\nstep one\nxxx") || !strings.HasSuffix(string(data), "the end\nagain\n") {
		t.Errorf("log of %d bytes, %v", len(data), err)
	}
}

// TestChildrenEndToo stops a program whose child keeps its output open.
func TestChildrenEndToo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "sleep 1000 & echo up; wait")
	err := Log{Name: "shell", Path: filepath.Join(t.TempDir(), "log"), Show: func(r io.Reader) {
		if bufio.NewScanner(r).Scan() {
			cancel()
		}
	}}.Run(cmd)
	if err == nil || errors.Is(err, exec.ErrWaitDelay) || !strings.HasPrefix(err.Error(), "shell: ") {
		t.Errorf("error %v", err)
	}
}

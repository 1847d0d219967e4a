package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFindsItsBoxOnly(t *testing.T) {
	proc := t.TempDir()
	for pid, line := range map[string]string{
		"1": "boxd\x00--name\x00box1\x00", "2": "/user/boxd\x00--config\x00e.yaml\x00--name=box1\x00",
		"3": "boxd\x00--name\x00box2\x00", "4": "boxd\x00--name=box12\x00", "5": "boxd\x00--name\x00",
		"6": "guard\x00--name\x00box1\x00", "7": "vi\x00boxd\x00--name\x00box1\x00", "8": "",
		"9": "boxd\x00worker\x00--name=box1\x00", "10": "\x00\x00", "self": "boxd\x00--name=box1\x00",
	} {
		if err := os.MkdirAll(filepath.Join(proc, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "cmdline"), []byte(line), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pids, err := find(proc, "boxd", "box1")
	if slices.Sort(pids); err != nil || !slices.Equal(pids, []int{1, 2}) {
		t.Errorf("found %v, %v", pids, err)
	}
	if _, err := find(filepath.Join(proc, "none"), "boxd", "box1"); err == nil {
		t.Error("without /proc there is no error")
	}
}

// A process that is called boxd is found and killed.
func TestKills(t *testing.T) {
	box := "process-test-" + filepath.Base(t.TempDir())
	start := func(args ...string) *exec.Cmd {
		cmd := exec.Command("/bin/sh", append([]string{"-c", "read x; echo; read x"}, args...)...)
		cmd.Args[0] = "boxd"
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close() })
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running(t, in, out)
		return cmd
	}
	cmd := start("--name", box)
	n, err := Kill("boxd", box)
	if n != 1 || err != nil {
		cmd.Process.Kill()
		t.Errorf("killed %d, %v", n, err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("it ended by %v", err)
	}
	if n, _ := Kill("boxd", box); n != 0 {
		t.Errorf("killed %d again", n)
	}
}

func TestIsCommand(t *testing.T) {
	cmd := exec.Command("/bin/cat", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	running(t, in, out)
	pid := cmd.Process.Pid
	for _, c := range []struct {
		program, command string
		want             bool
	}{{"cat", "-", true}, {"cat", "worker", false}, {"capture", "-", false}} {
		if IsCommand(pid, c.program, c.command) != c.want {
			t.Errorf("%s %s: %v", c.program, c.command, !c.want)
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if IsCommand(pid, "cat", "-") {
		t.Error("one that is gone is it")
	}
}

// running waits until a program that repeats its input does so: Start returns
// while the kernel is still loading it, when its cmdline is empty.
func running(t *testing.T, in io.Writer, out io.Reader) {
	t.Helper()
	fmt.Fprintln(in)
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

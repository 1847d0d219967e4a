package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/openvideobox/videobox/images/internal/logged"
)

// kernel is one build.
type kernel struct {
	cache    string // absolute
	key      string
	fragment []byte
	jobs     int
}

// finished is where the kernel lies once it is built: vmlinuz and lib/modules.
func (k kernel) finished() string { return filepath.Join(k.cache, k.key) }

func (k kernel) cached() bool {
	_, err := os.Stat(filepath.Join(k.finished(), "vmlinuz"))
	return err == nil
}

// build makes the kernel in a folder of its own, which is removed at the end.
// Only a whole kernel gets its name in the cache.
func (k kernel) build(ctx context.Context) error {
	deb, err := source.fetch(ctx, k.cache)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(k.cache, "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	tree, err := source.unpack(ctx, deb, work)
	if err != nil {
		return err
	}
	m := maker{tree: tree, object: filepath.Join(work, "object"), log: filepath.Join(k.cache, "build.log")}
	if err := k.configure(ctx, m); err != nil {
		return err
	}
	fmt.Printf("kernel: compiling with %d jobs; all it says goes to %s\n", k.jobs, m.log)
	if err := m.run(ctx, "-j"+strconv.Itoa(k.jobs), "bzImage", "modules"); err != nil {
		return err
	}
	out := filepath.Join(work, "out")
	if err := m.run(ctx, "INSTALL_MOD_PATH="+out, "INSTALL_MOD_STRIP=1", "modules_install"); err != nil {
		return err
	}
	if err := pack(m.object, out); err != nil {
		return err
	}
	return k.keep(out)
}

// configure starts from allnoconfig, so that nothing is in the kernel that the
// fragment doesn't name, and checks that all it names got in.
func (k kernel) configure(ctx context.Context, m maker) error {
	if err := os.MkdirAll(m.object, 0o755); err != nil {
		return err
	}
	wanted := filepath.Join(m.object, "wanted.config")
	if err := os.WriteFile(wanted, k.fragment, 0o644); err != nil {
		return err
	}
	if err := m.run(ctx, "KCONFIG_ALLCONFIG="+wanted, "allnoconfig"); err != nil {
		return err
	}
	got, err := os.ReadFile(filepath.Join(m.object, ".config"))
	if err != nil {
		return err
	}
	if missed := missing(k.fragment, got); len(missed) > 0 {
		return fmt.Errorf("the kernel's configuration left out %d options, for want of another one that each depends on:\n  %s",
			len(missed), strings.Join(missed, "\n  "))
	}
	return nil
}

// keep puts a finished kernel under its key. If there was one, it says whether
// both have the same bytes; one that differs is kept beside it, to look at.
func (k kernel) keep(out string) error {
	if !k.cached() {
		return os.Rename(out, k.finished())
	}
	differ, err := different(k.finished(), out)
	if err != nil {
		return err
	}
	if len(differ) > 0 {
		other := k.finished() + "-differs"
		err := errors.Join(os.RemoveAll(other), os.Rename(out, other))
		return errors.Join(fmt.Errorf("built anew, the kernel differs in %s; it is in %s", strings.Join(differ, ", "), other), err)
	}
	fmt.Println("kernel: built anew, byte for byte the same")
	return nil
}

// maker runs the kernel's make.
type maker struct{ tree, object, log string }

func (m maker) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "make", append([]string{"-C", m.tree, "O=" + m.object}, args...)...)
	cmd.Env = append(withoutMake(os.Environ()), m.pinnedEnv()...)
	return logged.Log{
		Name: "make " + args[len(args)-1], Path: m.log, Lines: 12,
		Show: func(said io.Reader) { progress(said, os.Stdout) },
	}.Run(cmd)
}

// withoutMake drops what an outer make hands down: its jobs and flags would be
// taken for ours.
func withoutMake(env []string) (kept []string) {
	for _, e := range env {
		if name, _, _ := strings.Cut(e, "="); name != "MAKEFLAGS" && name != "MFLAGS" && name != "MAKELEVEL" && name != "MAKEOVERRIDES" {
			kept = append(kept, e)
		}
	}
	return kept
}

// objects is how many files the build compiles, counted once; it only makes the
// percentage.
const objects = 2400

// progress shows a line for each tenth of the build.
func progress(from io.Reader, to io.Writer) {
	began, n, tenth := time.Now(), 0, 0
	for sc := bufio.NewScanner(from); sc.Scan(); {
		line := strings.TrimSpace(sc.Text())
		if !strings.HasPrefix(line, "CC ") && !strings.HasPrefix(line, "AS ") && !strings.HasPrefix(line, "CC [M]") {
			continue
		}
		n++
		if t := min(n*10/objects, 9); t > tenth {
			tenth = t
			fmt.Fprintf(to, "kernel: %4.0f s: %d %%\n", time.Since(began).Seconds(), tenth*10)
		}
	}
}

// compilerVersion is part of the key: another compiler makes other bytes.
func compilerVersion(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "gcc", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("gcc: %w; make deps installs it", err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line, nil
}

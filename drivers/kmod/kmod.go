// Package kmod loads kernel modules with what they depend on, where no udev
// does: on a gokrazy image, which loads none by itself.
//
// From modules.dep(5), modules.builtin(5) and finit_module(2). Tested on
// kernel.rpi 6.12 with uvcvideo, which needs five others.
package kmod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Load loads modules by name, "uvcvideo" or "snd-usb-audio", with parameters
// behind it as "vivid n_devs=2". Those that are loaded already or part of the
// kernel count as loaded. It goes on after a failure; the error joins all of
// them, one a line.
func Load(names ...string) error {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return fmt.Errorf("kernel modules: uname: %w", err)
	}
	l := loader{dir: filepath.Join("/lib/modules", unix.ByteSliceToString(uts.Release[:])), insert: insert}
	return l.load(names)
}

// loader is one kernel's modules.
type loader struct {
	dir    string
	insert func(path, parameters string) error
}

func (l loader) load(names []string) error {
	deps, err := l.list("modules.dep")
	if err != nil {
		return err
	}
	builtin, err := l.list("modules.builtin")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var errs []error
	for _, wanted := range names {
		name, parameters, _ := strings.Cut(wanted, " ")
		if _, ok := builtin[plain(name)]; !ok {
			errs = append(errs, l.loadOne(name, parameters, deps))
		}
	}
	return errors.Join(errs...)
}

// loadOne loads what the module needs, deepest first, then itself, which gets
// the parameters.
func (l loader) loadOne(name, parameters string, deps map[string][]string) error {
	files, ok := deps[plain(name)]
	if !ok {
		return fmt.Errorf("kernel module %s: this kernel has none of that name in %s", name, l.dir)
	}
	for i := len(files) - 1; i >= 0; i-- {
		with := ""
		if i == 0 {
			with = parameters
		}
		if err := l.insert(filepath.Join(l.dir, files[i]), with); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("kernel module %s: %s: %w", name, files[i], err)
		}
	}
	return nil
}

// list reads modules.dep or modules.builtin: by a module's name its file, then
// those it needs, the nearest first.
func (l loader) list(file string) (map[string][]string, error) {
	data, err := os.ReadFile(filepath.Join(l.dir, file))
	if err != nil {
		return nil, fmt.Errorf("kernel modules: %w", err)
	}
	files := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(strings.Replace(line, ":", " ", 1))
		if len(f) > 0 {
			files[plain(f[0])] = f
		}
	}
	return files, nil
}

// plain is a module's name as the kernel writes it: of a path, with underscores.
func plain(name string) string {
	name, _, _ = strings.Cut(filepath.Base(name), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func insert(path, parameters string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), parameters, 0)
}

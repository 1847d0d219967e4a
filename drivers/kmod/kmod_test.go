package kmod

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// kernel is a folder of modules like kernel.rpi's.
func kernel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"modules.dep": "kernel/media/uvc.ko:\n" +
			"kernel/media/uvcvideo.ko: kernel/media/vb2-v4l2.ko kernel/media/vb2-common.ko\n" +
			"kernel/sound/snd-other.ko: kernel/sound/broken.ko\n",
		"modules.builtin": "kernel/sound/usb/snd-usb-audio.ko\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name   string
		names  []string
		loaded []string
		err    string
	}{
		{"what it needs first", []string{"uvcvideo"}, []string{"vb2-common.ko", "vb2-v4l2.ko", "uvcvideo.ko"}, ""},
		{"built in", []string{"snd_usb_audio", "snd-usb-audio"}, nil, ""},
		{"unknown, and goes on", []string{"none", "uvc"}, []string{"uvc.ko"}, "kernel module none: this kernel has none"},
		{"refused", []string{"snd_other"}, []string{"broken.ko"}, "broken.ko: exec format error"},
		{"with parameters", []string{"uvcvideo quirks=1 trace=2"}, []string{"vb2-common.ko", "vb2-v4l2.ko", "uvcvideo.ko quirks=1 trace=2"}, ""},
		{"there already", []string{"uvc", "uvc"}, []string{"uvc.ko"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var loaded []string
			l := loader{dir: kernel(t), insert: func(path, parameters string) error {
				name := strings.TrimSpace(filepath.Base(path) + " " + parameters)
				if slices.Contains(loaded, name) {
					return unix.EEXIST
				}
				loaded = append(loaded, name)
				if name == "broken.ko" {
					return unix.ENOEXEC
				}
				return nil
			}}
			err := l.load(c.names)
			if !slices.Equal(loaded, c.loaded) {
				t.Errorf("loaded %v, want %v", loaded, c.loaded)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

func TestKernelWithoutModules(t *testing.T) {
	err := loader{dir: t.TempDir()}.load([]string{"uvcvideo"})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want that modules.dep is missing", err)
	}
}

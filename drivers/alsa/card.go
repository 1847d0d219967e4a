package alsa

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// CardOf finds the capture device of the sound card that is part of the same
// USB device as a video node such as /dev/video0. Sysfs is /sys but in tests.
func CardOf(sysfs, video string) (path string, ok bool) {
	face, err := filepath.EvalSymlinks(filepath.Join(sysfs, "class/video4linux", filepath.Base(video), "device"))
	if err != nil {
		return "", false
	}
	// The video node belongs to an interface, 1-1:1.0, of the USB device 1-1;
	// the card belongs to another interface of it.
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(face), "*:*", "sound", "card*", "pcmC*D*c"))
	if len(found) == 0 {
		return "", false
	}
	return "/dev/snd/" + filepath.Base(found[0]), true
}

var hw = regexp.MustCompile(`^hw:([0-9]+)(?:,([0-9]+))?$`)

// Path is the device that a name such as hw:1,0 or hw:1 stands for; a path stays.
func Path(name string) (string, error) {
	if strings.HasPrefix(name, "/dev/snd/") {
		return name, nil
	}
	m := hw.FindStringSubmatch(name)
	if m == nil {
		return "", fmt.Errorf("sound device %q; write hw:CARD,DEVICE as arecord -l shows it, or none", name)
	}
	if m[2] == "" {
		m[2] = "0"
	}
	return fmt.Sprintf("/dev/snd/pcmC%sD%sc", m[1], m[2]), nil
}

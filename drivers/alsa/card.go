package alsa

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Cards are the devices for capture by the names that Path takes, each with its
// card's: "hw:1,0 (Loopback)". Sysfs is /sys but in tests.
func Cards(sysfs string) (names []string) {
	found, _ := filepath.Glob(filepath.Join(sysfs, "class/sound/pcmC*D*c")) // only a bad pattern is an error
	for _, f := range found {
		var card, device int
		if n, _ := fmt.Sscanf(filepath.Base(f), "pcmC%dD%dc", &card, &device); n < 2 {
			continue
		}
		name := fmt.Sprintf("hw:%d,%d", card, device)
		if id, err := os.ReadFile(filepath.Join(sysfs, "class/sound", fmt.Sprintf("card%d", card), "id")); err == nil {
			name += " (" + strings.TrimSpace(string(id)) + ")"
		}
		names = append(names, name)
	}
	return names
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

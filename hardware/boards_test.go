package hardware

import (
	"strings"
	"testing"
)

func TestBoardNamed(t *testing.T) {
	b, ok := BoardNamed("Raspberry Pi 4 Model B Rev 1.5")
	if !ok || b.Panel != "lcdwiki-2.8inch" || b.EncoderThreads(4) != 3 {
		t.Errorf("%+v", b)
	}
	if b, ok := BoardNamed("linux,dummy-virt"); ok {
		t.Errorf("a virtual machine is %+v", b)
	}
	if b, ok := BoardNamed("Radxa X4"); !ok || len(b.Firmware) != 3 {
		t.Errorf("%+v", b)
	}
	b, ok = BoardNamed(AnyPC)
	for cores, want := range map[int]int{1: 1, 2: 1, 4: 3, 64: 16} {
		if got := b.EncoderThreads(cores); !ok || got != want {
			t.Errorf("a PC of %d cores: %d threads, want %d", cores, got, want)
		}
	}
	for cores, want := range map[int]string{1: "ultrafast", 3: "ultrafast", 4: "superfast", 7: "superfast", 8: "veryfast", 64: "veryfast"} {
		if got := b.EncoderPreset(cores); got != want {
			t.Errorf("a PC of %d cores: preset %s, want %s", cores, got, want)
		}
	}
	if got := (Board{Preset: "medium"}).EncoderPreset(2); got != "medium" {
		t.Errorf("a board with one preset: %s", got)
	}
	if got := (Board{}).EncoderThreads(8); got != 1 {
		t.Errorf("an unknown board: %d threads", got)
	}
}

func TestBoardMistakesAreFound(t *testing.T) {
	const claims = "claims: [{says: x, known: unverified}]}\n"
	const good = "- {model: X, panel: a, " + claims
	panels := []Panel{{Name: "a"}}
	if _, err := parseBoards([]byte(good), panels); err != nil {
		t.Fatal(err)
	}
	for want, bad := range map[string]string{
		"known":    "- {model: X, panel: b, " + claims,
		"unknown":  "- {model: X, screen: a, " + claims,
		"16":       "- {model: X, threads: 17, " + claims,
		"one of":   "- {model: X, threads: 1, spare: 1, " + claims,
		"and pres": "- {model: X, preset: a, presets: {1: b}, " + claims,
		"1 core":   "- {model: X, presets: {2: b}, " + claims,
		"never":    good + "- {model: XY, " + claims,
		"claims":   "- {model: X}",
		"boards.y": "- [X]",
	} {
		if _, err := parseBoards([]byte(bad), panels); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

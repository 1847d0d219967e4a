package hardware

import (
	"strings"
	"testing"
)

func TestPanels(t *testing.T) {
	if p, ok := PanelNamed("adafruit-1.14"); !ok || p.Width != 135 || p.Left != 52 || p.Data != "GPIO25" || p.Reset != "" {
		t.Errorf("%+v", p)
	}
	if _, ok := PanelNamed("none"); ok {
		t.Error("a panel that isn't there is found")
	}
	b, ok := BoardNamed("Raspberry Pi 4 Model B Rev 1.5")
	if !ok || b.Panel != "waveshare-2inch" {
		t.Errorf("%+v", b)
	}
	if b, ok := BoardNamed("linux,dummy-virt"); ok {
		t.Errorf("a virtual machine is %+v", b)
	}
}

func TestPanelMistakesAreFound(t *testing.T) {
	const good = "- {name: a, title: A, chip: st7789, width: 1, height: 1, clock: 1, bus: SPI0.0, data: GPIO1, claims: [{says: x, from: y, tested: false}]}\n"
	const board = "- {model: X, panel: a}\n"
	if _, _, err := parsePanels([]byte(good), []byte(board)); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string][2]string{
		"name of its own": {good + good, board}, "width": {strings.Replace(good, "width: 1", "width: 0", 1), board},
		"bus":     {strings.Replace(good, "SPI0.0", "I2C", 1), board},
		"claims":  {good[:strings.Index(good, ", claims")] + "}", board},
		"known":   {good, "- {model: X, panel: b}"},
		"unknown": {good, "- {model: X, screen: a}"},
	} {
		if _, _, err := parsePanels([]byte(c[0]), []byte(c[1])); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

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
}

func TestPanelMistakesAreFound(t *testing.T) {
	const good = "- {name: a, title: A, chip: st7789, width: 1, height: 1, clock: 1, bus: SPI0.0, data: GPIO1, claims: [{says: x, from: y, known: reported}]}\n"
	if _, err := parsePanels([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for want, bad := range map[string]string{
		"name of its own": good + good,
		"width":           strings.Replace(good, "width: 1", "width: 0", 1),
		"bus":             strings.Replace(good, "SPI0.0", "I2C", 1),
		"claims":          good[:strings.Index(good, ", claims")] + "}",
		"unknown":         strings.Replace(good, "chip:", "colour: red, chip:", 1),
	} {
		if _, err := parsePanels([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

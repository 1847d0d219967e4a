package hardware

import (
	"os"
	"strings"
	"testing"

	"periph.io/x/conn/v3/pin"
	"periph.io/x/host/v3/rpi"
)

// Each panel that is on a box of ours and isn't plugged onto the header has its wiring.
func TestWiring(t *testing.T) {
	w, err := parseWiring(wiring)
	if err != nil {
		t.Fatal(err)
	}
	wired := map[string]bool{"adafruit-1.14": true} // plugged
	for _, h := range w.Panels {
		wired[h.Panel] = true
	}
	for _, b := range Boards() {
		if b.Panel != "" && !wired[b.Panel] {
			t.Errorf("%s: its panel %s has no wiring", b.Model, b.Panel)
		}
	}
}

// The header is periph's, which the driver opens lines by: that list was written by others.
func TestHeaderIsPeriphs(t *testing.T) {
	ours := strings.NewReplacer("3.3V", "3V3", "GROUND", "GND")
	for i, row := range periphs {
		for j, pin := range row {
			if n, want := 2*i+1+j, ours.Replace(pin.Name()); Wires().Line(n) != want {
				t.Errorf("pin %d is %s, to periph %s", n, Wires().Line(n), want)
			}
		}
	}
}

// periphs is the header as package rpi has it before its driver starts.
var periphs = [20][2]pin.Pin{
	{rpi.P1_1, rpi.P1_2},
	{rpi.P1_3, rpi.P1_4},
	{rpi.P1_5, rpi.P1_6},
	{rpi.P1_7, rpi.P1_8},
	{rpi.P1_9, rpi.P1_10},
	{rpi.P1_11, rpi.P1_12},
	{rpi.P1_13, rpi.P1_14},
	{rpi.P1_15, rpi.P1_16},
	{rpi.P1_17, rpi.P1_18},
	{rpi.P1_19, rpi.P1_20},
	{rpi.P1_21, rpi.P1_22},
	{rpi.P1_23, rpi.P1_24},
	{rpi.P1_25, rpi.P1_26},
	{rpi.P1_27, rpi.P1_28},
	{rpi.P1_29, rpi.P1_30},
	{rpi.P1_31, rpi.P1_32},
	{rpi.P1_33, rpi.P1_34},
	{rpi.P1_35, rpi.P1_36},
	{rpi.P1_37, rpi.P1_38},
	{rpi.P1_39, rpi.P1_40},
}

func TestWiringMistakesAreFound(t *testing.T) {
	good := string(wiring)
	for want, c := range map[string][2]string{
		"pin 1 of the header twice": {"GND, header: 9", "GND, header: 1"},
		"pin VCC of the panel":      {"{pin: GND", "{pin: VCC"},
		"but pin 2":                 {"VCC, header: 1", "VCC, header: 2"},
		"but pin 21":                {"header: 19", "header: 21"},
		"but pin 26":                {"header: 24", "header: 26"},
		"but pin 41":                {"header: 12", "header: 41"},
		`no wire is "pink"`:         {"colour: grey", "colour: pink"},
		"no wire carries light":     {"- {pin: LED, header: 12, carries: light, colour: grey}", ""},
		"3V3 or 5V":                 {"- {pin: VCC, header: 1, carries: 3V3, colour: red}", ""},
		"has not":                   {"carries: light", "carries: touch"},
		"no panel":                  {"panel: lcdwiki-2.8inch", "panel: other"},
		"not in buses":              {"SPI0.0: {", "SPI9.9: {"},
		"of 19 rows":                {"  - [3V3, 5V]\n", ""},
		"unknown field":             {"open: [SDO", "closed: [SDO"},
		"claim":                     {`says: "this wiring shows a picture"`, `says: ""`},
	} {
		bad := strings.Replace(good, c[0], c[1], 1)
		if _, err := parseWiring([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Without this line in config.txt the board has no spidev0.0.
func TestImageHasSPI(t *testing.T) {
	config, err := os.ReadFile("../images/videobox/config.json")
	if err != nil || !strings.Contains(string(config), `"dtparam=spi=on"`) {
		t.Errorf("%v, or no dtparam=spi=on in images/videobox/config.json", err)
	}
}

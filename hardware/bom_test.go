package hardware

import (
	"strings"
	"testing"
)

func TestParts(t *testing.T) {
	all, err := parseParts(bom)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		t.Log(p.Use, p.Name)
	}
	// A part of a shop whose numbers nobody has checked may not look as if somebody had.
	for _, p := range all {
		for _, c := range p.Claims {
			if c.Known == OnTheBus {
				t.Errorf("%s: %q is said to have been seen: say so in README.md too, which says that no box was built", p.Name, c.Says)
			}
		}
	}
}

func TestPartMistakesAreFound(t *testing.T) {
	good := string(bom)
	for want, c := range map[string][2]string{
		"name and needs":          {"needs: its eight-wire cable", `needs: ""`},
		"use is":                  {"use: case", "use: casing"},
		`board "Raspberry Pi 9"`:  {"board: Raspberry Pi 5", "board: Raspberry Pi 9"},
		`stick "345f:9999"`:       {`"345f:2131"`, `"345f:9999"`},
		`panel "lcdwiki-9inch"`:   {"panel: lcdwiki-2.8inch", "panel: lcdwiki-9inch"},
		"no supply":               {"use: supply", "use: card"},
		"https":                   {"known: unverified", "known: datasheet"},
		`unknown field "price"`:   {"needs: its", "price: 5\n  needs: its"},
		"a card must name":        {"- use: card", "- use: card\n  board: Raspberry Pi 4"},
		"must be one of [bus emu": {"known: unverified", "known: maybe"},
	} {
		if _, err := parseParts([]byte(strings.Replace(good, c[0], c[1], 1))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

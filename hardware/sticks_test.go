package hardware

import (
	"strings"
	"testing"
	"time"
)

func TestSticksAreWellFormed(t *testing.T) {
	all, err := parse(sticks)
	if err != nil || len(all) < 5 {
		t.Fatalf("%d sticks, %v", len(all), err)
	}
	for _, s := range all {
		t.Log(s.Name, s.IDs, s.Sound, s.Status != nil)
	}
}

func TestStickOf(t *testing.T) {
	s, ok := StickOf(0x345f, 0x2131)
	if !ok || s.Name != "MacroSilicon MS2131" || s.Sound.Offset != 64*time.Millisecond || s.Status.Signal != (Bits{0xf6e9, 0xff, true}) {
		t.Errorf("%+v, %v", s, ok)
	}
	if s, ok := StickOf(0x534d, 0x2109); !ok || !s.Sound.Interleaved || s.Status.Rate.Scale != 0.01 {
		t.Errorf("%+v, %v", s, ok)
	}
	if s, ok := StickOf(0x046d, 0x082d); ok {
		t.Errorf("a webcam is %s", s.Name)
	}
}

func TestMistakesAreFound(t *testing.T) {
	const good = `
- name: A
  ids: ["1234:abcd"]
  status: {reply: 4, signal: {at: 1, mask: 1}}
  claims: [{says: x, from: y, known: reported}]
`
	if _, err := parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ old, new string }{
		"twice":       {`["1234:abcd"]`, `["1234:abcd", "1234:abcd"]`},
		"lower-case":  {"abcd", "ABCD"},
		"534d:2109":   {"1234:abcd", "12345:abcd"},
		"reply":       {"reply: 4", "reply: 2"},
		"mask":        {"mask: 1", "mask: 0"},
		"claims must": {"claims: [{says: x, from: y, known: reported}]", "claims: []"},
		"from must":   {"from: y", `from: ""`},
		"one of":      {"known: reported", "known: surely"},
		"name a test": {"known: reported", "known: fake"},
		"https":       {"known: reported", "known: datasheet"},
		"names a":     {"from: y", "by: a TestB"},
		"says":        {"says: x", `says: ""`},
		"unknown":     {"name:", "colour: red\n  name:"},
	} {
		_, err := parse([]byte(strings.Replace(good, c.old, c.new, 1)))
		if what == "twice" {
			what = "too"
		}
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

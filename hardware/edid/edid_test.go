package edid

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the .bin files anew")

// TestFiles: the files are what the text says.
func TestFiles(t *testing.T) {
	s, err := parseText(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Profiles {
		want := s.encode(p.Name)
		if *update {
			if err := os.WriteFile(p.Name+".bin", want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(p.Name + ".bin")
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s.bin isn't what profiles.yaml says (%v); -update writes it", p.Name, err)
		}
	}
	all, err := filepath.Glob("*.bin")
	if err != nil || len(all) != len(s.Profiles) {
		t.Errorf("%v, %v: %d profiles", all, err, len(s.Profiles))
	}
}

// TestProfiles: each says what it is meant to say.
func TestProfiles(t *testing.T) {
	for _, p := range Profiles() {
		i, err := Parse(p.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := modeNamed(p.Name)
		if i.Blocks != 2 || i.Maker != "OVB" || i.Name != "videobox" || !i.HDMI {
			t.Errorf("%s: %+v", p.Name, i)
		}
		if i.Preferred != (Mode{Width: want.width, Height: want.height, Rate: float64(want.rate)}) || i.Modes[0] != i.Preferred {
			t.Errorf("%s prefers %v, lists %v", p.Name, i.Preferred, i.Modes)
		}
		if len(i.Modes) != 7 {
			t.Errorf("%s lists %v", p.Name, i.Modes)
		}
		for _, m := range timings {
			if !slices.Contains(i.Modes, Mode{Width: m.width, Height: m.height, Rate: float64(m.rate)}) {
				t.Errorf("%s lacks %s", p.Name, m.name)
			}
		}
		if fmt.Sprint(i.Audio) != "[{2 48000 16}]" {
			t.Errorf("%s: audio %v", p.Name, i.Audio)
		}
	}
}

// TestTimings: clock, totals and rate agree.
func TestTimings(t *testing.T) {
	for _, m := range timings {
		if got := (m.width + m.horizontal[2]) * (m.height + m.vertical[2]) * m.rate; got != m.clock*1000 {
			t.Errorf("%s: %d pixels a second, clock %d kHz", m.name, got, m.clock)
		}
	}
}

func TestFor(t *testing.T) {
	for _, c := range []struct {
		height, rate int
		want         string
	}{{1080, 60, "1080p60"}, {1080, 30, "1080p60"}, {1080, 25, "1080p50"}, {1080, 50, "1080p50"}, {720, 25, "720p50"}, {720, 30, "720p60"}, {180, 10, "720p60"}, {2160, 25, "1080p50"}, {720, 0, "720p60"}} {
		if got := For(c.height, c.rate); got.Name != c.want || len(got.Bytes) != 256 {
			t.Errorf("%d at %d: %s", c.height, c.rate, got.Name)
		}
	}
}

// TestDamage: what Parse is for.
func TestDamage(t *testing.T) {
	good := For(720, 25).Bytes
	for want, spoil := range map[string]func([]byte) []byte{
		"no EDID":             func([]byte) []byte { return nil },
		"blocks of 128":       func(b []byte) []byte { return b[:200] },
		"begins with":         func(b []byte) []byte { b[0] = 1; return b },
		"block 1":             func(b []byte) []byte { b[130] ^= 1; return b },
		"block 0":             func(b []byte) []byte { b[20] ^= 1; return b },
		"1 blocks, the first": func(b []byte) []byte { return b[:128] },
	} {
		if _, err := Parse(spoil(slices.Clone(good))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for want, yaml := range map[string]string{
		"mode 4k":       strings.Replace(string(text), "modes: [", "modes: [4k, ", 1),
		"prefers what":  strings.Replace(string(text), "name: 720p50", "name: 720p5", 1),
		"three letters": strings.Replace(string(text), "maker: OVB", "maker: OV", 1),
		"colour":        string(text) + "colour: true\n",
	} {
		if _, err := parseText([]byte(yaml)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// FuzzParse: no input may do more than be refused, and what is read is fit to be
// shown to people.
func FuzzParse(f *testing.F) {
	for _, p := range Profiles() {
		f.Add(p.Bytes)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = slices.Clone(data)
		for at := 0; at+block <= len(data); at += block { // else nothing gets past the sums
			sum(data[at:][:block])
		}
		i, err := Parse(data)
		if err != nil {
			return
		}
		if i.Blocks*block != len(data) || i.Preferred.Rate < 0 || strings.ContainsFunc(i.Name, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%+v", i)
		}
	})
}

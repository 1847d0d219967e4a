package main

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/openvideobox/videobox/hardware"
)

// parts.md is what the data says.
func TestTables(t *testing.T) {
	want, err := os.ReadFile("../parts.md")
	if err != nil || !bytes.Equal(tables(), want) {
		t.Errorf("parts.md (%v) is not what the data says: go run ./hardware/pages", err)
	}
}

// The pictures in hardware/doc are those of the data.
func TestDrawings(t *testing.T) {
	for _, h := range hardware.Wires().Panels {
		p, _ := hardware.PanelNamed(h.Panel)
		got := draw(hardware.Wires(), h, p.Title)
		file := filepath.Join("../doc", "wiring-"+h.Panel+".png")
		if n := differ(t, got.Image(), file); n > 0 {
			t.Errorf("%s: %d pixels differ: go run ./hardware/pages, and look at it", file, n)
		}
	}
}

// A wire that is moved is seen.
func TestAMovedWireIsSeen(t *testing.T) {
	h := hardware.Wires().Panels[0]
	h.Wires = append([]hardware.Wire(nil), h.Wires...)
	h.Wires[0].Header = 17
	if n := differ(t, draw(hardware.Wires(), h, "").Image(), "../doc/wiring-"+h.Panel+".png"); n < 100 {
		t.Errorf("%d pixels differ", n)
	}
}

func differ(t *testing.T, got image.Image, file string) (n int) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil || want.Bounds() != got.Bounds() {
		t.Fatalf("%s: %v, %v", file, err, want.Bounds())
	}
	for y := range want.Bounds().Dy() {
		for x := range want.Bounds().Dx() {
			if differs(got, want, x, y) {
				n++
			}
		}
	}
	return n
}

// differs allows for another processor's rounding at the edges of lines.
func differs(a, b image.Image, x, y int) bool {
	ar, ag, ab, _ := a.At(x, y).RGBA()
	br, bg, bb, _ := b.At(x, y).RGBA()
	return max(ar, br)-min(ar, br) > 0x400 || max(ag, bg)-min(ag, bg) > 0x400 || max(ab, bb)-min(ab, bb) > 0x400
}

// Nothing is drawn over anything else: no wire leaves in another one's row, none
// comes down in another one's lane, and all lanes are left of the panel.
func TestWiresKeepApart(t *testing.T) {
	for _, h := range hardware.Wires().Panels {
		rows := map[float64]string{}
		for i, w := range h.Wires {
			if was := rows[leaves(w)]; was != "" {
				t.Errorf("%s: %s and %s leave the header at one height", h.Panel, was, w.Pin)
			}
			rows[leaves(w)] = w.Pin
			if x := lanes + i*lane; x > panelX-30 {
				t.Errorf("%s: lane %d is at %d", h.Panel, i, x)
			}
		}
		seen := map[int]bool{}
		for _, at := range order(h.Wires) {
			seen[at] = true
		}
		if len(seen) != len(h.Wires) {
			t.Errorf("%s: lanes for %d of %d wires", h.Panel, len(seen), len(h.Wires))
		}
	}
}

// Two wires that change places on the way cross once, others not at all.
func TestCrossings(t *testing.T) {
	up, down := hardware.Wire{Header: 24}, hardware.Wire{Header: 12} // to rows 0 and 1
	if n := crossings([]hardware.Wire{up, down}, 0, 1) + crossings([]hardware.Wire{down, up}, 1, 0); n == 0 {
		t.Error("wires that change places don't cross")
	}
	straight := []hardware.Wire{{Header: 2}, {Header: 40}}
	if o := order(straight); crossings(straight, o[0], o[1]) != 0 {
		t.Errorf("%v: wires that needn't cross do", o)
	}
}

package hardware

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write parts.md anew")

// parts.md is the data as tables, for people.
func TestTables(t *testing.T) {
	got := tables()
	if *update {
		if err := os.WriteFile("parts.md", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("parts.md")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("parts.md (%v) is not what the data says: go test ./hardware -run TestTables -update", err)
	}
}

func tables() []byte {
	var b bytes.Buffer
	b.WriteString("# Parts, wires, boards, sticks\n\nMade from the data by `go test ./hardware -run TestTables -update`; change the data, not this.\n")
	b.WriteString("\nHow a thing is known: **bus**: seen on the part itself. **emulated**: on a virtual machine's bus, with the part in software.\n" +
		"**fake**: with a fake of the part. **datasheet**: read at its maker's. **reported**: found out by others.\n" +
		"**unverified**: nobody of this project has looked; check it at the part.\n")
	counts(&b)
	billOfMaterials(&b)
	harnesses(&b)
	boardTable(&b)
	stickTable(&b)
	claimTable(&b)
	return b.Bytes()
}

func counts(b *bytes.Buffer) {
	n := map[Known]int{}
	for _, a := range allClaims() {
		for _, c := range a.claims {
			n[c.Known]++
		}
	}
	row(b, true, "known by", "claims")
	for _, k := range Ways {
		row(b, false, string(k), fmt.Sprint(n[k]))
	}
}

func billOfMaterials(b *bytes.Buffer) {
	b.WriteString("\n## Bill of materials\n\nOf several parts with the same use take one.\n")
	row(b, true, "use", "part", "must have")
	for _, p := range Parts() {
		row(b, false, p.Use, p.Name, p.Needs)
	}
}

func harnesses(b *bytes.Buffer) {
	for _, h := range Wires().Panels {
		p, _ := PanelNamed(h.Panel)
		fmt.Fprintf(b, "\n## Wires: %s\n\n![wires](doc/wiring-%s.png)\n", p.Title, h.Panel)
		row(b, true, "panel", "header pin", "line", "carries", "colour")
		for _, w := range h.Wires {
			row(b, false, w.Pin, fmt.Sprint(w.Header), Wires().Line(w.Header), w.Carries, w.Colour)
		}
		if len(h.Open) > 0 {
			fmt.Fprintf(b, "\nFree: %s.\n", strings.Join(h.Open, ", "))
		}
	}
}

func boardTable(b *bytes.Buffer) {
	b.WriteString("\n## Boards\n")
	row(b, true, "model", "panel", "x264 preset", "threads", "firmware its graphics ask for")
	for _, x := range Boards() {
		threads := fmt.Sprint(x.Threads)
		if x.Spare > 0 {
			threads = fmt.Sprintf("cores - %d", x.Spare)
		}
		row(b, false, x.Model, x.Panel, x.Preset, threads, strings.Join(x.Firmware, ", "))
	}
}

func stickTable(b *bytes.Buffer) {
	b.WriteString("\n## Sticks\n")
	row(b, true, "model", "USB id", "tells about its signal", "sound is put later by")
	for _, s := range Sticks() {
		tells, offset := "no", ""
		if s.Status != nil {
			tells = "yes"
		}
		if s.Sound.Offset != 0 {
			offset = s.Sound.Offset.String()
		}
		row(b, false, s.Name, strings.Join(s.IDs, ", "), tells, offset)
	}
}

func claimTable(b *bytes.Buffer) {
	b.WriteString("\n## Claims\n")
	for _, a := range allClaims() {
		fmt.Fprintf(b, "\n### %s\n", a.part)
		row(b, true, "claim", "known by", "from")
		for _, c := range a.claims {
			from := c.From
			if c.By != "" {
				from = strings.TrimPrefix(from+", ", ", ") + "`" + c.By + "`"
			}
			row(b, false, c.Says, string(c.Known), from)
		}
	}
}

// row writes a row of a table; a head begins one.
func row(b *bytes.Buffer, head bool, cells ...string) {
	if head {
		b.WriteByte('\n')
	}
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", `\|`)
	}
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
	if head {
		fmt.Fprintf(b, "|%s\n", strings.Repeat(" --- |", len(cells)))
	}
}

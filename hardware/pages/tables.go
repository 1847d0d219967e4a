package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/openvideobox/videobox/hardware"
	"github.com/openvideobox/videobox/hardware/edid"
)

// tables is the data as tables in Markdown, for people.
func tables() []byte {
	var b bytes.Buffer
	b.WriteString("# Parts, wires, boards, sticks\n\nMade from the data by `go run ./hardware/pages`; change the data, not this.\n")
	b.WriteString("\nHow a thing is known: **bus**: seen on the part itself. **emulated**: on a virtual machine's bus, with the part in software.\n" +
		"**fake**: with a fake of the part or by its bytes. **datasheet**: read at its maker's. **reported**: found out by others.\n" +
		"**unverified**: nobody of this project has looked; check it at the part.\n")
	for _, section := range []func(*bytes.Buffer){counts, billOfMaterials, harnesses, boardTable, stickTable, topicList, claimTable} {
		section(&b)
	}
	return b.Bytes()
}

func counts(b *bytes.Buffer) {
	n, all := hardware.Count()
	row(b, true, "known by", "claims")
	for _, k := range hardware.Ways {
		row(b, false, string(k), fmt.Sprint(n[k]))
	}
	row(b, false, "all", fmt.Sprint(all))
}

func billOfMaterials(b *bytes.Buffer) {
	b.WriteString("\n## Bill of materials\n\nOf several parts with the same use take one.\n")
	row(b, true, "use", "part", "must have")
	for _, p := range hardware.Parts() {
		row(b, false, p.Use, p.Name, p.Needs)
	}
}

func harnesses(b *bytes.Buffer) {
	for _, h := range hardware.Wires().Panels {
		p, _ := hardware.PanelNamed(h.Panel)
		fmt.Fprintf(b, "\n## Wires: %s\n\n![wires](doc/wiring-%s.png)\n", p.Title, h.Panel)
		row(b, true, "panel", "header pin", "line", "carries", "colour")
		for _, w := range h.Wires {
			row(b, false, w.Pin, fmt.Sprint(w.Header), hardware.Wires().Line(w.Header), w.Carries, w.Colour)
		}
		if len(h.Open) > 0 {
			fmt.Fprintf(b, "\nFree: %s.\n", strings.Join(h.Open, ", "))
		}
	}
}

func boardTable(b *bytes.Buffer) {
	b.WriteString("\n## Boards\n")
	row(b, true, "model", "panel", "x264 preset", "threads", "firmware its graphics ask for")
	for _, x := range hardware.Boards() {
		threads := fmt.Sprint(x.Threads)
		if x.Spare > 0 {
			threads = fmt.Sprintf("cores - %d", x.Spare)
		}
		row(b, false, x.Model, x.Panel, presets(x), threads, strings.Join(x.Firmware, ", "))
	}
}

// presets are a board's, by its cores if they depend on them.
func presets(b hardware.Board) string {
	if len(b.Presets) == 0 {
		return b.Preset
	}
	var list []string
	for _, cores := range slices.Sorted(maps.Keys(b.Presets)) {
		list = append(list, fmt.Sprintf("%s from %d", b.Presets[cores], cores))
	}
	return strings.Join(list, ", ") + " cores on"
}

func stickTable(b *bytes.Buffer) {
	b.WriteString("\n## Sticks\n")
	row(b, true, "model", "USB id", "tells about its signal", "sound is put later by")
	for _, s := range hardware.Sticks() {
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

func topicList(b *bytes.Buffer) {
	b.WriteString("\n## HDMI loop-out and EDIDs\n\nNone of the loop-outs was tried on a bench.\n\n")
	for _, t := range hardware.Topics() {
		fmt.Fprintf(b, "- **%s.** %s\n", t.Part, t.Does)
	}
	row(b, true, "EDID, `edid/….bin`", "for an output of", "prefers", "checksums")
	for _, p := range edid.Profiles() {
		row(b, false, p.Name, p.For, edidPrefers(p), fmt.Sprintf("%#02x, %#02x", p.Bytes[127], p.Bytes[255]))
	}
	first, err := edid.Parse(edid.Profiles()[0].Bytes)
	fmt.Fprintf(b, "\nEach allows, with sound of %s:", sound(first, err))
	for i, m := range first.Modes {
		fmt.Fprintf(b, "%s %v", strings.Repeat(",", min(i, 1)), m)
	}
	b.WriteString(".\n")
}

func edidPrefers(p edid.Profile) string {
	info, err := edid.Parse(p.Bytes)
	if err != nil {
		return err.Error() // a test of the package reads them all
	}
	return info.Preferred.String()
}

func sound(i edid.Info, err error) string {
	if err != nil || len(i.Audio) == 0 {
		return fmt.Sprint("none ", err)
	}
	a := i.Audio[0]
	return fmt.Sprintf("%d channels, %d Hz, %d bits", a.Channels, a.Hertz, a.Bits)
}

func claimTable(b *bytes.Buffer) {
	b.WriteString("\n## Claims\n")
	for _, a := range hardware.Claims() {
		fmt.Fprintf(b, "\n### %s\n", a.Part)
		row(b, true, "claim", "known by", "from")
		for _, c := range a.Claims {
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

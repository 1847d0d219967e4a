package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/openvideobox/videobox/internal/metrics"
)

// row is one line of the table: a hop of a part, or the part alone while it
// says nothing.
type row struct {
	part, hop, address, state, rate, latency, note string
	cpu                                            string
}

// view is what is known of a part at one moment.
type view struct {
	part     part
	restarts int
	cause    string // of the last restart
	running  bool
	status   metrics.Status
	err      error   // of asking for the status
	cpu      float64 // share of one core over the last seconds
}

// rows turns a part into its lines; brief, into one for its first output and
// one for each hop that is not well.
func (v view) rows(brief bool) []row {
	first := row{part: v.part.name, address: v.part.status, cpu: fmt.Sprintf("%3.0f %%", 100*v.cpu)}
	if v.restarts > 0 {
		first.note = fmt.Sprintf("started again %d×", v.restarts)
	}
	switch {
	case !v.running:
		first.state = "down"
		first.note = strings.TrimSpace(first.note + " " + v.cause)
		return []row{first}
	case v.err != nil:
		if first.state = "starting"; v.status.Program != "" {
			first.state, first.note = "silent", strings.TrimSpace(first.note+" "+v.err.Error())
		}
		return []row{first}
	}
	hops := v.status.Hops
	if brief {
		hops = mattering(hops)
	}
	if len(hops) == 0 {
		first.state = string(v.status.State)
		return []row{first}
	}
	var out []row
	for i, h := range hops {
		r := row{hop: h.Direction + " " + h.Name, address: short(h.Address), state: string(h.State), rate: rate(h.BitsPerSecond), latency: latency(h.LatencyMS), note: h.Cause}
		if h.Readers > 0 {
			r.note = strings.TrimSpace(fmt.Sprintf("%s %s", plural(h.Readers, "reader"), r.note))
		}
		if i == 0 {
			r.part, r.cpu = first.part, first.cpu
			r.note = strings.TrimSpace(first.note + " " + r.note)
		}
		out = append(out, r)
	}
	return out
}

// mattering are the first output, or input of a part without one, and the hops
// that are not well.
func mattering(hops []metrics.Hop) (out []metrics.Hop) {
	main := max(slices.IndexFunc(hops, func(h metrics.Hop) bool { return h.Direction == "out" }), 0)
	for i, h := range hops {
		if i == main || h.State != metrics.OK {
			out = append(out, h)
		}
	}
	return out
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// short leaves the local host's name out of an address, and the start of a
// long path.
func short(address string) string {
	address = strings.Replace(address, "127.0.0.1", "", 1)
	if len(address) > 34 {
		address = "…" + address[len(address)-33:]
	}
	return address
}

func rate(bps float64) string {
	switch {
	case bps <= 0:
		return ""
	case bps < 1e6:
		return fmt.Sprintf("%.0f kbit/s", bps/1e3)
	}
	return fmt.Sprintf("%.2f Mbit/s", bps/1e6)
}

func latency(ms float64) string {
	if ms < 0 {
		return ""
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// table writes the rows under a heading, cut to width columns.
func table(w io.Writer, views []view, since, now time.Time, width int, brief bool) {
	var total float64
	line := func(format string, args ...any) {
		s := []rune(strings.TrimRight(fmt.Sprintf(format, args...), " "))
		if len(s) > width {
			s = append(s[:width-1], '…')
		}
		fmt.Fprintf(w, "%s\n", string(s))
	}
	const format = "%-14s %-18s %-34s %-9s %12s %9s %6s  %s"
	line(format, "PART", "HOP", "ADDRESS", "STATE", "RATE", "LATENCY", "CPU", "")
	for _, v := range views {
		total += v.cpu
		for _, r := range v.rows(brief) {
			line(format, r.part, r.hop, r.address, r.state, r.rate, r.latency, r.cpu, r.note)
		}
	}
	line("%s after the start; all together %.2f cores; latency is since capture", now.Sub(since).Round(time.Second), total)
}

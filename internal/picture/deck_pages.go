package picture

import "strings"

func titlePage(p *page) {
	p.box(0, 0, p.w/p.h*100, 62, deckBlue)
	p.box(0, 62, p.w/p.h*100, 1.2, deckOrange)
	p.text("An open conference", bold, 12, 12, 28, deckPaper, 0)
	p.text("video system", bold, 12, 12, 43, deckPaper, 0)
	p.text("From the HDMI plug in a lecture room to a browser anywhere", regular, 4.6, 12, 55, deckPale, 0)
	p.text("Thirty rooms, two days, a few volunteers in each", regular, 4.6, 12, 76, deckInk, 0)
	p.text("videobox, mixer-host, restream-host: free software, GPL-3.0-or-later", regular, 3.4, 12, 84, deckSoft, 0)
}

func problemsPage(p *page) {
	end := p.bullets(8, 24, p.right()-8, 4.6,
		"The speaker unplugs the laptop, and the projector with it.",
		"The laptop sends 1920x1200 at 59.94, the camera 1080p25.",
		"A capture stick hangs until somebody pulls it.",
		"A battery runs out and the sound is gone: who notices?",
		"The network of the room is down for forty seconds.",
		"The encoder crashes in the last minute of the keynote.")
	p.box(8, end+1, p.right()-8, 13, deckSand)
	p.box(8, end+1, 1, 13, deckOrange)
	p.text("None of it may end the stream, and none may end the recording.", bold, 4, 12, end+9, deckInk, 0)
}

func chainPage(p *page) {
	p.node(8, 26, 24, 14, "camera", "HDMI", deckPaper, deckSoft)
	p.node(8, 50, 24, 14, "laptop", "HDMI", deckPaper, deckSoft)
	p.node(45, 26, 26, 14, "videobox", "capture, record", deckPale, deckBlue)
	p.node(45, 50, 26, 14, "videobox", "capture, record", deckPale, deckBlue)
	p.node(87, 38, 28, 14, "mixer-host", "scenes, audio", deckPale, deckBlue)
	p.node(131, 26, 38, 14, "origin, main", "HLS, records", deckSand, deckOrange)
	p.node(131, 50, 38, 14, "origin, backup", "HLS, records", deckSand, deckOrange)
	p.arrow(32, 33, 45, 33, "")
	p.arrow(32, 57, 45, 57, "")
	p.elbow(71, 33, 87, 42.5)
	p.elbow(71, 57, 87, 47.5)
	p.elbow(115, 42.5, 131, 33)
	p.elbow(115, 47.5, 131, 57)
	p.text("MPEG-TS", regular, 2.3, 79, 24.5, deckSoft, 0.5)
	p.text("RTMP", regular, 2.3, 123, 24.5, deckSoft, 0.5)
	p.arrow(150, 64, 150, 73, "HTTP, from either one")
	p.node(131, 73, 38, 12.5, "cache, browser", "hls.js, any number", deckPaper, deckSoft)
	p.arrow(58, 64, 58, 73, "TCP, every reader from a keyframe")
	p.node(45, 73, 26, 12.5, "recorder", "to disk, in the room", deckPaper, deckSoft)
	p.text("Three tiers that meet on the wire only: each can be swapped for the tool that did the job before it.", regular, 2.7, 8, 90.4, deckInk, 0)
}

// elbow draws an arrow of three straight parts.
func (p *page) elbow(x0, y0, x1, y1 float64) {
	middle := (x0 + x1) / 2
	p.line(x0, y0, middle, y0, 0.4, deckInk)
	p.line(middle, y0, middle, y1, 0.4, deckInk)
	p.arrow(middle, y1, x1, y1, "")
}

func gridPage(p *page) {
	y := p.bullets(8, 23, p.right()-8, 4,
		"Output frame n belongs to the instant n / rate of UTC, in every program.",
		"IDR pictures fall on whole seconds; audio sits on its grid of 1024 / 48000 s.",
		"A program that starts again goes on where it would have been.")
	x0, x1, top := 12.0, p.right()-4, y+13
	p.line(x0, top, x1, top, 0.35, deckInk)
	const frames = 50
	for i := 0; i <= frames; i++ {
		x, length, c := x0+(x1-x0)*float64(i)/frames, 2.0, deckBlue
		if i%25 == 0 {
			length, c = 7, deckOrange
			p.text([]string{"10:00:00", "10:00:01", "10:00:02"}[i/25], mono, 2.6, x, top+6, deckInk, 0.5)
		}
		p.line(x, top, x, top-length, 0.3, c)
	}
	p.text("IDR", bold, 2.6, x0+1, top-5, deckOrange, 0)
	p.text("25 frames a second: one tick each", regular, 2.6, (x0+x1)/2+2, top-5, deckBlue, 0)
	p.text("HLS segment N holds program time [2N, 2N+2) s: main and backup agree by construction.", regular, 3.4, 8, top+17, deckInk, 0)
	p.text("Each access unit carries an SEI with frame number, program time and capture time (UTC, ns),", regular, 2.5, 8, top+23, deckSoft, 0)
	p.text("so every reader measures the latency since the lens without asking anybody.", regular, 2.5, 8, top+26.8, deckSoft, 0)
}

func unbrokenPage(p *page) {
	p.node(8, 26, 70, 24, "worker", "devices, decode, scale, encode", deckSand, deckOrange)
	p.node(100, 26, p.right()-100, 24, "parent", "grid, mux, ring, sockets", deckPale, deckBlue)
	p.arrow(78, 38, 100, 38, "coded pictures")
	p.text("may crash, may hang, may be killed", regular, 2.8, 43, 54.5, deckSoft, 0.5)
	p.text("owns everything that a reader sees", regular, 2.8, (100+p.right())/2, 54.5, deckSoft, 0.5)
	p.bullets(8, 60, p.right()-8, 3.9,
		"After 250 ms without a good frame: the last one, then a slate that says what is wrong.",
		"Same size, same rate, same PIDs: no reader disconnects, no recording ends.",
		"Overload skips whole frames and counts them; nothing is delayed more and more.")
}

// codePage is small mono text, the hardest thing on a slide.
func codePage(p *page) {
	const source = `// copyTo sends the stream to one reader: first the tables, so that a
// demuxer knows the PIDs, then everything from a keyframe on.
func copyTo(ctx context.Context, w io.Writer, ring *tee.Ring) error {
	reader := ring.NewReader(tee.Newest)
	defer reader.Close()
	for {
		block, err := reader.Next(ctx)
		if errors.Is(err, tee.ErrLapped) {
			return fmt.Errorf("reader is too slow: %w", err)
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(block); err != nil {
			return err // it left; nobody else notices
		}
	}
}`
	const size = 2.75
	p.box(8, 22, p.right()-8, 63.5, deckInk)
	for i, l := range strings.Split(source, "\n") {
		text := strings.TrimLeft(l, "\t")
		indent := float64(len(l)-len(text)) * size * 2.4
		c := deckPale
		if strings.HasPrefix(text, "//") {
			c = deckRule
		}
		p.text(text, mono, size, 11+indent, 26.8+float64(i)*size*1.22, c, 0)
	}
	p.text("One writer, many readers: a reader can't hurt the writer, nor another reader.", regular, 3, 8, 90.4, deckInk, 0)
}

func portsPage(p *page) {
	x := []float64{9.5, 50, 88}
	p.table(22, 3.1, x,
		[]string{"What", "Address", "For whom"},
		[]string{"box, stream", "TCP 8899, buffered 8898", "mixer, recorder, ffplay"},
		[]string{"box, page", "HTTP 80", "the volunteer in the room"},
		[]string{"mixer, page", "HTTP 8000", "who mixes"},
		[]string{"mixer, output", "UDP multicast, TCP", "restream-host, dump, ffplay"},
		[]string{"origin", "RTMP 1935, HTTP 8080", "push; caches"},
		[]string{"cache", "HTTP 8080, /hls/<room>/", "browsers, players, phones"},
		[]string{"every program", "/api/status, /metrics", "the team, Prometheus"},
	)
	p.text("A box needs no configuration: its MAC address names it, the event file gives it a room.", regular, 3, 8, 75, deckInk, 0)
	p.text("ffplay tcp://box:8899", mono, 3, 8, 82, deckBlue, 0)
	p.text("Text as small as this should still be readable in the recording, at 1280x720 and 1.5 Mbit/s.", regular, 1.9, 8, 89, deckSoft, 0)
}

func closingPage(p *page) {
	p.box(0, 0, p.w/p.h*100, 100, deckBlue)
	p.box(12, 60, 60, 0.8, deckOrange)
	p.text("Thank you.", bold, 14, 12, 36, deckPaper, 0)
	p.text("Questions? The microphone is on the way.", regular, 5, 12, 50, deckPale, 0)
	p.text("make run starts all of this on one machine.", mono, 3.6, 12, 71, deckPaper, 0)
	p.text("GPL-3.0-or-later. Drawn by the program itself, with gg and the Go fonts.", regular, 2.8, 12, 80, deckPale, 0)
}

package main

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"net"
	"os"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/appliance/internal/watch"
	"github.com/openvideobox/videobox/display/screen"
	"github.com/openvideobox/videobox/internal/codec/openh264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/run"
)

// keyframePatience is how old a keyframe may be that is shown: one comes every
// second.
const keyframePatience = 5 * time.Second

// preview is the program.
type preview struct {
	box           self.Self
	out           string
	width, height int
	interval      time.Duration

	reporter *metrics.Reporter
	in, hop  *metrics.HopCounter
	drawing  *metrics.LeafState
	stream   *watch.Watcher
	peers    *peers.Peers

	decoder *openh264.Decoder
	frame   media.Frame
	scaler  picture.Scaler
	small   media.Frame
	shown   time.Time   // when the keyframe in image came
	image   image.Image // of the newest keyframe that decoded
	broken  error       // why the newest did not
	peaks   held
}

func newPreview(box self.Self, out string, width, height int, interval time.Duration) *preview {
	p := &preview{box: box, out: out, width: width, height: height, interval: interval}
	p.reporter = metrics.New("preview", box.Box.Name)
	p.reporter.SetRoom(box.Room)
	p.reporter.SetRole(box.Role)
	p.in = p.reporter.Hop("stream", "in", "tcp", box.StreamAddr())
	p.hop = p.reporter.Hop("screen", "out", "file", out)
	p.drawing = p.reporter.Leaf("screen")
	p.stream = watch.New(box.StreamAddr(), p.in)
	p.peers = peers.New(map[string]string{
		"capture": box.Box.StatusAddr("capture"),
		"record":  box.Box.StatusAddr("record"),
	})
	return p
}

// run draws until the context ends.
func (p *preview) run(ctx context.Context, status string) error {
	var err error
	if p.decoder, err = openh264.New(); err != nil {
		return err
	}
	g := run.NewGroup(ctx)
	g.Go("", func(ctx context.Context) error { return p.reporter.Serve(ctx, status) })
	g.Go("stream", p.stream.Run)
	g.Go("programs", func(ctx context.Context) error { return p.peers.Run(ctx, nil) })
	g.Go("screen", p.draw)
	err = g.Wait()
	p.decoder.Close()
	return err
}

func (p *preview) draw(ctx context.Context) error {
	tick := time.NewTicker(p.interval)
	defer tick.Stop()
	for {
		n := p.stream.Newest()
		if err := p.show(n); err != nil {
			p.drawing.Set(metrics.Failed, err.Error())
		} else {
			p.drawing.Set(metrics.OK, "")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// show draws one picture and replaces the file by it.
func (p *preview) show(n watch.Newest) error {
	fresh := n.KeyTime.After(p.shown)
	if fresh {
		p.decode(n)
	}
	img := screen.Draw(p.width, p.height, p.state(n, time.Now()))
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := e.Encode(&b, img); err != nil {
		return err
	}
	if err := replace(p.out, b.Bytes()); err != nil {
		return err
	}
	p.hop.Add(b.Len())
	if fresh {
		p.hop.Frame(n.KeyStamp.Capture)
	}
	return nil
}

// decode makes the picture of a new keyframe, no larger than the screen needs.
func (p *preview) decode(n watch.Newest) {
	p.shown = n.KeyTime
	if p.broken = p.decoder.Decode(n.Keyframe, &p.frame); p.broken != nil {
		return
	}
	f := &p.frame
	if w := p.width / 2 * 2; f.Width > w {
		p.small.Reset(w, max(2, w*f.Height/f.Width/2*2))
		p.small.Color = f.Color
		p.scaler.Scale(&p.small, f, picture.Rect{W: p.small.Width, H: p.small.Height})
		f = &p.small
	}
	p.image = picture.ToImage(f)
}

// replace never leaves half a picture. It need not survive a power cut.
func replace(name string, data []byte) error {
	if err := os.WriteFile(name+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// addresses are those under which others reach the box, IPv4 first.
func addresses(all []net.Addr) (list []string) {
	var v6 []string
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		if !ok || !n.IP.IsGlobalUnicast() {
			continue
		}
		if n.IP.To4() != nil {
			list = append(list, n.IP.String())
		} else {
			v6 = append(v6, n.IP.String())
		}
	}
	return append(list, v6...)
}

package source

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/adts"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/mixer-host/internal/source/flv"
	"github.com/openvideobox/videobox/mixer-host/internal/source/matroska"
)

// decoderArgs make ffmpeg a decoder that adds as little as it can: no probing
// beyond the headers, no thread of its own, one decoded picture for each that
// was sent, at its own time. (-fflags nobuffer would throw the keyframe away that
// it looked at.) -enc_time_base matters: raw video would otherwise
// be moved to the grid of the frame rate that ffmpeg guesses. A
// max_interleave_delta of 1 us keeps a picture from waiting for sound.
var decoderArgs = []string{
	"-hide_banner", "-v", "error", "-nostdin",
	"-copyts", "-probesize", "32", "-fpsprobesize", "0",
	"-threads", "1", "-f", "flv", "-i", "pipe:0", "-filter_threads", "1",
	"-map", "0:v:0", "-c:v", "rawvideo", "-pix_fmt", "yuv420p", "-fps_mode", "passthrough", "-enc_time_base:v", "1:1000",
	"-map", "0:a:0?", "-c:a", "pcm_s16le", "-ar", "48000", "-ac", "2",
	"-max_interleave_delta", "1", "-flush_packets", "1", "-f", "matroska", "-live", "1", "pipe:1",
}

const (
	pipeSize = 1 << 20 // of the child's output: a picture in two reads, not twenty

	// lead is what the child's time starts at, so that sound of just before
	// the first picture has a time too. FLV counts from 0.
	lead = 2 * media.TicksPerSecond

	// longest is how long a child may run: FLV's time has 31 bits of ms.
	longest = 20 * 24 * time.Hour

	writeTimeout = time.Second
	stallTimeout = 3 * time.Second

	// startTimeout is how long a child may take until it reads and gives out
	// anything: loading ffmpeg takes seconds where others wait for the disk or
	// the processor, and a new child would take as long.
	startTimeout = 8 * time.Second

	// lastWords is how long a child may take to end when its input does.
	lastWords = 200 * time.Millisecond

	maxSide   = 8192
	soundRate = media.SampleRate
)

// unit is an access unit with what its stream said of its time.
type unit struct {
	media.Unit
	at      int64 // PTS unwrapped within the connection
	program int64 // UTC: ns for pictures, ticks for sound
	capture int64
	flags   h264.Flags
	exact   bool // by a stamp, not by arrival
}

// decoder is one ffmpeg child. One goroutine calls send; another reads what
// comes out.
type decoder struct {
	child  *run.Process
	out    *flv.Writer
	base   int64 // unwrapped PTS of the child's time 0
	sps    string
	audio  bool
	newest int64 // unwrapped PTS of the picture sent last; of who calls send
	began  time.Time
	ended  chan struct{} // the reading goroutine is gone
	output outputTime

	mu    sync.Mutex
	sent  map[track]*sentTimes
	cause error
}

type track = media.Track

// outputTime is when the child gave something out last, and what went in since.
type outputTime struct {
	mu   sync.Mutex
	at   time.Time
	sent int
	any  bool // it has given out something
}

func (o *outputTime) in() (stalled bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent++
	return o.sent > 10 && time.Since(o.at) > stallTimeout
}

func (o *outputTime) out() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at, o.sent, o.any = time.Now(), 0, true
}

// none says that the child has given out nothing yet.
func (o *outputTime) none() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.any
}

// startDecoder starts a child for the stream that begins with the keyframe
// first. What it decodes goes to s.
func startDecoder(ctx context.Context, name, ffmpeg string, first unit, audio bool, s *Source) (*decoder, error) {
	sps, pps := h264.ParameterSets(first.Data)
	child := run.Child{
		Name: "decoder of " + name, Path: ffmpeg, Args: decoderArgs,
		PipeStdin: true, PipeStdout: true, Grace: time.Second, Log: s.o.Log,
	}
	p, err := child.Start(ctx)
	if err != nil {
		return nil, err
	}
	d := &decoder{
		child: p, out: flv.NewWriter(p.Stdin), base: first.at - lead, sps: string(sps), audio: audio,
		newest: first.at, began: time.Now(), ended: make(chan struct{}),
		sent: map[track]*sentTimes{media.Video: {}, media.Audio: {}},
	}
	d.output.at = d.began.Add(startTimeout - stallTimeout)
	setPipeSize(p.Stdout)
	go func() {
		defer close(d.ended)
		d.fail(d.read(p.Stdout, s))
	}()
	var asc []byte
	if audio {
		asc = adts.Config{SampleRate: soundRate, Channels: media.Channels}.ASC()
	}
	p.Stdin.SetWriteDeadline(d.deadline())
	if err := d.out.Header(sps, pps, asc); err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

func setPipeSize(f *os.File) {
	c, err := f.SyscallConn()
	if err != nil {
		return
	}
	// Refused when the user's pipes hold too much already; it works without.
	_ = c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
}

// fits says whether u can go to this child: same parameter sets, same tracks.
func (d *decoder) fits(u unit) error {
	if u.Track == media.Audio {
		if !d.audio {
			return errors.New("sound appeared")
		}
		return nil
	}
	if time.Since(d.began) > longest {
		return errors.New("its time is used up")
	}
	if u.Key {
		if sps, _ := h264.ParameterSets(u.Data); sps != nil && string(sps) != d.sps {
			return errors.New("the picture's format changed")
		}
	}
	return nil
}

// send writes u to the child. An error means that the child is of no use any
// more.
func (d *decoder) send(u unit) error {
	d.mu.Lock()
	err := d.cause
	d.mu.Unlock()
	if err != nil {
		return err
	}
	pts := (u.at - d.base) / 90
	if pts < 0 {
		return nil // sound from before the picture
	}
	d.child.Stdin.SetWriteDeadline(d.deadline())
	d.mu.Lock()
	d.sent[u.Track].add(sentTime{ms: pts, program: u.program, capture: u.capture, flags: u.flags, exact: u.exact})
	d.mu.Unlock()
	if u.Track == media.Audio {
		return d.out.Audio(pts, u.Data)
	}
	if d.output.in() {
		return fmt.Errorf("decoder gave out nothing for %v", stallTimeout)
	}
	dts := pts - media.Unwrap(u.PTS-u.DTS, 0)/90
	return d.out.Video(max(dts, 0), pts, u.Key, u.Data)
}

// deadline is until when the child must have taken what is written now.
func (d *decoder) deadline() time.Time {
	at, start := time.Now().Add(writeTimeout), d.began.Add(startTimeout)
	if d.output.none() && start.After(at) {
		return start
	}
	return at
}

// fail keeps the first cause of the end.
func (d *decoder) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cause == nil {
		d.cause = err
	}
}

// stop ends the child, waits for it and for the reading goroutine, and returns
// the first cause of the end.
func (d *decoder) stop() error {
	d.child.Stdin.Close()
	select {
	case <-d.ended: // by itself, with a cause
	case <-time.After(lastWords):
	}
	d.child.Kill()
	d.child.Stdout.Close()
	<-d.ended
	return d.cause
}

// read takes what the child gives out until it ends.
func (d *decoder) read(stdout io.Reader, s *Source) error {
	r := matroska.NewReader(stdout)
	tracks, err := r.Header()
	if err != nil {
		return d.end(err)
	}
	var w, h int
	var video, audio uint64
	for _, t := range tracks {
		switch {
		case t.Type == matroska.Video && t.Codec == "V_UNCOMPRESSED" && t.FourCC == "I420":
			video, w, h = t.Number, t.Width, t.Height
		case t.Type == matroska.Audio && t.Codec == "A_PCM/INT/LIT" && t.BitDepth == 16 && t.Channels == media.Channels:
			audio = t.Number
		}
	}
	if w < 2 || h < 2 || w > maxSide || h > maxSide {
		return fmt.Errorf("decoder: picture of %dx%d, from 2x2 to %dx%[3]d would be right", w, h, maxSide)
	}
	for {
		b, err := r.Next()
		if err != nil {
			return d.end(err)
		}
		d.output.out()
		switch b.Track {
		case video:
			err = d.readFrame(r, b, w, h, s)
		case audio:
			err = d.readSound(r, b, &s.sound)
		}
		if err != nil {
			return d.end(err)
		}
	}
}

// end says why a child's output ended: by its exit and its last words, when it
// has them to tell.
func (d *decoder) end(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("decoder: %w", err)
	}
	if err := d.child.Wait(); err != nil {
		return err
	}
	return errors.New("decoder ended")
}

// readFrame reads a picture into a frame of the queue. An odd size loses its
// last column or row: planes of 4:2:0 round up, our frames are even.
func (d *decoder) readFrame(r *matroska.Reader, b matroska.Block, w, h int, s *Source) error {
	cw, ch := (w+1)/2, (h+1)/2
	if want := int64(w*h + 2*cw*ch); b.Size != want {
		return fmt.Errorf("picture of %d bytes, %d would be %dx%d", b.Size, want, w, h)
	}
	d.mu.Lock()
	t, ok := d.sent[media.Video].find(b.Time/1e6, 0)
	d.mu.Unlock()
	if !ok {
		return nil // a picture that was made up to conceal a loss
	}
	f := s.frames.next()
	f.Reset(w&^1, h&^1)
	f.Program, f.Time, f.Flags = t.program, t.capture, t.flags
	for _, p := range []struct {
		pix        []byte
		w, h, odd  int
		extraBytes int
	}{
		{f.Y, w &^ 1, h &^ 1, w & 1, (h & 1) * w},
		{f.U, w / 2, h / 2, cw - w/2, (ch - h/2) * cw},
		{f.V, w / 2, h / 2, cw - w/2, (ch - h/2) * cw},
	} {
		if err := readPlane(r, p.pix, p.w, p.h, p.odd, p.extraBytes); err != nil {
			s.frames.giveBack(f)
			return err
		}
	}
	s.frames.push(f)
	s.sawFrame()
	return nil
}

func readPlane(r io.Reader, pix []byte, w, h, odd, extra int) error {
	if odd == 0 && extra == 0 {
		_, err := io.ReadFull(r, pix)
		return err
	}
	for y := range h {
		if _, err := io.ReadFull(r, pix[y*w:(y+1)*w]); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, r, int64(odd)); err != nil {
			return err
		}
	}
	_, err := io.CopyN(io.Discard, r, int64(extra))
	return err
}

// maxSound is the largest block of sound taken: a second.
const maxSound = media.SampleRate * media.Channels * 2

func (d *decoder) readSound(r *matroska.Reader, b matroska.Block, s *sound) error {
	if b.Size > maxSound || b.Size%(2*media.Channels) != 0 {
		return fmt.Errorf("sound of %d bytes", b.Size)
	}
	d.mu.Lock()
	t, ok := d.sent[media.Audio].find(b.Time/1e6, 2)
	d.mu.Unlock()
	raw := make([]byte, b.Size)
	if _, err := io.ReadFull(r, raw); err != nil || !ok {
		return err
	}
	pcm := make([]int16, len(raw)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	slack := int64(guessedSlack)
	if t.exact {
		slack = stampedSlack
	}
	s.write(ticksToSample(t.program), pcm, slack)
	return nil
}

// ticksToSample is exact where sound lies on the grid of AAC frames.
func ticksToSample(ticks int64) int64 { return ticks * 8 / 15 }

package file

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/run"
)

// pipeSize is asked for each pipe: the most that the kernel gives to everybody
// (pipe(7), pipe-max-size).
const pipeSize = 1 << 20

// ahead is how many frames of picture, and as many of sound, are read before
// they are due. More only costs memory: the pipe holds what comes after.
const ahead = 3

// pass is one run through the file: two decoders, and two goroutines that read
// what they write, frame by frame. Buffers go round: a frame that was taken from
// video goes back to free after the sink has seen it.
type pass struct {
	cancel   context.CancelFunc
	children []*run.Process
	readers  sync.WaitGroup

	video, free  chan *media.Frame
	audio, spare chan []int16
	failed       error        // why video was closed; nil at the file's end
	peeked       *media.Frame // taken from video, to be shown next
	block        []int16      // taken from audio, to be heard next
	shown        int64        // frames taken out of video
	heard        int64        // of sound, in frames of picture
	mute         bool         // the sound has ended
	silence      []int16
}

// start starts both decoders.
func (s *Source) start(ctx context.Context) (*pass, error) {
	ctx, cancel := context.WithCancel(ctx)
	block := samplesPerFrame(s.cfg.Rate) * media.Channels
	p := &pass{
		cancel: cancel, silence: make([]int16, block),
		video: make(chan *media.Frame, ahead), free: make(chan *media.Frame, ahead+1),
		audio: make(chan []int16, ahead), spare: make(chan []int16, ahead+1),
	}
	picture, err := p.child(ctx, s.cfg.FFmpeg, "film", "-threads", "1", "-i", "file:"+s.path, "-map", "0:V:0", "-an", "-sn", "-dn",
		"-filter_threads", "1", "-vf", s.info.filters(s.cfg), "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1")
	if err != nil {
		cancel()
		return nil, err
	}
	for range ahead + 1 {
		f := media.NewFrame(s.cfg.Width, s.cfg.Height)
		f.Color = s.info.color(s.cfg)
		p.free <- f
		p.spare <- make([]int16, block)
	}
	p.readers.Go(func() { p.readVideo(ctx, picture) })
	if !s.info.sound {
		close(p.audio)
		return p, nil
	}
	sound, err := p.child(ctx, s.cfg.FFmpeg, "film sound", "-threads", "1", "-i", "file:"+s.path, "-map", "0:a:0", "-vn", "-sn", "-dn",
		"-filter_threads", "1", "-af", "aresample=48000:async=1:first_pts=0", "-ac", "2", "-f", "s16le", "pipe:1")
	if err != nil {
		close(p.audio)
		p.close()
		return nil, err
	}
	p.readers.Go(func() { p.readAudio(ctx, sound) })
	return p, nil
}

func (p *pass) child(ctx context.Context, ffmpeg, name string, args ...string) (*run.Process, error) {
	c := run.Child{
		Name: name, Path: ffmpeg, PipeStdout: true, Log: slog.Default(),
		Args: append([]string{"-v", "error", "-nostdin"}, args...),
	}
	proc, err := c.Start(ctx)
	if err != nil {
		return nil, err
	}
	setPipeSize(proc.Stdout)
	p.children = append(p.children, proc)
	return proc, nil
}

// setPipeSize makes the pipe larger where the kernel lets it. Without that a
// frame takes twenty reads instead of two.
func setPipeSize(f *os.File) {
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
}

// readVideo reads frames until the file or the context ends.
func (p *pass) readVideo(ctx context.Context, proc *run.Process) {
	defer close(p.video)
	for {
		var f *media.Frame
		select {
		case f = <-p.free:
		case <-ctx.Done():
			p.failed = ctx.Err()
			return
		}
		if err := readFrame(proc.Stdout, f); err != nil {
			if errors.Is(err, io.EOF) {
				err = proc.Wait()
			}
			p.failed = err
			return
		}
		p.video <- f
	}
}

// readFrame reads one tight I420 frame: an io.EOF before it is the end, one
// within it a torn pipe.
func readFrame(r io.Reader, f *media.Frame) error {
	for i, plane := range [][]byte{f.Y, f.U, f.V} {
		if _, err := io.ReadFull(r, plane); err != nil {
			if i > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return fmt.Errorf("ffmpeg stopped within a frame: %w", err)
			}
			return err
		}
	}
	return nil
}

// readAudio reads the sound of frame after frame of picture. The last one is
// padded with silence.
func (p *pass) readAudio(ctx context.Context, proc *run.Process) {
	defer close(p.audio)
	buf := make([]byte, len(p.silence)*2)
	for {
		n, err := io.ReadFull(proc.Stdout, buf)
		if n == 0 {
			return
		}
		clear(buf[n:])
		var block []int16
		select {
		case block = <-p.spare:
		case <-ctx.Done():
			return
		}
		for i := range block {
			block[i] = int16(binary.LittleEndian.Uint16(buf[2*i:]))
		}
		p.audio <- block
		if err != nil {
			return
		}
	}
}

// ready waits for the next frame and its sound, or the end of either.
func (p *pass) ready(ctx context.Context) error {
	if p.peeked == nil {
		select {
		case f, ok := <-p.video:
			if !ok {
				return p.end()
			}
			p.peeked = f
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if p.block != nil || p.mute {
		return nil
	}
	select {
	case b, ok := <-p.audio:
		p.block, p.mute = b, !ok
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end says why there is no further frame, in words for a person.
func (p *pass) end() error {
	if p.failed != nil {
		return p.failed
	}
	if p.shown == 0 {
		return errors.New("ffmpeg found no picture in the file; give one that it can play")
	}
	return nil
}

// picture hands over frame number at of the pass, when it is there. Frames that
// came too late are left out, so that picture and sound stay in step.
func (p *pass) picture(sink Sink, at, t int64) (ended bool, err error) {
	for p.shown <= at {
		f := p.peeked
		p.peeked = nil
		if f == nil {
			var ok bool
			select {
			case f, ok = <-p.video:
				if !ok {
					return p.failed == nil, p.failed
				}
			default:
				return false, nil // late; the sink repeats
			}
		}
		p.shown++
		if p.shown == at+1 {
			f.Time = t
			sink.Video(f)
		}
		p.free <- f
	}
	return false, nil
}

// sound hands over what there is of the sound up to frame number at, each block
// with its own time, and silence after its end.
func (p *pass) sound(sink Sink, first, at int64, rate int) {
	for ; p.heard <= at; p.heard++ {
		if p.block == nil && !p.mute {
			select {
			case b, ok := <-p.audio:
				p.block, p.mute = b, !ok
			default:
				return // late
			}
		}
		data := p.silence
		if p.block != nil {
			data = p.block
		}
		sink.Audio(media.Samples{
			Time: media.FrameTime(first+p.heard, rate), Rate: media.SampleRate, Channels: media.Channels, Data: data,
		})
		if p.block != nil {
			p.spare <- p.block
			p.block = nil
		}
	}
}

// close ends the decoders and waits for them. Both only read a file: there is
// nothing that they would have to put in order.
func (p *pass) close() {
	p.cancel()
	for _, c := range p.children {
		c.Kill()
		c.Stdout.Close()
	}
	for range p.video {
	}
	for range p.audio {
	}
	p.readers.Wait()
}

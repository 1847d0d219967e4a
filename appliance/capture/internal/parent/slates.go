package parent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/run"
)

// slateTimeout bounds the child that encodes a slate: it takes a tenth of a
// second on a PC, a second on a Raspberry Pi 4.
const slateTimeout = 15 * time.Second

// maxSlate bounds what the child may write: a second of a still picture has a
// fraction of the bitrate.
const maxSlate = 16 << 20

// SlateTask is what the slate child reads from its stdin, as JSON.
type SlateTask struct {
	Program program.Config    `json:"program"`
	Text    picture.SlateText `json:"text"`
}

// EncodeSlate is the body of the slate child: a task from r, a slate to w.
func EncodeSlate(r io.Reader, w io.Writer) error {
	var task SlateTask
	if err := json.NewDecoder(r).Decode(&task); err != nil {
		return fmt.Errorf("slate: task: %w", err)
	}
	if err := task.Program.Check(); err != nil {
		return fmt.Errorf("slate: %w", err)
	}
	f := media.NewFrame(task.Program.Width, task.Program.Height)
	picture.FromImage(f, picture.Slate(f.Width, f.Height, task.Text))
	s, err := program.EncodeSlate(task.Program, f)
	if err != nil {
		return err
	}
	data, err := s.MarshalBinary()
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// slates keeps the stream's slate saying what it should. Encoding is another
// process's work, because x264 is C.
type slates struct {
	cfg    Config
	stream interface{ SetSlate(*program.Slate) }
	want   chan picture.SlateText // of capacity 1: the newest text

	mu   sync.Mutex
	text picture.SlateText // that was asked for last
}

func newSlates(c Config, stream interface{ SetSlate(*program.Slate) }) *slates {
	s := &slates{cfg: c, stream: stream, want: make(chan picture.SlateText, 1)}
	s.text = picture.SlateText{Name: c.Name, Room: c.Room, Address: c.Address}
	s.say("The picture of this box is on its way", "Nothing to do: capture is starting.", time.Time{})
	return s
}

// say asks for a slate with that text.
func (s *slates) say(cause, advice string, since time.Time) {
	s.change(func(t *picture.SlateText) { t.Cause, t.Advice, t.Time = cause, advice, since })
}

// relabel asks for the same slate with other labels.
func (s *slates) relabel(l Labels) {
	s.change(func(t *picture.SlateText) { t.Room, t.Address = l.Room, l.Address })
}

func (s *slates) change(f func(*picture.SlateText)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.text)
	select {
	case <-s.want:
	default:
	}
	s.want <- s.text
}

// run encodes whatever is asked for until the context ends. A text that fails
// is tried again, unless a newer one has come.
func (s *slates) run(ctx context.Context) error {
	var shown picture.SlateText
	for {
		var text picture.SlateText
		select {
		case text = <-s.want:
		case <-ctx.Done():
			return ctx.Err()
		}
		if text == shown {
			continue
		}
		slate, err := s.encode(ctx, text)
		if err == nil {
			s.stream.SetSlate(slate)
			shown = text
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		slog.Error("slate", "err", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case s.want <- text:
		default:
		}
	}
}

// encode runs the slate child.
func (s *slates) encode(ctx context.Context, text picture.SlateText) (*program.Slate, error) {
	ctx, cancel := context.WithTimeout(ctx, slateTimeout)
	defer cancel()
	task, err := json.Marshal(SlateTask{s.cfg.Program, text})
	if err != nil {
		return nil, err
	}
	child := run.Child{
		Name: "slate", Path: s.cfg.Executable, Args: []string{"slate"},
		PipeStdin: true, PipeStdout: true, Grace: 100 * time.Millisecond,
	}
	p, err := child.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	defer p.Stdout.Close()
	_, err = io.Copy(p.Stdin, bytes.NewReader(task)) // smaller than a pipe: doesn't block
	p.Stdin.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("slate: %w", err), p.Wait())
	}
	data, err := io.ReadAll(io.LimitReader(p.Stdout, maxSlate+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSlate {
		return nil, fmt.Errorf("slate: more than %d bytes", maxSlate)
	}
	if err := p.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("slate: not encoded within %v", slateTimeout)
	}
	slate := new(program.Slate)
	if err := slate.UnmarshalBinary(data); err != nil {
		return nil, err
	}
	return slate, nil
}

//go:build vm

package vm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sort"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/recording"
)

// outcome is what a cut left of a recording.
type outcome struct {
	files int
	last  uint64 // frame
}

// look starts recording in a mounted /perm, as record does after a power cut,
// and checks all of it: each file plays from its first to its last packet, and
// the index agrees with it.
func (r *recorded) look(ctx context.Context, perm string, deep bool) (o outcome, err error) {
	dirs, err := filepath.Glob(filepath.Join(perm, "recordings", "*"))
	if err != nil {
		return o, err
	}
	for _, dir := range dirs { // more than one if the box has got another name
		if err := r.lookAt(ctx, dir, deep, &o); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (r *recorded) lookAt(ctx context.Context, dir string, deep bool, o *outcome) error {
	cfg := recording.Config{Dir: filepath.Dir(dir), Name: filepath.Base(dir), Log: slog.New(slog.DiscardHandler)}
	rec, err := recording.New(cfg)
	if err != nil {
		return err
	}
	if _, err := rec.Write(r.stream[r.end:]); err != nil {
		return err
	}
	if err := rec.Close(); err != nil {
		return err
	}
	entries, err := recording.List(recording.Disk{}, cfg.Dir, cfg.Name)
	if err != nil {
		return err
	}
	if err := seamless(entries); err != nil {
		return err
	}
	wentOn := false
	for _, e := range entries {
		last, err := r.checkFile(ctx, filepath.Join(dir, e.File), e, deep)
		if err == nil && last >= r.frames[0].frame {
			err = r.wasSent(filepath.Join(dir, e.File))
		}
		if err != nil {
			return fmt.Errorf("%s, %d bytes: %w", e.File, e.Bytes, err)
		}
		if e.StartFrame > r.goOn {
			wentOn = true
			continue
		}
		o.last = max(o.last, last)
		o.files++
	}
	if !wentOn {
		return errors.New("recording did not go on in a new file")
	}
	return nil
}

// wasSent compares a file with the stream, byte for byte, from where the reader of
// the stream began to listen.
func (r *recorded) wasSent(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const sample = 16 * mpegts.PacketSize
	sent := r.stream
	if at := bytes.Index(sent, data[:min(sample, len(data))]); at >= 0 {
		sent = sent[at:]
	} else if at := bytes.Index(data, sent[:sample]); at >= 0 {
		data = data[at:]
	} else {
		return errors.New("nothing of it was sent")
	}
	n := min(len(sent), len(data))
	if !bytes.Equal(sent[:n], data[:n]) {
		return fmt.Errorf("it is not what was sent, in %d bytes", n)
	}
	return nil
}

// seamless says whether each frame is in a file, or in the gap before one.
func seamless(entries []recording.Entry) error {
	for i := 1; i < len(entries); i++ {
		last, e := entries[i-1], entries[i]
		if last.EndFrame+1 == e.StartFrame || e.Pictures == 0 {
			continue
		}
		if len(e.Gaps) == 0 || e.Gaps[0].FirstFrame != last.EndFrame+1 || e.Gaps[0].LastFrame != e.StartFrame-1 || e.Gaps[0].Cause == "" {
			return fmt.Errorf("%s ends with frame %d, %s starts with %d, and the gaps are %+v", last.File, last.EndFrame, e.File, e.StartFrame, e.Gaps)
		}
	}
	return nil
}

// checkFile plays a file and compares it with its line of the index.
func (r *recorded) checkFile(ctx context.Context, file string, e recording.Entry, deep bool) (uint64, error) {
	last, pictures, err := r.play(file)
	if err != nil {
		return 0, err
	}
	if e.Open || e.EndFrame != last || e.Pictures != pictures {
		return 0, fmt.Errorf("ends with frame %d after %d pictures, the index says %d and %d, open: %v", last, pictures, e.EndFrame, e.Pictures, e.Open)
	}
	if !deep {
		return last, nil
	}
	// Without -xerror: the last picture may be torn, which ffmpeg calls corrupt. What
	// is before it is compared with the stream, see wasSent.
	out, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-nostdin", "-i", file, "-map", "0", "-f", "null", "-").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("ffmpeg: %w: %.300s", err, out)
	}
	return last, nil
}

// lastFrame keeps the number of the last frame, whether the first was one to start
// with, and how many are missing that a reader of the stream got.
type lastFrame struct {
	frames uint64
	last   uint64
	key    bool
	got    func(first, last uint64) uint64
	holes  uint64
}

func (l *lastFrame) Video(u media.Unit) {
	if l.frames == 0 {
		l.key = u.Key
	}
	l.frames++
	if s, ok := h264.FindStamp(u.Data); ok {
		if l.last != 0 && s.Frame > l.last+1 {
			l.holes += l.got(l.last+1, s.Frame-1)
		}
		l.last = s.Frame
	}
}

func (l *lastFrame) Audio(media.Unit) {}

// got counts the frames, from one number to another, that a reader got.
func (r *recorded) got(first, last uint64) uint64 {
	upTo := func(frame uint64) int {
		return sort.Search(len(r.frames), func(i int) bool { return r.frames[i].frame >= frame })
	}
	return uint64(max(0, upTo(last+1)-upTo(first)))
}

// play reads a file as a player does and says its last frame, and how many it
// has. Nothing may be missing in it but what a reader of the stream didn't get
// either: a machine that has just started leaves out pictures, and so does one on a
// busy host.
func (r *recorded) play(name string) (last, frames uint64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	l := lastFrame{got: r.got}
	if err := mpegts.Demux(f, &l); err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, fmt.Errorf("demux: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, 0, err
	}
	p := mpegts.NewProbe()
	if _, err := io.Copy(p, f); err != nil {
		return 0, 0, err
	}
	rep := p.Report()
	if !l.key || l.frames == 0 || rep.Continuity != 0 || rep.SyncLosses != 0 || l.holes != 0 {
		return 0, 0, fmt.Errorf("doesn't play: key %v, %d frames, %d of those sent missing, %v", l.key, l.frames, l.holes, rep)
	}
	return l.last, l.frames, nil
}

// mountedAt mounts the file system that starts there in a file, for f.
func mountedAt(name string, start int64, f func(dir string) error) (err error) {
	dir := name + ".mnt"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("mount", "-o", fmt.Sprintf("loop,noatime,offset=%d", start), name, dir).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %w: %s", err, out)
	}
	defer func() {
		if out, uerr := exec.Command("umount", dir).CombinedOutput(); uerr != nil {
			err = errors.Join(err, fmt.Errorf("umount: %w: %s", uerr, out))
		}
	}()
	return f(dir)
}

// tearIndex cuts the end off the index, as a power cut can leave it.
func tearIndex(perm string, r *rand.Rand) error {
	list, err := filepath.Glob(filepath.Join(perm, "recordings", "*", "*.jsonl"))
	if err != nil {
		return err
	}
	for _, name := range list {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if err := os.Truncate(name, info.Size()-min(info.Size(), r.Int64N(400))); err != nil {
			return err
		}
	}
	return nil
}

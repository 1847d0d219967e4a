// Package recording writes one MPEG-TS stream to disk as a row of files.
//
// Every file starts with PAT, PMT and a keyframe, so it plays alone; every
// packet of the stream is in exactly one file, in order, so files that follow
// each other concatenate without a seam. Files are `<dir>/<name>/<name>-
// YYYYMMDDHHMMSS.ts` by UTC of the first frame's program time, and beside them
// lies an index, `<name>.jsonl`.
//
// The stream comes first: Write never waits for the disk. Between the two is a
// queue bounded in bytes; when a stalled disk lets it fill, the rest is dropped
// and counted as a gap with times and cause, and recording goes on at the next
// keyframe in a new file. What is written is flushed every half second
// (fdatasync), so a power cut costs about that much plus a stall in progress.
//
// Tested with streams of the project's own muxer on a Linux file system, and
// with file systems that stall, fail and fill up on command.
package recording

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
)

// Limits that hold when Config leaves them at zero.
const (
	DefaultSegment = 10 * time.Minute
	DefaultFlush   = 500 * time.Millisecond
	// MinQueue is 8 s of a box's 8 Mbit/s: cheap SD cards stall for seconds
	// while they erase.
	MinQueue      = 8 << 20
	queuedTime    = 5 * time.Second // of stream at Config.Bitrate
	closeDeadline = 10 * time.Second
	scanDeadline  = 2 * time.Second
)

// Config says what is recorded where.
type Config struct {
	Dir     string        // files go to Dir/Name/
	Name    string        // of the stream: letters, digits, dot, dash, underscore
	Segment time.Duration // a new file at the first keyframe after it
	Flush   time.Duration // at most this long between fdatasyncs
	Bitrate int           // of the stream, bit/s, for the queue and the hours left before they are measured
	Queue   int           // bytes of stream held in memory; 0: 5 s at Bitrate, at least MinQueue
	Policy  Policy        // what may go when the disk is full

	FS     FS           // nil: the operating system's
	Synced func() bool  // whether this host's clock may name files of streams without stamps; nil: it may
	Log    *slog.Logger // nil: slog.Default
	// ReadBack has each finished file read back from the disk and compared.
	ReadBack bool
	BootTime func() int64 // ns since the host's start; nil: CLOCK_BOOTTIME

	// Elsewhere is where the stream was recorded until now, if not here.
	Elsewhere *Elsewhere

	// OnFrame, when set, hears of every frame that is recorded and carries a
	// stamp, in Write's goroutine.
	OnFrame func(h264.Stamp)
}

// ErrClosed is what Write answers after Close.
var ErrClosed = errors.New("recording: closed")

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (c *Config) setDefaults() error {
	if !validName.MatchString(c.Name) {
		return fmt.Errorf("recording: name %q: want letters, digits, dot, dash or underscore, at most 64", c.Name)
	}
	if c.Dir == "" {
		return errors.New("recording: no directory given")
	}
	if c.Segment <= 0 {
		c.Segment = DefaultSegment
	}
	if c.Flush <= 0 {
		c.Flush = DefaultFlush
	}
	if c.Queue <= 0 {
		c.Queue = max(MinQueue, int(int64(c.Bitrate)/8*int64(queuedTime/time.Second)))
	}
	if c.FS == nil {
		c.FS = Disk{}
	}
	if c.Synced == nil {
		c.Synced = func() bool { return true }
	}
	if c.BootTime == nil {
		c.BootTime = bootTime
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return nil
}

// Recorder records one stream. Write, Rejoin and Close are for one goroutine;
// Status is for any.
type Recorder struct {
	cfg    Config
	dir    string
	cut    *cutter
	queue  *queue
	writer *writer
	once   sync.Once
	err    error
}

// New opens the recording: it repairs what an earlier run left (the last file
// is cut to its last whole packet), indexes what is not indexed yet, and starts
// the writer. A disk that fails here is no error: the recorder starts red and
// tries again.
func New(cfg Config) (*Recorder, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	dir := filepath.Join(cfg.Dir, cfg.Name)
	r := &Recorder{cfg: cfg, dir: dir, queue: newQueue(cfg.Queue)}
	left, err := repair(cfg.FS, dir, cfg.Name, cfg.Log)
	if err != nil {
		cfg.Log.Warn("recording: what an earlier run left could not be checked", "dir", dir, "error", err)
	}
	r.writer = newWriter(cfg, dir, r.queue)
	r.cut = newCutter(cfg, r.queue, r.writer)
	r.writer.start(left.unindexed)
	if left.tail != nil {
		r.cut.resume(left.tail)
	}
	return r, nil
}

var _ io.Writer = (*Recorder)(nil)

// Write takes the stream in pieces of any length. It never waits for the disk
// and fails only after Close; what the disk can't take shows in Status.
func (r *Recorder) Write(p []byte) (int, error) {
	if r.queue.isClosed() {
		return 0, ErrClosed
	}
	if len(p) > 0 {
		r.cut.write(p)
	}
	return len(p), nil
}

// Rejoin says that the next Write comes from a new connection to the same
// stream, which may repeat some of it, as a box's buffered port does: what is
// recorded already is skipped to the packet, and if something is missing the
// gap gets this cause.
func (r *Recorder) Rejoin(cause string) { r.cut.rejoin(cause) }

// Resuming says whether the recorder waits for the place in the stream where it
// stopped: the next connection should be made to where the stream is buffered.
func (r *Recorder) Resuming() bool { return r.cut.resuming() }

// Close writes what is queued, closes the file and indexes it. A disk that does
// not answer for ten seconds is left alone, which is an error.
func (r *Recorder) Close() error {
	r.once.Do(func() {
		r.cut.finish()
		r.queue.close()
		r.err = r.writer.wait()
	})
	return r.err
}

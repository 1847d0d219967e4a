package recording

import (
	"fmt"
	"time"
)

// State is how the recording is doing, in the words of every status here.
type State string

// States, from good to bad.
const (
	OK       State = "ok"
	Starting State = "starting" // nothing has come yet
	Degraded State = "degraded" // recording, but something was lost or may be soon
	Failed   State = "failed"   // not recording
)

const (
	patience  = 5 * time.Second // without stream, or with a disk that is busy
	remembers = time.Minute     // a gap shows so long
	fillAlarm = 4               // a quarter of the queue
)

// Status is a recorder's snapshot.
type Status struct {
	State            State     `json:"state"`
	Cause            string    `json:"cause,omitempty"`
	Off              bool      `json:"off"` // somebody switched it off
	Dir              string    `json:"dir"`
	File             string    `json:"file,omitempty"`
	FileBytes        int64     `json:"file_bytes"`
	Bytes            uint64    `json:"bytes"` // written since the start
	BitsPerSecond    float64   `json:"bits_per_second"`
	Segments         uint64    `json:"segments"`
	Frame            uint64    `json:"frame"` // newest
	ContinuityErrors uint64    `json:"continuity_errors"`
	MissingFrames    uint64    `json:"missing_frames"`
	Gaps             uint64    `json:"gaps"`
	LastGap          *Gap      `json:"last_gap,omitempty"`
	LostBytes        uint64    `json:"lost_bytes"`
	GarbageBytes     uint64    `json:"garbage_bytes"` // skipped between packets
	QueuedBytes      int       `json:"queued_bytes"`
	QueuePeak        int       `json:"queue_peak_bytes"`
	QueueLimit       int       `json:"queue_limit_bytes"`
	Flushed          time.Time `json:"flushed,omitzero"` // end of the last flush
	FlushAgeMS       float64   `json:"flush_age_ms"`     // -1 before the first
	StreamAgeMS      float64   `json:"stream_age_ms"`    // since the last new data; -1 before the first
	FreeBytes        uint64    `json:"free_bytes"`
	TotalBytes       uint64    `json:"total_bytes"`
	KeepFree         uint64    `json:"keep_free_bytes"`  // recording stops when no more are free
	ReleasableBytes  uint64    `json:"releasable_bytes"` // of acknowledged files, which go when room is needed
	Deleted          uint64    `json:"deleted"`          // files, by the disk policy
	HoursLeft        float64   `json:"hours_left"`       // at the present rate; -1 unknown
	IndexError       string    `json:"index_error,omitempty"`
	ReadBack         *ReadBack `json:"read_back,omitempty"`
}

// Status tells how the recording is doing. It never waits for the disk.
func (r *Recorder) Status() Status {
	now := time.Now()
	t, w := r.cut.takeTally(), r.writer.snapshot()
	s := Status{
		Dir: r.dir, File: w.file, FileBytes: w.size, Bytes: w.bytes, BitsPerSecond: w.rate * 8,
		Segments: t.segments, Frame: t.last.frame, ContinuityErrors: t.errors, MissingFrames: t.missing,
		Gaps: t.gaps, LastGap: t.lastGap, LostBytes: t.lost + w.lost, GarbageBytes: t.skipped,
		QueueLimit: r.cfg.Queue, Flushed: w.flushed, FlushAgeMS: age(now, w.flushed), StreamAgeMS: age(now, t.lastData),
		FreeBytes: w.free, TotalBytes: w.total, KeepFree: r.cfg.Policy.KeepFree, ReleasableBytes: w.releasable, Deleted: w.deleted,
		HoursLeft: -1, Off: t.off,
	}
	s.QueuedBytes, s.QueuePeak = r.queue.fill()
	if rate := max(w.rate, float64(r.cfg.Bitrate)/8); rate > 0 && w.spaceOK {
		s.HoursLeft = float64(w.free-min(w.free, r.cfg.Policy.KeepFree)+w.releasable) / rate / 3600
	}
	if err := r.writer.index.failure(); err != nil {
		s.IndexError = err.Error()
	}
	s.ReadBack = r.writer.index.lastReadBack()
	s.State, s.Cause = judge(now, &s, t, w)
	return s
}

func age(now, t time.Time) float64 {
	if t.IsZero() {
		return -1
	}
	return float64(now.Sub(t).Microseconds()) / 1000
}

// judge finds the worst that is to be said.
func judge(now time.Time, s *Status, t tally, w writerState) (State, string) {
	since := t.lastData
	if since.IsZero() {
		since = t.started
	}
	silent := now.Sub(since)
	busy := time.Duration(0)
	if !w.busy.IsZero() {
		busy = now.Sub(w.busy)
	}
	switch {
	case t.off:
		return Degraded, causeOff
	case w.failed != nil:
		return Failed, w.failed.cause
	case t.mode == dropping:
		return Failed, t.gapCause
	case s.ReadBack != nil && s.ReadBack.Error != "":
		return Failed, s.ReadBack.File + ": " + s.ReadBack.Error
	case silent > patience && now.Sub(t.lastByte) < patience:
		return Failed, fmt.Sprintf("the stream has brought nothing new for %.0f s", silent.Seconds())
	case silent > patience && t.lastData.IsZero():
		return Failed, fmt.Sprintf("no stream yet after %.0f s", silent.Seconds())
	case silent > patience:
		return Failed, fmt.Sprintf("no stream for %.0f s", silent.Seconds())
	case t.mode == waiting || t.mode == joining:
		return Starting, "waiting for a keyframe"
	case busy > patience || s.QueuedBytes > s.QueueLimit/fillAlarm:
		return Degraded, fmt.Sprintf("the disk is slow: %s wait for it", size(uint64(s.QueuedBytes)))
	case s.IndexError != "":
		return Degraded, "index: " + s.IndexError
	case t.lastGap != nil && now.Sub(t.gapSeen) < remembers:
		return Degraded, fmt.Sprintf("%.1f s are missing: %s", t.lastGap.End.Sub(t.lastGap.Start).Seconds(), t.lastGap.Cause)
	}
	return OK, ""
}

// failure is why the newest file could not be indexed, or nil.
func (x *indexer) failure() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}

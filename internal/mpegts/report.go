package mpegts

import (
	"fmt"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
)

// Report is what a Probe has seen: counts, and the longest intervals.
type Report struct {
	Limits Limits `json:"-"`

	Packets         uint64 `json:"packets"`
	SyncLosses      uint64 `json:"sync_losses"`
	SkippedBytes    uint64 `json:"skipped_bytes"`
	TransportErrors int    `json:"transport_errors"` // packets marked by a receiver
	Continuity      int    `json:"continuity_errors"`
	CRCErrors       int    `json:"crc_errors"` // in PAT and PMT

	PATs            int           `json:"pats"`
	PMTs            int           `json:"pmts"`
	PCRs            int           `json:"pcrs"`
	PATMax          time.Duration `json:"pat_max_ns"`
	PMTMax          time.Duration `json:"pmt_max_ns"`
	PCRMax          time.Duration `json:"pcr_max_ns"`
	PCRJumps        int           `json:"pcr_jumps"`       // that no discontinuity indicator declared
	Discontinuities int           `json:"discontinuities"` // declared on the PCR's PID

	Frames        int           `json:"frames"` // video access units
	AudioFrames   int           `json:"audio_frames"`
	VideoPTSJumps int           `json:"video_pts_jumps"` // steps of more than a frame, or back
	AudioPTSJumps int           `json:"audio_pts_jumps"`
	IDRs          int           `json:"idrs"`
	IDRMax        time.Duration `json:"idr_max_ns"`

	// By the stamps.
	Stamped         int        `json:"stamped"`
	LiveFrames      int        `json:"live_frames"`
	SlateFrames     int        `json:"slate_frames"`
	RepeatedFrames  int        `json:"repeated_frames"`
	MissingFrames   uint64     `json:"missing_frames"`
	DuplicateFrames int        `json:"duplicate_frames"`
	BackwardFrames  int        `json:"backward_frames"`
	Latest          h264.Stamp `json:"latest"` // of the newest access unit; Stamped says whether there was one

	havePMT bool
	first   [kinds]string // where a fault was seen first
}

// kind is a fault that has a place in the stream.
type kind int

const (
	transportError kind = iota
	continuity
	pcrJump
	videoJump
	audioJump
	missing
	duplicate
	backward
	kinds
)

// count counts a fault and notes where the first of its kind was.
func (r *Report) count(k kind, format string, args ...any) {
	switch k {
	case transportError:
		r.TransportErrors++
	case continuity:
		r.Continuity++
	case pcrJump:
		r.PCRJumps++
	case videoJump:
		r.VideoPTSJumps++
	case audioJump:
		r.AudioPTSJumps++
	case missing:
		r.MissingFrames++
	case duplicate:
		r.DuplicateFrames++
	case backward:
		r.BackwardFrames++
	}
	if r.first[k] == "" {
		r.first[k] = fmt.Sprintf(format, args...)
	}
}

// Faults are what is wrong with the stream, a line each with number and limit.
// A clean stream has none.
func (r Report) Faults() []string {
	var out []string
	add := func(bad bool, format string, args ...any) {
		if bad {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	number := func(name string, n int, k kind) {
		add(n > 0, "%s: %d, limit 0; first at %s", name, n, r.first[k])
	}
	interval := func(name string, d, limit time.Duration) {
		add(limit > 0 && d > limit, "%s interval: %.1f ms, limit %.0f ms", name, d.Seconds()*1e3, limit.Seconds()*1e3)
	}
	add(r.Packets == 0, "no transport packet in %d bytes", r.SkippedBytes)
	add(r.SyncLosses > 0, "sync losses: %d with %d bytes skipped, limit 0", r.SyncLosses, r.SkippedBytes)
	number("transport errors", r.TransportErrors, transportError)
	number("continuity errors", r.Continuity, continuity)
	add(r.CRCErrors > 0, "CRC errors in PAT or PMT: %d, limit 0", r.CRCErrors)
	add(r.Packets > 0 && r.PATs == 0, "no PAT in %d packets", r.Packets)
	add(r.PATs > 0 && !r.havePMT, "no PMT in %d packets", r.Packets)
	if !r.havePMT {
		return out
	}
	interval("PAT", r.PATMax, r.Limits.Tables)
	interval("PMT", r.PMTMax, r.Limits.Tables)
	add(r.PCRs == 0, "no PCR in %d packets", r.Packets)
	interval("PCR", r.PCRMax, r.Limits.PCR)
	number("PCR jumps", r.PCRJumps, pcrJump)
	number("video PTS jumps", r.VideoPTSJumps, videoJump)
	number("audio PTS jumps", r.AudioPTSJumps, audioJump)
	number("missing frames", int(min(r.MissingFrames, 1<<31)), missing)
	number("duplicate frames", r.DuplicateFrames, duplicate)
	number("backward frames", r.BackwardFrames, backward)
	add(r.Frames == 0, "no H.264 access unit in %d packets", r.Packets)
	add(r.Frames > 0 && r.IDRs == 0, "no IDR picture in %d frames", r.Frames)
	if r.IDRs > 0 {
		interval("IDR", r.IDRMax, r.Limits.IDR)
	}
	return out
}

func (r Report) String() string {
	return fmt.Sprintf("%d packets, %d continuity errors, PAT max %.1f ms, PMT max %.1f ms, PCR max %.1f ms, %d frames (%d live, %d slate), IDR max %.1f ms, %d missing, %d duplicate, %d backward",
		r.Packets, r.Continuity, r.PATMax.Seconds()*1e3, r.PMTMax.Seconds()*1e3, r.PCRMax.Seconds()*1e3,
		r.Frames, r.LiveFrames, r.SlateFrames, r.IDRMax.Seconds()*1e3, r.MissingFrames, r.DuplicateFrames, r.BackwardFrames)
}

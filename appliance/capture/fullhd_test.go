package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"testing"

	"github.com/openvideobox/videobox/hardware"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// BenchmarkFullHD is what 1080p30 costs this machine, all of it: each round is a
// second of the stream. The camera is in full-range BT.601 and all of its picture
// changes. With -benchtime 60x it says whether a minute goes without a frame left
// out: skipped frames a second, and cores, of which the source takes its part.
func BenchmarkFullHD(b *testing.B) {
	pc, _ := hardware.BoardNamed(hardware.AnyPC)
	for _, preset := range []string{"ultrafast", "superfast", "veryfast"} {
		for _, threads := range []int{pc.EncoderThreads(runtime.NumCPU()), pc.EncoderThreads(4)} {
			b.Run(fmt.Sprintf("%s, %d threads", preset, threads), func(b *testing.B) {
				fullHD(b, preset, threads)
			})
		}
	}
}

func fullHD(b *testing.B, preset string, threads int) {
	const rate = 30
	x := filmed(b, "size: 1920x1080, rate: 30, bitrate: 5000k", "--preset", preset, "--threads", strconv.Itoa(threads))
	r := watch(x.dial())
	start := r.until(b, "live picture", live).Latest.Frame + rate // the first second is of a machine that starts
	began := r.until(b, "a second", func(s h264.Stamp, _ mpegts.Report) bool { return s.Frame >= start })
	before, looks, ms := x.costs(), 0, 0.0
	for n := uint64(1); b.Loop(); n++ {
		r.until(b, "another second", func(s h264.Stamp, _ mpegts.Report) bool { return s.Frame >= start+n*rate })
		ms += x.stages().Detail.Input.EncodeMS
		looks++
	}
	after, rep := x.costs(), r.report()
	frames := float64(rep.LiveFrames - began.LiveFrames)
	cpu := after.Process.CPUSeconds + after.Process.ChildrenCPUSeconds - before.Process.CPUSeconds - before.Process.ChildrenCPUSeconds
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(rep.MissingFrames-began.MissingFrames)/float64(b.N), "skipped/s")
	b.ReportMetric(frames/float64(b.N), "frames/s")
	b.ReportMetric(1000*cpu/frames, "cpu-ms/frame")
	b.ReportMetric(ms/float64(looks), "encode-ms/frame")
}

// costs are the processes' of capture.
func (b *box) costs() (s metrics.Status) {
	b.t.Helper()
	resp, err := http.Get("http://" + b.status + "/api/status")
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		b.t.Fatal(err)
	}
	return s
}

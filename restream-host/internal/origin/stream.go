package origin

import (
	"time"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/recording"
	"github.com/openvideobox/videobox/restream-host/internal/hls"
	"github.com/openvideobox/videobox/restream-host/internal/rtmp"
)

const (
	// recordingLength is that of the files here; a box's are shorter.
	recordingLength = 30 * time.Minute
	// segments pass every two seconds, so nothing passes for longer than usual.
	segmentStall = 6 * time.Second
	tsOverhead   = 1.06 // of MPEG-TS over what is in it, about
)

// stream is one rendition of a room with its hops.
type stream struct {
	name          string
	hls           *hls.Stream
	in, out, disk *metrics.HopCounter
	rec           *recording.Recorder // nil: the origin has no dir
	listen        string              // where publishers are awaited
}

func (o *Origin) newStream(out event.Output) (*stream, error) {
	s := &stream{name: out.Name, listen: o.self.RTMPListen}
	s.in = o.reporter.Hop(out.Name, "in", "rtmp", s.listen)
	s.out = o.reporter.Hop(out.Name, "out", "hls", o.self.HTTP+"/hls/"+roomOf(out)+"/"+out.Rendition+"/index.m3u8")
	s.out.SetStall(segmentStall, metrics.Failed)
	bitrate := int(float64(out.Bitrate+o.event.Audio.Bitrate) * tsOverhead)
	if o.self.Dir != "" {
		rec, err := recording.New(recording.Config{
			Dir: o.self.Dir, Name: out.Name, Segment: recordingLength, Bitrate: bitrate, Log: o.log,
		})
		if err != nil {
			return nil, err
		}
		s.rec = rec
		s.disk = o.reporter.Hop(out.Name+" recording", "out", "file", rec.Status().Dir)
		s.disk.SetStall(segmentStall, metrics.Degraded)
	}
	shape := hls.Shape{Width: out.Width, Height: out.Height, Rate: o.event.Video.Rate, Bitrate: bitrate}
	s.hls = hls.NewStream(shape, time.Now, s.finished)
	return s, nil
}

// roomOf is the room's name: an output is called ROOM or ROOM-RENDITION.
func roomOf(out event.Output) string {
	if out.Rendition == "main" {
		return out.Name
	}
	return out.Name[:len(out.Name)-len(out.Rendition)-1]
}

// finished gets each segment. The recorder never waits for the disk.
func (s *stream) finished(seg *hls.Segment) {
	s.out.Add(len(seg.Data))
	s.out.Frame(seg.Capture)
	if s.rec != nil {
		_, _ = s.rec.Write(seg.Data) // fails only after Close
		s.disk.Add(len(seg.Data))
	}
}

// tick does what time alone does, and brings the recorder's words to its hop.
func (s *stream) tick() {
	s.hls.Tick()
	live := s.hls.Live()
	s.out.SetIdle(!live)
	if s.rec == nil {
		return
	}
	s.disk.SetIdle(!live)
	st := s.rec.Status()
	if !live && st.QueuedBytes == 0 && st.State != recording.Degraded {
		s.disk.SetState(metrics.OK, "")
		return
	}
	s.disk.SetState(metrics.State(st.State), st.Cause)
}

func (s *stream) close() error {
	if s.rec == nil {
		return nil
	}
	return s.rec.Close()
}

// sink is one publisher of a stream.
type sink struct {
	*hls.Publisher
	s *stream
}

func (s *stream) publish(remote string) rtmp.Sink {
	s.in.SetAddress(s.listen + " from " + remote)
	return &sink{s.hls.Publish(), s}
}

func (k *sink) Video(dts uint32, cts int32, key bool, au []byte) {
	stamp, _ := h264.FindStamp(au)
	k.s.in.Add(len(au))
	k.s.in.Frame(stamp.Capture)
	k.Publisher.Video(dts, cts, key, au)
}

func (k *sink) Audio(ts uint32, frame []byte) {
	k.s.in.Add(len(frame))
	k.Publisher.Audio(ts, frame)
}

func (k *sink) Close() { k.s.in.SetAddress(k.s.listen) }

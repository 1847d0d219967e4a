package mpegts

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/openvideobox/videobox/internal/adts"
	"github.com/openvideobox/videobox/internal/media"
)

// demux gives what Demux finds in a stream.
func demux(t *testing.T, ts []byte) *collector {
	t.Helper()
	var c collector
	if err := Demux(bytes.NewReader(ts), &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

// lost is how many units of want are missing in got, which must be there as
// they were otherwise.
func lost(t *testing.T, got, want []media.Unit) int {
	t.Helper()
	n := 0
	for _, w := range want {
		i := slices.IndexFunc(got, func(g media.Unit) bool { return g.PTS == media.Wire(w.PTS) && g.Track == w.Track })
		if i < 0 {
			n++
			continue
		}
		if !bytes.Equal(got[i].Data, w.Data) {
			t.Errorf("%v unit at %d is damaged", w.Track, w.PTS)
		}
		got = slices.Delete(slices.Clone(got), i, i+1)
	}
	if len(got) > 0 {
		t.Errorf("%d units came from nowhere", len(got))
	}
	return n
}

func TestDemuxSurvives(t *testing.T) {
	us := units(start, 2000, 25)
	ts := cleanStream(t, 2000, 25)
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	insert := func(at int) []byte { return append(append(bytes.Clone(ts[:at]), noise...), ts[at:]...) }
	pes := func(n int) int { // index of the n-th PES packet's first packet
		for i, p := range packetsOf(ts) {
			if p.PayloadStart() && p.PID() == PIDVideo {
				if n--; n < 0 {
					return i
				}
			}
		}
		return -1
	}
	for name, c := range map[string]struct {
		in   []byte
		most int // units that may be lost
	}{
		"nothing":                     {ts, 0},
		"noise in front":              {insert(0), 0},
		"noise between packets":       {insert(pes(10) * PacketSize), 0},
		"noise in a packet":           {insert(pes(10)*PacketSize + 700), 1},
		"noise in the first packet":   {insert(pes(10)*PacketSize + 60), 1},
		"noise in a keyframe":         {insert(pes(25)*PacketSize + 20000 - 20000%188), 1},
		"a packet missing":            {slices.Delete(bytes.Clone(ts), (pes(10)+2)*PacketSize, (pes(10)+3)*PacketSize), 1},
		"a first packet missing":      {slices.Delete(bytes.Clone(ts), pes(10)*PacketSize, (pes(10)+1)*PacketSize), 1},
		"bytes missing":               {slices.Delete(bytes.Clone(ts), pes(10)*PacketSize+400, pes(10)*PacketSize+450), 1},
		"a packet twice":              {slices.Insert(bytes.Clone(ts), pes(10)*PacketSize, ts[(pes(10)-1)*PacketSize:pes(10)*PacketSize]...), 0},
		"joined in the middle":        {ts[pes(5)*PacketSize+11:], 18},
		"joined in a keyframe":        {ts[pes(25)*PacketSize+11:], 75},
		"tables late":                 {slices.Delete(bytes.Clone(ts), 0, 2*PacketSize), 3},
		"cut in the middle of a unit": {ts[:(pes(30)+3)*PacketSize-7], 60},
	} {
		got := demux(t, c.in)
		n := lost(t, got.units, us)
		if n > c.most {
			t.Errorf("%s: %d units lost, want at most %d", name, n, c.most)
		}
		if len(got.errors) > 0 {
			t.Errorf("%s: %v", name, got.errors)
		}
	}
}

// foreign gives a stream of this package's muxer the look of another's.
func foreign(ts []byte, pmt, video, audio uint16, extra []elementary) []byte {
	section := func(s []byte, pid uint16, counter byte) []byte {
		s[1], s[2] = 0xb0|byte((len(s)+1)>>8), byte(len(s)+1)
		c := crc32(s)
		s = append(s, byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
		p := []byte{syncByte, 0x40 | byte(pid>>8), byte(pid), 0x10 | counter, 0}
		p = append(p, s...)
		return append(p, bytes.Repeat([]byte{0xff}, PacketSize-len(p))...)
	}
	word := func(b []byte, v uint16) []byte { return append(b, 0xe0|byte(v>>8), byte(v)) }
	pat := word([]byte{tablePAT, 0, 0, 0, 1, 0xc1, 0, 0, 0, 0, 0xe0, 0x10, 0, 7}, pmt)
	body := word([]byte{tablePMT, 0, 0, 0, 7, 0xc1, 0, 0}, video)
	body = append(body, 0xf0, 0)
	for _, e := range append(extra, elementary{typeH264, video}, elementary{typeADTS, audio}) {
		body = append(word(append(body, e.kind), e.pid), 0xf0, 0)
	}
	var out []byte
	for _, p := range packetsOf(ts) {
		switch p.PID() {
		case PIDPAT:
			p = section(bytes.Clone(pat), PIDPAT, p.Counter())
		case PIDPMT:
			p = section(bytes.Clone(body), pmt, p.Counter())
		case PIDVideo:
			if p.UnitEnd() {
				p[7] = 0xe0 // somebody else's data
			}
			p[1], p[2] = p[1]&0xe0|byte(video>>8), byte(video)
		case PIDAudio:
			p[1], p[2] = p[1]&0xe0|byte(audio>>8), byte(audio)
		}
		out = append(out, p...)
	}
	return out
}

func TestDemuxFollowsTables(t *testing.T) {
	us := units(start, 3000, 25)
	var b bytes.Buffer
	m := NewMuxer(&b, Options{})
	var parts [3][]byte
	for i, s := range [3][]media.Unit{us[:len(us)/3], us[len(us)/3 : len(us)/2], us[len(us)/2:]} {
		b.Reset()
		mux(t, m, s)
		parts[i] = bytes.Clone(b.Bytes())
	}
	// From packet to packet other PIDs, swapped even.
	ts := slices.Concat(foreign(parts[0], 0x20, 0x31, 0x32, nil), foreign(parts[1], 0x20, 0x32, 0x31, nil), foreign(parts[2], 0x1fe, 0x41, 0x31, nil))
	if n := lost(t, demux(t, ts).units, us); n > 3 {
		t.Errorf("%d units lost at two changes of the tables", n)
	}
}

// TestDemuxUnboundedPES: pictures of more than 64 KB, from a muxer that does
// not say where they end, and small ones behind them.
func TestDemuxUnboundedPES(t *testing.T) {
	var us []media.Unit
	for n := range int64(20) {
		u := picture(n*25, 25, 70000)
		if n%2 > 0 {
			u = picture(n*25+1, 25, 10)
			u.Key = false
		}
		u.PTS, u.DTS = start+n*3600, start+n*3600
		us = append(us, u)
	}
	var b bytes.Buffer
	mux(t, NewMuxer(&b, Options{}), us)
	checkUnits(t, demux(t, b.Bytes()).units, us)
	checkUnits(t, demux(t, foreign(b.Bytes(), 0x20, 0x31, 0x32, nil)).units, us)
}

func TestDemuxIgnoresOtherStreams(t *testing.T) {
	us := units(start, 1000, 25)
	var b bytes.Buffer
	mux(t, NewMuxer(&b, Options{}), us)
	extra := []elementary{{0x24, 0x50}, {0x06, 0x51}, {0xee, 0x52}}
	c := demux(t, foreign(b.Bytes(), 0x20, 0x31, 0x32, extra))
	if n := lost(t, c.units, us); n > 0 {
		t.Errorf("%d units lost", n)
	}
	if len(c.errors) != 3 || !strings.Contains(c.errors[0].Error(), "PID 80 is H.265 (type 0x24)") || !strings.Contains(c.errors[2].Error(), "unknown") {
		t.Errorf("errors %q", c.errors)
	}
}

// TestDemuxSound: what isn't 48 kHz stereo AAC-LC is refused in words.
func TestDemuxSound(t *testing.T) {
	for want, header := range map[string][]byte{
		"is AAC-LC 44100 Hz, 2 channels and ignored; want AAC-LC 48000 Hz, 2 channels": adts.AppendHeader(nil, adts.Config{SampleRate: 44100, Channels: 2}, 300),
		"is AAC-LC 24000 Hz, 2 channels and ignored":                                   adts.AppendHeader(nil, adts.Config{SampleRate: 24000, Channels: 2}, 300),
		"is AAC-LC 48000 Hz, 6 channels and ignored":                                   adts.AppendHeader(nil, adts.Config{SampleRate: 48000, Channels: 6}, 300),
		"not plain AAC-LC: profile 0":                                                  {0xff, 0xf1, 0x0c, 0x80, 38, 0x7f, 0xfc},
	} {
		var ts []byte
		for _, p := range packetsOf(cleanStream(t, 1000, 25)) {
			if h, ok := parsePES(p.Payload()); ok && p.PID() == PIDAudio && p.PayloadStart() {
				_, _, size, _ := adts.ParseHeader(h.payload)
				copy(h.payload, header)
				h.payload[3] = header[3]&^3 | byte(size>>11)
				h.payload[4], h.payload[5] = byte(size>>3), byte(size)<<5|0x1f
			}
			ts = append(ts, p...)
		}
		c := demux(t, ts)
		if len(c.track(media.Audio)) > 0 || len(c.track(media.Video)) != 25 {
			t.Errorf("%d and %d units", len(c.track(media.Audio)), len(c.track(media.Video)))
		}
		if len(c.errors) != 1 || !strings.Contains(c.errors[0].Error(), want) {
			t.Errorf("errors %q, want %q", c.errors, want)
		}
	}
}

func TestDemuxSaysWhatIsMissing(t *testing.T) {
	ts := cleanStream(t, 1000, 25)
	none := func(pids ...uint16) []byte {
		return without(packetsOf(ts), func(_ int, p Packet) bool { return slices.Contains(pids, p.PID()) })
	}
	for want, in := range map[string][]byte{
		"no transport packet in 3000 bytes": bytes.Repeat([]byte{1}, 3000),
		"no transport packet in 0 bytes":    nil,
		"no PAT in":                         none(PIDPAT),
		"no PMT on PID 4096 in":             none(PIDPMT),
		"no whole access unit in":           none(PIDVideo, PIDAudio),
	} {
		if err := Demux(bytes.NewReader(in), &collector{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	var c collector
	if err := Demux(bytes.NewReader(none(PIDAudio)), &c); err != nil || len(c.units) != 25 {
		t.Errorf("without sound: %d units, %v", len(c.units), err)
	}
	broken := errors.New("connection lost")
	err := Demux(io.MultiReader(bytes.NewReader(ts), iotest.ErrReader(broken)), &collector{})
	if !errors.Is(err, broken) {
		t.Errorf("read error: %v", err)
	}
}

// TestDemuxLatency: a unit is delivered when its last packet has been read,
// and not when the next one begins. Each read gives one unit.
func TestDemuxLatency(t *testing.T) {
	us := units(start, 2000, 25)
	var r unitReader
	m := NewMuxer(writerFunc(func(p []byte) { r.writes = append(r.writes, bytes.Clone(p)) }), Options{})
	mux(t, m, us)
	r.t, r.c = t, &collector{}
	if err := Demux(&r, r.c); err != nil {
		t.Fatal(err)
	}
	if len(r.c.units) != len(us) {
		t.Errorf("%d units, want %d", len(r.c.units), len(us))
	}
}

// unitReader gives a unit with each read, and checks before the next that all
// units before have been delivered.
type unitReader struct {
	t      *testing.T
	c      *collector
	writes [][]byte
	n      int
	rest   []byte
}

func (r *unitReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if len(r.c.units) != r.n {
			r.t.Fatalf("%d units delivered of %d read", len(r.c.units), r.n)
		}
		if r.n == len(r.writes) {
			return 0, io.EOF
		}
		r.rest = r.writes[r.n]
		r.n++
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

package adts

import (
	"bytes"
	"errors"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"pgregory.net/rapid"
)

func configs() *rapid.Generator[Config] {
	return rapid.Custom(func(t *rapid.T) Config {
		return Config{
			SampleRate: rapid.SampledFrom(rates[:]).Draw(t, "rate"),
			Channels:   rapid.SampledFrom([]int{1, 2, 3, 4, 5, 6, 8}).Draw(t, "channels"),
		}
	})
}

// TestRoundTrip compares with what mediacommon makes and reads.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := configs().Draw(t, "config")
		payload := rapid.SliceOfN(rapid.Byte(), 1, 2000).Draw(t, "payload")
		frame := append(AppendHeader(nil, c, len(payload)), payload...)
		got, p, rest, err := Parse(append(bytes.Clone(frame), 0xff, 0xf1))
		if err != nil || got != c || !bytes.Equal(p, payload) || len(rest) != 2 {
			t.Fatalf("%v, %d bytes, %d left, %v; want %v, %d bytes", got, len(p), len(rest), err, c, len(payload))
		}
		want, err := mpeg4audio.ADTSPackets{{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: c.SampleRate, ChannelCount: c.Channels, AU: payload}}.Marshal()
		if err != nil || !bytes.Equal(frame, want) {
			t.Fatalf("header % x, mediacommon's % x (%v)", frame[:HeaderSize], want[:HeaderSize], err)
		}
		var asc mpeg4audio.AudioSpecificConfig
		if err := asc.Unmarshal(c.ASC()); err != nil || asc.Type != mpeg4audio.ObjectTypeAACLC || asc.SampleRate != c.SampleRate || int(asc.ChannelConfig) != int(c.channelIndex()) {
			t.Fatalf("AudioSpecificConfig % x is %+v (%v)", c.ASC(), asc, err)
		}
	})
}

func TestStereo48(t *testing.T) {
	c := Config{48000, 2}
	if got := AppendHeader(nil, c, 377); !bytes.Equal(got, []byte{0xff, 0xf1, 0x4c, 0x80, 0x30, 0x1f, 0xfc}) {
		t.Errorf("header % x", got)
	}
	if got := c.ASC(); !bytes.Equal(got, []byte{0x11, 0x90}) {
		t.Errorf("AudioSpecificConfig % x", got)
	}
}

func TestParseRefuses(t *testing.T) {
	good := append(AppendHeader(nil, Config{48000, 2}, 4), 1, 2, 3, 4)
	with := func(i int, v byte) []byte {
		b := bytes.Clone(good)
		b[i] = v
		return b
	}
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"nothing":                {nil, ErrShort},
		"half a header":          {good[:5], ErrShort},
		"half a frame":           {good[:9], ErrShort},
		"no payload":             {AppendHeader(nil, Config{48000, 2}, 0), ErrShort},
		"no syncword":            {with(0, 0xfe), ErrSync},
		"layer 1":                {with(1, 0xf3), ErrSync},
		"profile Main":           {with(2, 0x0c), ErrUnsupported},
		"profile LTP":            {with(2, 0xcc), ErrUnsupported},
		"reserved rate":          {with(2, 0x78), ErrUnsupported},
		"no channels":            {with(3, 0x00), ErrUnsupported},
		"two raw data blocks":    {with(6, 0xfd), ErrUnsupported},
		"CRC but no room for it": {AppendHeader(nil, Config{48000, 2}, 2)[:7], ErrShort},
	} {
		if _, _, _, err := Parse(c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	crc := append(bytes.Clone(good[:7]), 0, 0, 1, 2)
	crc[1] = 0xf0
	if _, p, _, err := Parse(crc); err != nil || !bytes.Equal(p, []byte{1, 2}) {
		t.Errorf("with a CRC: % x, %v", p, err)
	}
}

func TestAnyConfigIsValid(t *testing.T) {
	for _, c := range []Config{{}, {1, 1}, {1 << 30, 100}, {47999, 7}, {-1, -1}} {
		if _, _, _, err := Parse(append(AppendHeader(nil, c, 1), 0)); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(append(AppendHeader(nil, Config{48000, 2}, 4), 1, 2, 3, 4))
	f.Add([]byte{0xff, 0xf0, 0x4c, 0x80, 0x01, 0x7f, 0xfc, 0, 0, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, payload, rest, err := Parse(b)
		if err != nil {
			return
		}
		if len(payload) == 0 || len(payload)+len(rest)+HeaderSize > len(b) {
			t.Fatalf("%d bytes of payload and %d left of %d", len(payload), len(rest), len(b))
		}
		again := append(AppendHeader(nil, c, len(payload)), payload...)
		if d, p, _, err := Parse(again); err != nil || d != c || !bytes.Equal(p, payload) {
			t.Fatalf("%v, want %v (%v)", d, c, err)
		}
	})
}

func BenchmarkAppendHeader(b *testing.B) {
	var buf [HeaderSize]byte
	b.ReportAllocs()
	for b.Loop() {
		AppendHeader(buf[:0], Config{48000, 2}, 377)
	}
}

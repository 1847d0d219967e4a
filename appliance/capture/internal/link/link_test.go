package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/level"
	"github.com/openvideobox/videobox/internal/program"
)

var (
	aPicture = program.Picture{Frame: 44_750_000_000, Capture: 1_800_000_000_123_456_789, Flags: h264.Live | h264.Repeated, Key: true, Data: []byte{0, 0, 0, 1, 0x65, 1}}
	aSound   = program.Sound{Index: 84_375_000_001, Data: []byte{0x21, 0x10}}
	aWork    = Work{Program: program.Config{Width: 640, Height: 360, Rate: 25, Bitrate: 1_000_000, AudioBitrate: 128_000}, Source: "pattern", Name: "box1", Room: "demo"}
	aReport  = Report{State: "no signal", Cause: "asleep", FPS: 24.9, FramesIn: 17, Levels: level.Values{Momentary: -23.1, Dead: level.Left}}
)

// conversation is one of every message.
func conversation(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b)
	for _, send := range []func() error{
		func() error { return err },
		func() error { return w.JSON(Task, aWork) },
		w.NeedKey,
		func() error { return w.Picture(aPicture) },
		func() error { return w.Sound(aSound) },
		func() error { return w.JSON(Health, aReport) },
		func() error { return w.Bitrate(2_500_000) },
	} {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestMessagesComeBackAsTheyWere(t *testing.T) {
	// In any cut.
	for name, in := range map[string]io.Reader{
		"whole": bytes.NewReader(conversation(t)), "bytes": iotest.OneByteReader(bytes.NewReader(conversation(t))),
	} {
		r := NewReader(in)
		var work Work
		m, err := r.Read()
		if err != nil || m.Kind != Task || m.JSON(&work) != nil || work != aWork {
			t.Errorf("%s: task %+v, %v", name, work, err)
		}
		if m, err := r.Read(); err != nil || m.Kind != NeedKey {
			t.Errorf("%s: %v, %v; want need key", name, m.Kind, err)
		}
		m, _ = r.Read()
		if p, err := m.Picture(); err != nil || !reflect.DeepEqual(p, aPicture) {
			t.Errorf("%s: picture %+v, %v", name, p, err)
		}
		m, _ = r.Read()
		if s, err := m.Sound(); err != nil || !reflect.DeepEqual(s, aSound) {
			t.Errorf("%s: sound %+v, %v", name, s, err)
		}
		var report Report
		m, _ = r.Read()
		if err := m.JSON(&report); err != nil || !reflect.DeepEqual(report, aReport) {
			t.Errorf("%s: report %+v, %v", name, report, err)
		}
		m, _ = r.Read()
		if bps, err := m.Bitrate(); err != nil || bps != 2_500_000 {
			t.Errorf("%s: bitrate %d, %v", name, bps, err)
		}
		if _, err := r.Read(); err != io.EOF {
			t.Errorf("%s: at the end %v, want EOF", name, err)
		}
	}
}

func message(kind Kind, body ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)+1))
	return append(append(b, byte(kind)), body...)
}

func TestNonsenseIsRefused(t *testing.T) {
	hello := conversation(t)[:5+helloSize]
	newer := append([]byte(nil), hello...)
	newer[len(newer)-1]++
	after := func(b ...byte) []byte { return append(append([]byte(nil), hello...), b...) }
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"nothing", nil, io.EOF},
		{"another program", []byte("HTTP/1.1 400 Bad Request"), ErrNotLink},
		{"no hello", message(NeedKey), ErrNotLink},
		{"another version", newer, ErrVersion},
		{"torn head", after(0, 0), io.ErrUnexpectedEOF},
		{"torn body", after(0, 0, 0, 9, byte(Sound), 1), io.ErrUnexpectedEOF},
		{"no kind", after(0, 0, 0, 0, 1), ErrMessage},
		{"too long", after(0xff, 0xff, 0xff, 0xff, byte(Picture)), ErrMessage},
	} {
		if _, err := NewReader(bytes.NewReader(c.data)).Read(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestBodiesAreChecked(t *testing.T) {
	picture := appendPicture(nil, aPicture)
	change := func(at int, v byte) []byte {
		b := append([]byte(nil), picture...)
		b[at] = v
		return b
	}
	for name, m := range map[string]Message{
		"short picture":    {Picture, picture[:pictureSize]},
		"odd key flag":     {Picture, change(17, 2)},
		"negative frame":   {Picture, change(0, 0x80)},
		"negative capture": {Picture, change(8, 0x80)},
		"sound as picture": {Sound, picture},
	} {
		if _, err := m.Picture(); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, m := range map[string]Message{
		"short sound":      {Sound, make([]byte, soundSize)},
		"negative sound":   {Sound, append([]byte{0x80}, make([]byte, soundSize)...)},
		"picture as sound": {Picture, picture},
	} {
		if _, err := m.Sound(); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Message{Health, []byte("{")}).JSON(new(Report)); !errors.Is(err, ErrMessage) {
		t.Errorf("broken JSON: %v", err)
	}
}

func TestTooLargeAMessageIsNotSent(t *testing.T) {
	var b bytes.Buffer
	w, _ := NewWriter(&b)
	before := b.Len()
	if err := w.Picture(program.Picture{Data: make([]byte, MaxMessage)}); !errors.Is(err, ErrMessage) || b.Len() != before {
		t.Errorf("%v, %d bytes sent", err, b.Len()-before)
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	w, _ := NewWriter(io.Discard)
	p := program.Picture{Frame: 1, Data: make([]byte, 20_000)}
	if n := testing.AllocsPerRun(100, func() { w.Picture(p) }); n > 1 {
		t.Errorf("%v allocations a picture", n)
	}
}

// FuzzReader feeds the parent's side, which must survive any worker. What it
// takes is what would be sent again.
func FuzzReader(f *testing.F) {
	all := conversation(f)
	f.Add(all)
	f.Add(all[:len(all)/2])
	f.Add(append(append([]byte(nil), all[:5+helloSize]...), message(Picture, make([]byte, 40)...)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data))
		var again bytes.Buffer
		w, _ := NewWriter(&again)
		for {
			m, err := r.Read()
			if err != nil {
				return
			}
			again.Reset()
			body := append([]byte(nil), m.Body...)
			if p, err := m.Picture(); err == nil {
				w.Picture(p)
			} else if s, err := m.Sound(); err == nil {
				w.Sound(s)
			} else {
				m.JSON(new(Report))
				m.JSON(new(Work))
				continue
			}
			if !bytes.Equal(again.Bytes(), message(m.Kind, body...)) {
				t.Fatalf("%v of %d bytes is sent again as %d bytes", m.Kind, len(body), again.Len())
			}
		}
	})
}

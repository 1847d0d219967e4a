package recording

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// player counts the pictures that a reader of a file gets whole.
type player struct{ pictures, last uint64 }

func (p *player) Video(u media.Unit) {
	if s, ok := h264.FindStamp(u.Data); ok {
		p.pictures, p.last = p.pictures+1, s.Frame
	}
}

func (p *player) Audio(media.Unit) {}

func played(t *testing.T, ts []byte) player {
	t.Helper()
	var p player
	if err := mpegts.Demux(bytes.NewReader(ts), &p); err != nil && !errors.Is(err, io.EOF) && p.pictures > 0 {
		t.Fatal(err)
	}
	return p
}

// muxed is what the project's own muxer makes of pictures of those sizes, and
// where each of them ends.
func muxed(t *testing.T, sizes ...int) (ts []byte, ends []int) {
	t.Helper()
	s := newStreamer()
	var out bytes.Buffer
	m := mpegts.NewMuxer(&out, mpegts.Options{})
	for i, size := range sizes {
		s.size = size
		at := int64(90000 + i*3600)
		u := media.Unit{Track: media.Video, PTS: at, DTS: at, Data: s.picture(i == 0), Key: i == 0}
		if err := m.WriteVideo(u); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, out.Len())
		if err := m.WriteAudio(media.Unit{Track: media.Audio, PTS: at, DTS: at, Data: make([]byte, 200)}); err != nil {
			t.Fatal(err)
		}
		s.frame++
	}
	return out.Bytes(), ends
}

// TestIndexSaysWhatIsWhole: a power cut can leave a file with any number of its
// packets. The index must count those pictures of which all is there, and the
// next file's gap must begin after them, also where pictures are longer than a
// PES packet can say.
func TestIndexSaysWhatIsWhole(t *testing.T) {
	ts, ends := muxed(t, 900, 3000, 40, 150, 184, 66_000, 500)
	const name = "box1-20261123100000.ts"
	first, whole := uint64(newStreamer().origin), 0
	for end := 3 * mpegts.PacketSize; end <= len(ts); end += mpegts.PacketSize {
		m := newMemFS()
		m.files["/rec/box1/"+name] = &memFile{data: ts[:end]}
		e, err := scanFile(m, "/rec/box1", name, nil)
		if err != nil {
			t.Fatal(err)
		}
		for whole < len(ends) && ends[whole] <= end {
			whole++
		}
		last := first + uint64(whole) - 1
		if e.Pictures != uint64(whole) || whole > 0 && e.EndFrame != last {
			t.Fatalf("%d packets hold %d pictures, the index says %d, up to %d", end/mpegts.PacketSize, whole, e.Pictures, e.EndFrame)
		}
		tail, err := readTail(m, "/rec/box1", name)
		if err != nil {
			t.Fatal(err)
		}
		if whole > 0 && tail.pos.whole.frame != last {
			t.Fatalf("%d packets: a gap would begin after frame %d, want %d", end/mpegts.PacketSize, tail.pos.whole.frame, last)
		}
	}
	if p := played(t, ts); p.pictures != uint64(whole) {
		t.Errorf("%d pictures play, want %d", p.pictures, whole)
	}
}

// TestStoppedWithinAPicture: what is recorded ends anywhere, and index and file
// agree nevertheless, in a run and after it.
func TestStoppedWithinAPicture(t *testing.T) {
	for _, cut := range []int{1, 2, 5, 7} {
		synctest.Test(t, func(t *testing.T) {
			m, s := newMemFS(), newStreamer()
			r := open(t, testConfig(m))
			ts := s.seconds(3)
			feed(t, r, ts[:len(ts)-cut*mpegts.PacketSize])
			closeIt(t, r)
			_, data := m.recorded()
			p, e := played(t, data[0]), list(t, m)[0]
			if e.EndFrame != p.last || e.Pictures != p.pictures || p.last == 0 {
				t.Errorf("%d packets short: index up to %d, the file to %d", cut, e.EndFrame, p.last)
			}
			r = open(t, testConfig(m)) // some of the stream is missing
			s.frame += 20
			feed(t, r, s.seconds(2))
			closeIt(t, r)
			after := list(t, m)[1]
			if len(after.Gaps) != 1 || after.Gaps[0].FirstFrame != e.EndFrame+1 || after.Gaps[0].LastFrame != after.StartFrame-1 {
				t.Errorf("%d packets short: file up to %d, gap %+v, file from %d", cut, e.EndFrame, after.Gaps, after.StartFrame)
			}
		})
	}
}

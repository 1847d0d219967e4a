package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/recording"
)

// tornStart is the first frame of these tests' streams, at 25 a second.
const tornStart = 1795428000 * 25

// muxed is what the project's own muxer makes of pictures of those sizes, and
// where each of them ends.
func muxed(t *testing.T, first int64, sizes ...int) (ts []byte, ends []int) {
	t.Helper()
	var out bytes.Buffer
	m := mpegts.NewMuxer(&out, mpegts.Options{})
	for i, size := range sizes {
		n, slice := first+int64(i), byte(0x41)
		au := []byte{0, 0, 0, 1, 9, 0xf0}
		if i == 0 {
			au, slice = append(au, 0, 0, 0, 1, 0x67, 0x64, 0, 0x1f, 0xac, 0, 0, 0, 1, 0x68, 0xee, 0x3c, 0x80), 0x65
		}
		au = append(append(au, 0, 0, 0, 1, slice), bytes.Repeat([]byte{0x81}, size)...)
		au = h264.InsertStamp(nil, au, h264.Stamp{Flags: h264.Synced, Frame: uint64(n), Program: n * 40_000_000})
		if err := m.WriteVideo(media.Unit{PTS: n * 3600, DTS: n * 3600, Key: i == 0, Data: au}); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, out.Len())
		if err := m.WriteAudio(media.Unit{Track: media.Audio, PTS: n * 3600, DTS: n * 3600, Data: make([]byte, 200)}); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes(), ends
}

// TestIndexSaysWhatIsWhole: a power cut can leave any number of a file's packets.
// The index must count those pictures of which all is there, also where they are
// longer than a PES packet can say, and the gap must begin after them.
func TestIndexSaysWhatIsWhole(t *testing.T) {
	ts, ends := muxed(t, tornStart, 900, 3000, 40, 150, 184, 66_000, 500)
	later, _ := muxed(t, tornStart+100, 900, 900)
	whole, after := 0, 0 // whole as cut, and how far behind it
	for end := 3 * mpegts.PacketSize; end <= len(ts); end += mpegts.PacketSize {
		for whole < len(ends) && ends[whole] <= end {
			whole, after = whole+1, 0
		}
		after++
		if after > 8 && after%60 != 0 && whole < len(ends) && ends[whole] > end+2*mpegts.PacketSize {
			continue // the middle of a long one
		}
		first, next := cutAndGoOn(t, ts[:end], later)
		if left := int(first.Bytes); left > end || left < end-mpegts.PacketSize {
			t.Fatalf("of %d bytes %d are left", end, left)
		}
		whole := whole
		if whole > 0 && ends[whole-1] > int(first.Bytes) {
			whole-- // its last packet might have been torn
		}
		if first.Pictures != uint64(whole) || whole > 0 && first.EndFrame != tornStart+uint64(whole)-1 {
			t.Fatalf("%d packets hold %d pictures, the index says %d, up to %d", end/mpegts.PacketSize, whole, first.Pictures, first.EndFrame)
		}
		if g := next.Gaps; whole > 0 && (len(g) != 1 || g[0].FirstFrame != first.EndFrame+1 || g[0].LastFrame != tornStart+99) {
			t.Fatalf("%d packets hold %d pictures, the gap is %+v", end/mpegts.PacketSize, whole, g)
		}
	}
	if whole != len(ends) {
		t.Errorf("only %d pictures seen", whole)
	}
}

// cutAndGoOn records what comes later beside a file that was cut off.
func cutAndGoOn(t *testing.T, ts, later []byte) (first, next recording.Entry) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "box1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "box1", "box1-20261123100000.ts"), ts, 0o644); err != nil {
		t.Fatal(err)
	}
	rec, err := recording.New(recording.Config{Dir: dir, Name: "box1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rec.Write(later); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := recording.List(recording.Disk{}, dir, "box1")
	if err != nil || len(list) != 2 {
		t.Fatalf("%d files, %v", len(list), err)
	}
	return list[0], list[1]
}

package hls

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n%s", name, got)
	}
}

func example() *Playlist {
	n := number(0)
	return &Playlist{Target: 2, Sequence: n, DiscontinuitySequence: 3, Independent: true, Entries: []Entry{
		{Number: n, Duration: time.Second, Time: StartOf(n).Add(time.Second)},
		{Number: n + 1, Duration: Duration, Time: StartOf(n + 1)},
		GapEntry(n + 2),
		{Number: n + 3, Duration: Duration, Time: StartOf(n + 3), Discontinuity: true},
	}}
}

func TestPlaylistGolden(t *testing.T) {
	golden(t, "media.m3u8", example().Append(nil))
	golden(t, "multivariant.m3u8", AppendMultivariant(nil, []Variant{
		{Name: "main", Bandwidth: 5_200_000, Average: 4_400_000, Width: 1280, Height: 720, Rate: 25, Codecs: Codecs(100, 0, 31)},
		{Name: "480", Bandwidth: 1_400_000, Average: 1_100_000, Width: 854, Height: 480, Rate: 29.97, Codecs: usualCodecs(854, 480, 30)},
	}))
}

func TestPlaylistRoundTrip(t *testing.T) {
	want := example()
	got, err := Parse(want.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	checkRules(t, want.Append(nil))
}

// checkRules holds a media playlist to RFC 8216.
func checkRules(t *testing.T, text []byte) {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Errorf("%v in\n%s", err, text)
		return
	}
	lines := strings.Split(string(text), "\n")
	if lines[0] != "#EXTM3U" || strings.Count(string(text), "#EXT-X-TARGETDURATION:") != 1 || strings.Count(string(text), "#EXT-X-MEDIA-SEQUENCE:") != 1 {
		t.Errorf("header is wrong:\n%s", text)
	}
	if p.hasGap() != strings.Contains(string(text), "#EXT-X-VERSION:8\n") {
		t.Error("EXT-X-GAP needs version 8, and only that") // RFC 8216bis 8
	}
	for _, e := range p.Entries {
		if e.Duration.Round(time.Second) > time.Duration(p.Target)*time.Second { // 4.3.3.1
			t.Errorf("segment %d of %v is longer than the target duration %d", e.Number, e.Duration, p.Target)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	head := "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n"
	for name, text := range map[string]string{
		"html":          "<html>",
		"empty":         "",
		"no target":     "#EXTM3U\n",
		"target":        "#EXTM3U\n#EXT-X-TARGETDURATION:-1\n",
		"no duration":   head + "7.ts\n",
		"other name":    head + "#EXTINF:2,\nsegment7.ts\n",
		"path":          head + "#EXTINF:2,\n../7.ts\n",
		"numbering":     head + "#EXTINF:2,\n8.ts\n",
		"leading zero":  head + "#EXTINF:2,\n07.ts\n",
		"duration":      head + "#EXTINF:NaN,\n7.ts\n",
		"long":          head + "#EXTINF:99999,\n7.ts\n",
		"date":          head + "#EXT-X-PROGRAM-DATE-TIME:yesterday\n",
		"big":           head + strings.Repeat("#\n", maxPlaylist),
		"many":          head + strings.Repeat("#EXTINF:2,\n7.ts\n", maxEntries+1),
		"sequence":      "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:-1\n",
		"sequence wide": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:99999999999999999999\n",
	} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Parse([]byte("<html>")); !errors.Is(err, ErrNoPlaylist) {
		t.Errorf("got %v, want ErrNoPlaylist", err)
	}
	if _, err := Parse([]byte(head + "#EXTINF:2,\n9.ts\n")); !errors.Is(err, ErrNumbering) {
		t.Errorf("got %v, want ErrNumbering", err)
	}
}

func TestParseSkipsWhatItDoesNotKnow(t *testing.T) {
	p, err := Parse([]byte("#EXTM3U\r\n#EXT-X-TARGETDURATION:2\r\n#EXT-X-SERVER-CONTROL:X=1\r\n# comment\r\n\r\n#EXTINF:2,title\r\n0.ts\r\n#EXT-X-ENDLIST\r\n"))
	if err != nil || len(p.Entries) != 1 || p.Entries[0].Duration != Duration {
		t.Errorf("%+v, %v", p, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example().Append(nil))
	f.Add([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:1.5,\n0.ts\n#EXT-X-GAP\n#EXTINF:2,\n1.ts\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			return
		}
		text := p.Append(nil)
		q, err := Parse(text)
		if err != nil {
			t.Fatalf("what Append wrote is refused: %v\n%s", err, text)
		}
		if len(p.Entries) != len(q.Entries) || p.Sequence != q.Sequence || p.NewestSegment() != q.NewestSegment() {
			t.Fatalf("%+v became %+v", p, q)
		}
		for i, e := range q.Entries {
			if e.Number != q.Sequence+int64(i) {
				t.Fatalf("entry %d has number %d", i, e.Number)
			}
		}
	})
}

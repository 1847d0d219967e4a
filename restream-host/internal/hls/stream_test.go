package hls

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// hand is a clock that the test moves.
type hand struct{ t time.Time }

func (h *hand) now() time.Time { return h.t }

func testStream(h *hand) *Stream {
	return NewStream(Shape{Width: 1280, Height: 720, Rate: 25, Bitrate: 4_000_000}, h.now, nil)
}

// play publishes in real time by the test's clock.
func play(s *Stream, h *hand, msgs []msg) {
	p := s.Publish()
	base := msgs[0].at
	for _, m := range msgs {
		h.t = time.Unix(testStart, 0).Add(time.Duration(since(m) * 1e9))
		ms := uint32((m.at - base) / ticksPerMS)
		if m.audio {
			p.Audio(ms, m.data)
		} else {
			p.Video(ms, 0, m.key, m.data)
		}
	}
}

func TestStreamList(t *testing.T) {
	h := &hand{time.Unix(testStart, 0)}
	s := testStream(h)
	if s.Playlist() != nil || s.Live() {
		t.Error("an empty stream has a playlist")
	}
	play(s, h, stream(0.5, 81, 25, 7))
	p, err := Parse(s.Playlist())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Entries) != Listed || p.NewestSegment() != number(78) {
		t.Errorf("%d segments up to %d, want %d up to %d", len(p.Entries), p.NewestSegment(), Listed, number(78))
	}
	if st := s.Status(); st.Segments != Listed+spare {
		t.Errorf("%d segments kept, want %d", st.Segments, Listed+spare)
	}
	checkRules(t, s.Playlist())

	// A publisher that comes back within two seconds goes on in the segment.
	play(s, h, stream(82, 87, 25, 7))
	if p, _ := Parse(s.Playlist()); p.hasGap() || p.NewestSegment() != number(84) {
		t.Errorf("after a second of silence: %s", s.Playlist())
	}
	// Longer silence: what is open is finished, then the stream is away, and
	// afterwards the hole is listed.
	h.t = h.t.Add(settle)
	s.Tick()
	if p, _ := Parse(s.Playlist()); p.NewestSegment() != number(86) || p.Entries[len(p.Entries)-1].Duration > 1100*time.Millisecond {
		t.Errorf("the last second is not listed as such: %s", s.Playlist())
	}
	h.t = h.t.Add(away)
	if s.Playlist() != nil || s.Live() {
		t.Error("without input for two segments there is still a playlist")
	}
	play(s, h, stream(95.4, 99, 25, 7))
	p, err = Parse(s.Playlist())
	if err != nil {
		t.Fatal(err)
	}
	var gaps []int64
	for _, e := range p.Entries {
		if e.Gap {
			gaps = append(gaps, e.Number-number(0))
		}
		if e.Discontinuity {
			t.Errorf("segment %d: a discontinuity without a new epoch", e.Number)
		}
	}
	if fmt.Sprint(gaps) != "[44 45 46 47]" {
		t.Errorf("gaps %v, want 44 to 47", gaps)
	}
	checkRules(t, s.Playlist())
}

func TestOlderPublisherIsIgnored(t *testing.T) {
	h := &hand{time.Unix(testStart, 0)}
	s := testStream(h)
	old := s.Publish()
	play(s, h, stream(0, 5, 25, 7))
	old.Video(99999, 0, true, picture(testStart*25+9999, 25, 9, true))
	if s.seg.Stats.Restarts != 0 || s.format.codecs != "avc1.64001f,mp4a.40.2" {
		t.Errorf("an old publisher got through: %+v %q", s.seg.Stats, s.format.codecs)
	}
}

func TestHandler(t *testing.T) {
	h := &hand{time.Unix(testStart, 0)}
	main, low := testStream(h), testStream(h)
	room := NewRoom("demo", h.now, Rendition{"main", main}, Rendition{"480", low})
	handler := Handler(map[string]*Room{"demo": room, "empty": NewRoom("empty", h.now, Rendition{"main", testStream(h)})})
	play(main, h, stream(0, 7, 25, 7))
	seg := fmt.Sprintf("/hls/demo/main/%d.ts", number(2))
	for _, c := range []struct {
		method, path, header string
		status               int
		kind, body           string
	}{
		{"GET", "/hls/demo/index.m3u8", "", 200, PlaylistType, "480/index.m3u8"},
		{"HEAD", "/hls/demo/index.m3u8", "", 200, PlaylistType, ""},
		{"GET", "/hls/demo/main/index.m3u8", "", 200, PlaylistType, fmt.Sprint(number(2)) + ".ts"},
		{"GET", seg, "", 200, SegmentType, "G"},
		{"HEAD", seg, "", 200, SegmentType, ""},
		{"GET", seg, "bytes=0-187", 206, SegmentType, "G"},
		{"GET", seg, "bytes=99999999-", 416, "", "range"},
		{"GET", "/hls/demo/480/index.m3u8", "", 503, "", "no live input"},
		{"GET", "/hls/empty/index.m3u8", "", 503, "", "no live input"},
		{"GET", "/hls/demo/1080/index.m3u8", "", 404, "", `no rendition "1080"`},
		{"GET", "/hls/other/index.m3u8", "", 404, "", `no room "other"`},
		{"GET", "/hls/demo/main/1.ts", "", 404, "", "is not here"},
		{"GET", "/hls/demo/main/x.ts", "", 404, "", "/hls/ROOM/index.m3u8"},
		{"GET", "/hls/../etc/passwd", "", 404, "", "/hls/ROOM/index.m3u8"},
		{"POST", "/hls/demo/index.m3u8", "", 405, "", "only GET"},
		{"OPTIONS", seg, "", 204, "", ""},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		if c.header != "" {
			r.Header.Set("Range", c.header)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Body)
		name := c.method + " " + c.path + " " + c.header
		if w.Code != c.status || !strings.Contains(string(body), c.body) {
			t.Errorf("%s: %d %.80q, want %d %q", name, w.Code, body, c.status, c.body)
		}
		if c.kind != "" && w.Header().Get("Content-Type") != c.kind {
			t.Errorf("%s: Content-Type %q", name, w.Header().Get("Content-Type"))
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: no CORS header", name)
		}
		if c.status == 503 && w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
		if c.method == "HEAD" && len(body) > 0 {
			t.Errorf("%s: a body", name)
		}
	}
	notModified(t, handler, seg)
}

func notModified(t *testing.T, h http.Handler, path string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	etag, keep := w.Header().Get("ETag"), w.Header().Get("Cache-Control")
	if etag == "" || !strings.Contains(keep, "immutable") {
		t.Errorf("ETag %q, Cache-Control %q", etag, keep)
	}
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("If-None-Match", etag)
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusNotModified {
		t.Errorf("If-None-Match: %d", w.Code)
	}
}

// TestMultivariantFromTheStart: players read it once, so a rendition that is
// still on its way is named; one that never comes is not named for ever.
func TestMultivariantFromTheStart(t *testing.T) {
	h := &hand{time.Unix(testStart, 0)}
	main, low := testStream(h), testStream(h)
	room := NewRoom("demo", h.now, Rendition{"main", main}, Rendition{"480", low})
	play(main, h, stream(0, 4, 25, 7))
	if got := string(room.Multivariant()); !strings.Contains(got, "480/index.m3u8") || !strings.Contains(got, `CODECS="avc1.64001f,mp4a.40.2"`) {
		t.Errorf("at the start:\n%s", got)
	}
	play(main, h, stream(4, 20, 25, 7))
	if got := string(room.Multivariant()); strings.Contains(got, "480/index.m3u8") {
		t.Errorf("after 16 s without it:\n%s", got)
	}
}

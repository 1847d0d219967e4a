package hls

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Media types (RFC 8216 4, ISO/IEC 13818-1) and how long others may keep what
// they got: a segment never changes, a playlist does every two seconds.
const (
	PlaylistType   = "application/vnd.apple.mpegurl"
	SegmentType    = "video/mp2t"
	cacheSegment   = "public, max-age=3600, immutable"
	cachePlaylist  = "public, max-age=1"
	cacheNothing   = "no-store"
	retryAfter     = "2" // s: a segment
	corsHeaders    = "Content-Length, Content-Range, Date, ETag"
	maxPathSegment = 128
)

// CORS lets any page play the streams (RFC 8216 has no other way across
// origins), and says so to a preflight request. It reports whether the request
// is answered.
func CORS(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", corsHeaders)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return false
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "Range")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
	}
	return true
}

// WriteSegment answers with a segment: HEAD, ranges and If-None-Match work.
func WriteSegment(w http.ResponseWriter, r *http.Request, data []byte, etag string) {
	h := w.Header()
	h.Set("Content-Type", SegmentType)
	h.Set("Cache-Control", cacheSegment)
	h.Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// WritePlaylist answers with a playlist.
func WritePlaylist(w http.ResponseWriter, r *http.Request, data []byte) {
	h := w.Header()
	h.Set("Content-Type", PlaylistType)
	h.Set("Cache-Control", cachePlaylist)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method != http.MethodHead {
		w.Write(data)
	}
}

// Unavailable answers 503 with a sentence for whoever reads it.
func Unavailable(w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Retry-After", retryAfter)
	w.Header().Set("Cache-Control", cacheNothing)
	http.Error(w, fmt.Sprintf(format, args...), http.StatusServiceUnavailable)
}

// NotFound answers 404 with a sentence.
func NotFound(w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Cache-Control", cachePlaylist)
	http.Error(w, fmt.Sprintf(format, args...), http.StatusNotFound)
}

// Path is a request below /hls/ taken apart.
type Path struct {
	Room      string
	Rendition string // "" with the multivariant playlist
	Segment   int64  // -1: a playlist
}

// ParsePath reads <room>/index.m3u8, <room>/<rendition>/index.m3u8 and
// <room>/<rendition>/<N>.ts, after "/hls/".
func ParsePath(path string) (p Path, ok bool) {
	part := strings.Split(strings.TrimPrefix(path, "/hls/"), "/")
	n := len(part)
	if !strings.HasPrefix(path, "/hls/") || n < 2 || n > 3 {
		return p, false
	}
	for _, s := range part {
		if s == "" || len(s) > maxPathSegment {
			return p, false
		}
	}
	p = Path{Room: part[0], Segment: -1}
	if n == 3 {
		p.Rendition = part[1]
	}
	if part[n-1] == "index.m3u8" {
		return p, true
	}
	if n == 2 {
		return p, false
	}
	p.Segment, ok = SegmentName(part[2])
	return p, ok
}

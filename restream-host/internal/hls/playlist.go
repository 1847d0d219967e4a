package hls

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/openvideobox/videobox/internal/media"
)

// Limits of what Parse takes: ten times what an origin of ours sends.
const (
	maxPlaylist = 256 << 10
	maxEntries  = 1000
)

// Playlist is a live media playlist (RFC 8216 4.3.3). Segments are numbered by
// program time, so Sequence is the number of the first one.
type Playlist struct {
	Target                int // s
	Sequence              int64
	DiscontinuitySequence int64
	Independent           bool
	Entries               []Entry
}

// Entry is one segment of a playlist. Its URI is its number.
type Entry struct {
	Number        int64
	Duration      time.Duration
	Time          time.Time // program time of the first picture; zero: not said
	Gap           bool      // listed, but not there (EXT-X-GAP)
	Discontinuity bool      // the epoch changes before it
}

// End is the number after the last one listed.
func (p *Playlist) End() int64 { return p.Sequence + int64(len(p.Entries)) }

// NewestSegment is the number of the newest segment that is there, or -1.
func (p *Playlist) NewestSegment() int64 {
	for i := len(p.Entries) - 1; i >= 0; i-- {
		if !p.Entries[i].Gap {
			return p.Entries[i].Number
		}
	}
	return -1
}

// Append appends the playlist as text.
func (p *Playlist) Append(b []byte) []byte {
	version := 6
	if p.hasGap() {
		version = 8
	}
	b = fmt.Appendf(b, "#EXTM3U\n#EXT-X-VERSION:%d\n", version)
	if p.Independent {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	b = fmt.Appendf(b, "#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n", p.Target, p.Sequence)
	if p.DiscontinuitySequence > 0 {
		b = fmt.Appendf(b, "#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", p.DiscontinuitySequence)
	}
	for _, e := range p.Entries {
		b = e.append(b)
	}
	return b
}

func (p *Playlist) hasGap() bool {
	for _, e := range p.Entries {
		if e.Gap {
			return true
		}
	}
	return false
}

func (e Entry) append(b []byte) []byte {
	if e.Discontinuity {
		b = append(b, "#EXT-X-DISCONTINUITY\n"...)
	}
	if !e.Time.IsZero() {
		b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
		b = e.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00\n")
	}
	if e.Gap {
		b = append(b, "#EXT-X-GAP\n"...)
	}
	return fmt.Appendf(b, "#EXTINF:%.5f,\n%d.ts\n", e.Duration.Seconds(), e.Number)
}

// SegmentName takes "812345678.ts" apart.
func SegmentName(name string) (int64, bool) {
	digits, ok := strings.CutSuffix(name, ".ts")
	if !ok || digits == "" || digits[0] == '0' && digits != "0" {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 62)
	return int64(n), err == nil
}

// Errors of Parse.
var (
	ErrNoPlaylist = errors.New("not an HLS playlist: the first line is not #EXTM3U")
	ErrNumbering  = errors.New("playlist: segments are not numbered by program time")
)

// Parse reads a media playlist as Append writes it. Unknown tags are skipped,
// as RFC 8216 4.1 asks; a playlist whose segments are not numbered in a row
// from EXT-X-MEDIA-SEQUENCE on is refused.
func Parse(b []byte) (*Playlist, error) {
	if len(b) > maxPlaylist {
		return nil, fmt.Errorf("playlist of %d bytes: at most %d", len(b), maxPlaylist)
	}
	p := &parser{}
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if i == 0 && strings.TrimPrefix(line, "\ufeff") != "#EXTM3U" {
			return nil, ErrNoPlaylist
		}
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if p.list.Target == 0 {
		return nil, errors.New("playlist: no EXT-X-TARGETDURATION")
	}
	return &p.list, nil
}

type parser struct {
	list  Playlist
	entry Entry
	timed bool // EXTINF was there
}

func (p *parser) line(line string) (err error) {
	tag, value, _ := strings.Cut(line, ":")
	switch tag {
	case "#EXT-X-TARGETDURATION":
		p.list.Target, err = strconv.Atoi(value)
		if err == nil && (p.list.Target < 1 || p.list.Target > 3600) {
			err = fmt.Errorf("EXT-X-TARGETDURATION of %d s", p.list.Target)
		}
	case "#EXT-X-MEDIA-SEQUENCE":
		p.list.Sequence, err = sequence(value)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		p.list.DiscontinuitySequence, err = sequence(value)
	case "#EXT-X-INDEPENDENT-SEGMENTS":
		p.list.Independent = true
	case "#EXT-X-DISCONTINUITY":
		p.entry.Discontinuity = true
	case "#EXT-X-GAP":
		p.entry.Gap = true
	case "#EXT-X-PROGRAM-DATE-TIME":
		p.entry.Time, err = time.Parse(time.RFC3339Nano, value)
	case "#EXTINF":
		err = p.duration(value)
	case "":
	default:
		if line[0] != '#' {
			err = p.uri(line)
		}
	}
	return err
}

func sequence(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 62)
	return int64(n), err
}

func (p *parser) duration(value string) error {
	number, _, _ := strings.Cut(value, ",")
	s, err := strconv.ParseFloat(number, 64)
	if err != nil || !(s >= 0 && s <= 3600) {
		return fmt.Errorf("EXTINF %q: want seconds", number)
	}
	p.entry.Duration, p.timed = time.Duration(s*float64(time.Second)), true
	return nil
}

func (p *parser) uri(name string) error {
	n, ok := SegmentName(name)
	switch {
	case !ok || n != p.list.End():
		return fmt.Errorf("%w: %q, want %d.ts", ErrNumbering, name, p.list.End())
	case !p.timed:
		return fmt.Errorf("%s has no EXTINF", name)
	case len(p.list.Entries) == maxEntries:
		return fmt.Errorf("playlist of more than %d segments", maxEntries)
	}
	p.entry.Number = n
	p.list.Entries = append(p.list.Entries, p.entry)
	p.entry, p.timed = Entry{}, false
	return nil
}

// entryOf lists a segment.
func entryOf(s *Segment) Entry {
	return Entry{
		Number: s.Number, Discontinuity: s.Discontinuity,
		Duration: time.Duration(media.TicksToTime(s.End - s.Start)),
		Time:     time.Unix(0, media.TicksToTime(s.Start)).UTC(),
	}
}

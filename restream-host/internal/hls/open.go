package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	openTime    = 5 * time.Second // for each request
	openSegment = 64 << 20
	openPause   = 500 * time.Millisecond
	// backSegments is how far before the live edge reading starts, as RFC 8216
	// 6.3.3 asks.
	backSegments = 3
)

var errEnded = errors.New("the playlist no longer moves")

// Open reads a live playlist of ours as one transport stream: segment after
// segment, from near the live edge on. A multivariant playlist gives its first
// rendition. Gaps are left out. Read ends with ctx.
func Open(ctx context.Context, rawURL string) (io.ReadCloser, error) {
	base, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &reader{ctx: ctx, cancel: cancel, base: base, next: -1}
	body, err := r.get(base.String(), maxPlaylist)
	if err == nil && strings.Contains(string(body), "#EXT-X-STREAM-INF") {
		err = r.enter(string(body))
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return r, nil
}

type reader struct {
	ctx    context.Context
	cancel context.CancelFunc
	base   *url.URL // of the media playlist
	list   *Playlist
	next   int64 // segment to read next; -1: not known yet
	left   []byte
}

// enter goes to the first rendition of a multivariant playlist.
func (r *reader) enter(body string) error {
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		u, err := r.base.Parse(line)
		if err != nil {
			return fmt.Errorf("rendition %q: %w", line, err)
		}
		r.base = u
		return nil
	}
	return errors.New("multivariant playlist without a rendition")
}

func (r *reader) get(u string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(r.ctx, openTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s: %.200s", u, resp.Status, strings.TrimSpace(string(body)))
	case int64(len(body)) > limit:
		return nil, fmt.Errorf("%s: more than %d bytes", u, limit)
	}
	return body, nil
}

// Read gives the segments' bytes.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		if err := r.advance(); err != nil {
			if r.ctx.Err() != nil {
				err = r.ctx.Err()
			}
			return 0, err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// advance reads the next segment, waiting for it.
func (r *reader) advance() error {
	for still := 0; r.list == nil || r.next >= r.list.End(); still++ {
		if still > int(10*time.Second/openPause) {
			return errEnded
		}
		if still > 0 {
			select {
			case <-time.After(openPause):
			case <-r.ctx.Done():
				return r.ctx.Err()
			}
		}
		if err := r.reload(); err != nil {
			return err
		}
	}
	e := r.list.Entries[r.next-r.list.Sequence]
	r.next++
	if e.Gap {
		return nil
	}
	u, err := r.base.Parse(fmt.Sprintf("%d.ts", e.Number))
	if err != nil {
		return err
	}
	r.left, err = r.get(u.String(), openSegment)
	return err
}

func (r *reader) reload() error {
	body, err := r.get(r.base.String(), maxPlaylist)
	if err != nil {
		return err
	}
	list, err := Parse(body)
	if err != nil {
		return err
	}
	r.list = list
	if r.next < 0 {
		r.next = list.End() - backSegments
	}
	r.next = max(r.next, list.Sequence)
	return nil
}

// Close ends a Read that waits.
func (r *reader) Close() error {
	r.cancel()
	return nil
}

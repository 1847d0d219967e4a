package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/watch"
	"github.com/openvideobox/videobox/internal/still"
)

const (
	previewWidth   = 960
	previewQuality = 80
	previewCache   = time.Second
	// A keyframe comes every second; one much older shows what was, not what is.
	previewPatience = 5 * time.Second
)

// preview turns the newest keyframe into a JPEG, only while somebody asks.
type preview struct {
	stream *watch.Watcher

	mu      sync.Mutex // also: one is made at a time
	encoder still.Encoder
	jpeg    []byte
	of      time.Time // when its keyframe came
	made    time.Time
}

func (p *preview) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.encoder.Close()
}

// ServeHTTP answers /preview.jpg.
func (p *preview) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	jpeg, of, err := p.picture()
	if err != nil {
		http.Error(w, "There is no picture: "+err.Error()+".", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Content-Length", strconv.Itoa(len(jpeg)))
	w.Header().Set("Last-Modified", of.UTC().Format(http.TimeFormat))
	w.Write(jpeg)
}

// picture is the newest, at most a second old when it is made of a keyframe
// that is not.
func (p *preview) picture() (jpeg []byte, of time.Time, err error) {
	n := p.stream.Newest()
	switch age := time.Since(n.KeyTime); {
	case n.KeyTime.IsZero():
		return nil, of, errors.New("the box's stream has brought no keyframe yet")
	case age > previewPatience:
		return nil, of, fmt.Errorf("the box's stream has brought no keyframe for %.0f s", age.Seconds())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of.Equal(n.KeyTime) || p.jpeg != nil && time.Since(p.made) < previewCache {
		return p.jpeg, p.of, nil
	}
	jpeg, err = p.encoder.JPEG(nil, n.Keyframe, previewWidth, previewQuality)
	if err != nil {
		return nil, of, err
	}
	p.jpeg, p.of, p.made = jpeg, n.KeyTime, time.Now()
	return jpeg, p.of, nil
}

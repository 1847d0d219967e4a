package parent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/openvideobox/videobox/appliance/internal/loopback"
)

// minBitrate is the least that may be asked for while capture runs, in bit/s:
// below it not even a slide stays readable.
const minBitrate = 100_000

// headroom is how many times the event's bitrate may be asked for. The ring is
// made for it, so that it holds its ten seconds then too.
const headroom = 2

// maxRequest bounds the body of a request: a number in a little JSON.
const maxRequest = 1 << 10

// Bitrate is what /api/bitrate takes and gives, in bit/s. Only the first field
// is taken.
type Bitrate struct {
	Bitrate int `json:"bitrate"`       // of the video, now
	Event   int `json:"event_bitrate"` // what the event file says, and a restart goes back to
	Min     int `json:"min"`
	Max     int `json:"max"`
}

// handler is the status page, and what changes capture while it runs. That has
// no password, because it listens on loopback: boxd asks for one and passes on.
// So it takes care that no page in a browser on this host gets here.
func (p *Parent) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", p.reporter.Handler())
	mux.HandleFunc("GET /api/bitrate", func(w http.ResponseWriter, _ *http.Request) { loopback.WriteJSON(w, p.bitrate()) })
	mux.HandleFunc("PUT /api/bitrate", p.putBitrate)
	mux.HandleFunc("POST /api/worker/restart", p.postRestart)
	return loopback.Guard(mux)
}

func (p *Parent) bitrate() Bitrate {
	c := p.cfg.Program
	return Bitrate{Bitrate: int(p.workers.bitrate.Load()), Event: c.Bitrate, Min: min(minBitrate, c.Bitrate), Max: c.MaxBitrate}
}

func (p *Parent) putBitrate(w http.ResponseWriter, r *http.Request) {
	want, err := readBitrate(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if b := p.bitrate(); want < b.Min || want > b.Max {
		http.Error(w, fmt.Sprintf("bitrate %d bit/s: must be from %d to %d", want, b.Min, b.Max), http.StatusBadRequest)
		return
	}
	slog.Info("bitrate", "from", p.workers.bitrate.Load(), "to", want)
	p.workers.setBitrate(want)
	loopback.WriteJSON(w, p.bitrate())
}

// readBitrate reads {"bitrate": 2500000} and nothing else.
func readBitrate(r io.Reader) (int, error) {
	var body struct {
		Bitrate *int `json:"bitrate"`
	}
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	err := d.Decode(&body)
	if err == nil && body.Bitrate == nil {
		err = errors.New("no bitrate")
	}
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return 0, fmt.Errorf(`%w; send {"bitrate": 2500000}, in bit/s`, err)
	}
	return *body.Bitrate, nil
}

func (p *Parent) postRestart(w http.ResponseWriter, _ *http.Request) {
	pid, ok := p.workers.restart()
	if !ok {
		http.Error(w, "no worker runs; one is being started", http.StatusConflict)
		return
	}
	loopback.WriteJSON(w, map[string]int64{"killed": pid})
}

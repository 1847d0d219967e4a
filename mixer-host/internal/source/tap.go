package source

import (
	"io"
	"sync"
	"time"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// tap counts what a connection brings: bytes, bytes that are no packets, and
// breaks of the continuity counter (ISO/IEC 13818-1 2.4.3.3).
type tap struct {
	r       io.Reader
	hop     *metrics.HopCounter
	scanner mpegts.Scanner
	last    map[uint16]byte // the counter of each PID

	mu     sync.Mutex
	at     time.Time // of the newest byte
	strays uint64    // bytes that are no packets
}

// maxPIDs bounds what noise can make the tap remember; a program has four.
const maxPIDs = 64

func newTap(r io.Reader, hop *metrics.HopCounter) *tap {
	return &tap{r: r, hop: hop, last: map[uint16]byte{}}
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 {
		t.hop.Add(n)
		t.scanner.Scan(p[:n], t.packet)
		t.mu.Lock()
		t.at, t.strays = time.Now(), t.scanner.Skipped
		t.mu.Unlock()
	}
	return n, err
}

func (t *tap) packet(p mpegts.Packet) {
	if p.IsStuffing() || !p.HasPayload() {
		return
	}
	last, known := t.last[p.PID()]
	if !known && len(t.last) >= maxPIDs {
		return
	}
	c := p.Counter()
	t.last[p.PID()] = c
	// A packet may be sent twice.
	if known && c != last && c != (last+1)&15 && !p.Discontinuity() {
		t.hop.ContinuityError(1)
	}
}

func (t *tap) seen() (newest time.Time, strays uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at, t.strays
}
